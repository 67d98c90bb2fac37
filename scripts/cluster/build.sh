#!/usr/bin/env bash
# Builds the cluster's Go programs from the Go module proxy into the user's cache.
#
#   build.sh [--list] [NAME...]     without names: every program of versions.env (kubectl only where the machine's is missing or too far off)
#
# Owns ~/.cache/modelport/cluster/{store,bin}. A program lands in store/NAME@VERSION by one rename and is linked as
# bin/NAME, so a broken build leaves nothing, a repeated one skips what is there, and two at once do no harm.
# Why from source: a registry that serves prebuilt binaries or images may be out of reach; the Go module proxy seldom is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
STORE=$CACHE/store LOGS=$CACHE/log
export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off

ldflags() { # name, version
  local minor; minor=$(version_of kube-apiserver); minor=${minor%.*}; minor=${minor#v1.}
  case $1 in
    kube-*|kubelet|kubectl) printf -- '-s -w -X k8s.io/component-base/version.gitVersion=%s -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=%s' "$2" "$minor" ;;
    # Without these helm takes itself for a client of Kubernetes 1.20 in `template` and `lint`, and charts that ask for more are refused.
    helm) printf -- '-s -w -X helm.sh/helm/v3/internal/version.version=%s' "$2"
      for p in pkg/chartutil pkg/lint/rules; do printf -- ' -X helm.sh/helm/v3/%s.k8sVersionMajor=1 -X helm.sh/helm/v3/%s.k8sVersionMinor=%s' "$p" "$p" "$minor"; done ;;
    kubeconform) printf -- '-s -w -X main.version=%s' "$2" ;;
    *) printf -- '-s -w' ;;
  esac
}

# What the Go command says of the downloaded module k8s.io/kubernetes: its folder (Dir) or its go.mod (GoMod).
kubernetes_download() ( # version, field
  cd "$(mktemp -d "$CACHE/tmp.XXXXXX")" && printf 'module probe\n' > go.mod && go mod download -json "k8s.io/kubernetes@$1" |
    sed -n "s/.*\"$2\": \"\(.*\)\".*/\1/p" | grep .
)

# k8s.io/kubernetes cannot be `go install`ed: its staging modules are replaced by folders. A small module of our own
# maps each of them to its published version instead.
kubernetes_module() { # version -> prints the directory
  local dir=$CACHE/src/kubernetes-$1 mod
  if [ ! -s "$dir/go.mod" ]; then
    rm -rf "$dir"; mkdir -p "$dir"
    mod=$(kubernetes_download "$1" GoMod) || return 1
    { printf 'module local/kubernetes\n\ngo 1.24.0\n\ngodebug default=go1.24\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$1"
      awk -v v="v0.${1#v1.}" '/=> \.\/staging\// {print "\t" ($1 == "replace" ? $2 : $1) " => " ($1 == "replace" ? $2 : $1) " " v}' "$mod"
      printf ')\n'; } > "$dir/go.mod.new"
    mv "$dir/go.mod.new" "$dir/go.mod"
  fi
  printf '%s' "$dir"
}

# `go install` refuses a program whose go.mod replaces modules; in a module of our own those lines count again.
wrapper_module() { # package version -> prints the directory
  local module=${1%/cmd/*} dir mod
  dir=$CACHE/src/$(basename "${module%/v[0-9]*}")-$2
  if [ ! -s "$dir/go.mod" ]; then
    rm -rf "$dir"; mkdir -p "$dir"
    printf 'module probe\n' > "$dir/go.mod"
    mod=$(cd "$dir" && go mod download -json "$module@$2" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p' | grep .) || return 1
    { printf 'module local/wrapper\n\n'; grep '^go ' "$mod"; printf '\nrequire %s %s\n' "$module" "$2"
      awk '/^(replace|exclude) \($/ {block = 1} block || /^(replace|exclude) [^(]/ {print} /^\)/ {block = 0}' "$mod"; } > "$dir/go.mod.new"
    mv "$dir/go.mod.new" "$dir/go.mod"
  fi
  printf '%s' "$dir"
}

collector_config() { # version, output directory
  cat <<C
dist: {name: otelcol, description: "Modelport's development collector", version: ${1#v}, output_path: $2}
receivers: [{gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $1}]
exporters: [{gomod: go.opentelemetry.io/collector/exporter/debugexporter $1}]
providers:
- {gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider $COLLECTOR_PROVIDERS}
- {gomod: go.opentelemetry.io/collector/confmap/provider/envprovider $COLLECTOR_PROVIDERS}
C
}

compile() { # name how package version directory
  local name=$1 pkg=$3 version=$4 out=$5 dir
  case $2 in
    kubernetes)
      dir=$(kubernetes_module "$version") && cd "$dir" && go build -trimpath -ldflags "$(ldflags "$name" "$version")" -o "$out/$name" "$pkg" ;;
    wrapper) dir=$(wrapper_module "$pkg" "$version") && cd "$dir" && go build -trimpath -ldflags "$(ldflags "$name" "$version")" -o "$out/$name" "$pkg" ;;
    pause) dir=$(kubernetes_download "$version" Dir) && gcc -Os -static "-DVERSION=v$PAUSE_VERSION" -o "$out/$name" "$dir/$pkg" ;;
    module) GOBIN=$out go install -trimpath -ldflags "$(ldflags "$name" "$version")" "$pkg@$version" ;;
    collector)
      collector_config "$version" "$out/src" > "$out/builder.yaml"
      cd "$out" && go run "$pkg@$version" --config builder.yaml && mv src/otelcol "$out/$name" ;;
  esac
}

build() {
  local name=$1 how pkg version tmp start=$SECONDS log=$LOGS/build-$1.log
  read -r how pkg version <<<"$(program "$name")" || true
  [ -n "${version:-}" ] || die "versions.env has no program called '$name'"
  if [ ! -x "$STORE/$name@$version" ]; then
    command -v go >/dev/null || die "Go is needed to build $name: install Go 1.21 or later (it fetches a newer toolchain itself) and try again"
    tmp=$(mktemp -d "$CACHE/tmp.XXXXXX")
    if ! (compile "$name" "$how" "$pkg" "$version" "$tmp") > "$log" 2>&1; then
      rm -rf "$tmp"
      failed_log "building $name $version" "$log" "see that the Go module proxy answers (go env GOPROXY) and that $CACHE has room, then run it again: what is built already is kept"
      exit 1
    fi
    mv -f "$tmp/$name" "$STORE/$name@$version"; rm -rf "$tmp"
    say "built $name $version in $((SECONDS - start)) s"
  fi
  ln -sfn "../store/$name@$version" "$BIN/$name"
}

# Is there a kubectl that Kubernetes supports with this server: one minor version apart at most?
kubectl_fits() {
  local have want; want=$(version_of kube-apiserver); want=${want#v1.}; want=${want%%.*}
  have=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p') || return 1
  [ -n "$have" ] && [ $((have - want)) -ge -1 ] && [ $((have - want)) -le 1 ]
}

case ${1:-} in -h|--help) usage "$0"; exit ;; --list) awk 'NF {print $1, $4}' <<<"$PROGRAMS"; exit ;; esac
mkdir -p "$STORE" "$BIN" "$LOGS"
renice -n 10 -p $$ >/dev/null   # builds leave the machine usable
names=$*
if [ -z "$names" ]; then
  names="$CONTROL_PLANE $ADDONS $TOOLS"
  kubectl_fits || names+=" kubectl"
fi
find "$CACHE" -maxdepth 1 -name 'tmp.*' -mmin +300 -exec rm -rf --one-file-system {} +   # of builds that were killed
missing=0
for n in $names; do [ -x "$STORE/$n@$(version_of "$n")" ] || missing=$((missing + 1)); done
[ $missing = 0 ] || say "building $missing programs from source; all of them take about 12 minutes on two cores, the first one 4"
for n in $names; do build "$n"; done
