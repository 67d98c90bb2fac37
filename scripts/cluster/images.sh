#!/usr/bin/env bash
# Packs the cluster's own programs as image archives in the cache, without a docker daemon.
#
#   images.sh [NAME...]          pack what is missing; without names those of every cluster
#   images.sh --list [NAME...]   image and archive of each
#
# Owns ~/.cache/modelport/cluster/images/NAME@VERSION.tar. Each image is one static binary, CA certificates and /tmp, under
# the name and with the entry point of the official image, so that the manifests in addons/ suit every kind of cluster.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
IMAGES=$CACHE/images
REVISION=1   # raise it when this script changes what it packs

# program, image without tag, tag, entry point (JSON; its first word is where the binary lies)
table() {
  cat <<T
pause            registry.k8s.io/pause                          $PAUSE_VERSION                             ["/pause"]
coredns          registry.k8s.io/coredns/coredns                $(version_of coredns)                      ["/coredns"]
metrics-server   registry.k8s.io/metrics-server/metrics-server  $(version_of metrics-server)               ["/metrics-server"]
fake-gcs-server  docker.io/fsouza/fake-gcs-server               $(version_of fake-gcs-server | tr -d v)    ["/bin/fake-gcs-server","-data","/data"]
otelcol          docker.io/otel/opentelemetry-collector         $(version_of otelcol | tr -d v)            ["/otelcol"]
keda             ghcr.io/kedacore/keda                          $(version_of keda | tr -d v)               ["/keda"]
keda-adapter     ghcr.io/kedacore/keda-metrics-apiserver        $(version_of keda-adapter | tr -d v)       ["/keda-adapter"]
T
}
archive_of() { printf '%s/%s@%s-r%s.tar' "$IMAGES" "$1" "$2" "$REVISION"; }

pack() { # program image tag entrypoint
  local dir file layer path arch; file=$(archive_of "$1" "$3")
  [[ " pause $KEDA " = *" $1 "* ]] || grep -rqF "$2:$3" "$HERE/addons" || die "versions.env has $1 $3, but no manifest in addons/ names $2:$3"
  [ ! -s "$file" ] || return 0
  dir=$(mktemp -d "$CACHE/tmp.XXXXXX")
  path=${4#'["'}; path=${path%%'"'*}
  mkdir -p "$dir/root$(dirname "$path")" "$dir/root/etc/ssl/certs" "$dir/root/tmp" "$dir/root/data"
  chmod 1777 "$dir/root/tmp" "$dir/root/data"
  cp -L "$BIN/$1" "$dir/root$path"
  cp -L /etc/ssl/certs/ca-certificates.crt "$dir/root/etc/ssl/certs/"
  tar -C "$dir/root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$dir/layer.tar" .
  layer=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  arch=$(dpkg --print-architecture 2>/dev/null || uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
  cat > "$dir/config.json" <<C
{"architecture":"$arch","os":"linux","config":{"Entrypoint":$4,"WorkingDir":"/","User":"65532:65532","Env":["PATH=/"],
"Labels":{"org.opencontainers.image.description":"built from source by Modelport's scripts/cluster; not the official image"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created_by":"scripts/cluster/images.sh"}]}
C
  printf '[{"Config":"config.json","RepoTags":["%s:%s"],"Layers":["layer.tar"]}]' "$2" "$3" > "$dir/manifest.json"
  tar -C "$dir" -cf "$dir/image.tar" config.json layer.tar manifest.json
  mv -f "$dir/image.tar" "$file"; rm -rf "$dir"
  say "packed $2:$3"
}

list=
if [ "${1:-}" = --list ]; then list=1; shift; fi
names=" ${*:-$ADDONS} "
mkdir -p "$IMAGES"
while read -r program image tag entry; do
  [[ $names = *" $program "* ]] || continue
  if [ -n "$list" ]; then printf '%s:%s %s\n' "$image" "$tag" "$(archive_of "$program" "$tag")"
  else pack "$program" "$image" "$tag" "$entry"; fi
done < <(table)
