#!/usr/bin/env bash
# Makes sure that `docker build` finds the image the product's Dockerfile starts from (BASE_IMAGE_NAME in versions.env).
#
#   base-image.sh            image there already, or can be pulled: nothing to do; else import the stand-in
#   base-image.sh --prepare  only pack the stand-in's tarball into the cache, unless Docker Hub answers (needs no docker daemon)
#   base-image.sh --force    import it even into a docker daemon that is not this cluster's own
#
# Why: where no image registry can be reached the official Python slim image cannot be had, but Debian's packages can.
# The stand-in is a minimal Debian of the same release with Debian's Python of the same minor version, laid out so that
# the same Dockerfile works: python and pip under /usr/local/bin, pip free to install, the same variables. It bears the
# official name so that the Dockerfile stays untouched, and a label that says what it is. Never publish images built on it.
# The host's CA certificates go in, so that pip inside `docker build` trusts what the host trusts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
DOCKER=${DOCKER:-docker}
TARBALL=$CACHE/images/python-base-$BASE_IMAGE_DEBIAN-r$BASE_IMAGE_REVISION.tar

pack() {
  [ ! -s "$TARBALL" ] || return 0
  [ "$(id -u)" = 0 ] || die "packing a stand-in for $BASE_IMAGE_NAME needs root (debootstrap); or let your docker daemon pull it"
  local start=$SECONDS dir log=$CACHE/log/base-image.log root
  mkdir -p "$CACHE/images" "$CACHE/log"
  dir=$(mktemp -d "$CACHE/tmp.XXXXXX") root=$dir/root
  # debootstrap mounts /proc and /sys in there and may be stopped half way.
  # shellcheck disable=SC2064
  trap "umount -l '$root/proc' '$root/sys' 2>/dev/null || true; rm -rf --one-file-system '$dir'" EXIT
  if ! debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
      "$BASE_IMAGE_DEBIAN" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$log" 2>&1; then
    failed_log "debootstrap for the base image" "$log" "see that Debian's mirror answers, or set DEBIAN_MIRROR; then run it again"
    exit 1
  fi
  umount -l "$root/proc" "$root/sys" 2>/dev/null || true
  local py; py=$(basename "$(readlink -f "$root/usr/bin/python3")")
  for n in python python3 "$py"; do ln -sf "/usr/bin/$py" "$root/usr/local/bin/$n"; done
  for n in pip pip3; do ln -sf /usr/bin/pip3 "$root/usr/local/bin/$n"; done
  rm -f "$root/usr/lib/$py/EXTERNALLY-MANAGED"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,man,info,locale}/*
  : > "$root/etc/hostname"; : > "$root/etc/resolv.conf"
  tar -C "$root" --numeric-owner --one-file-system -cf "$dir/base.tar" .
  mv -f "$dir/base.tar" "$TARBALL"
  say "packed the stand-in for $BASE_IMAGE_NAME in $((SECONDS - start)) s ($(du -m "$TARBALL" | cut -f1) MB)"
}

if [ "${1:-}" = --prepare ]; then
  # Any answer of the registry, "unauthorized" too, means that docker can pull the real one.
  curl -sS -m 5 -o /dev/null https://registry-1.docker.io/v2/ 2>/dev/null || pack
  exit
fi
if $DOCKER image inspect "$BASE_IMAGE_NAME" >/dev/null 2>&1; then exit 0; fi
if timeout 120 "$DOCKER" pull -q "$BASE_IMAGE_NAME" >/dev/null 2>&1; then say "pulled $BASE_IMAGE_NAME"; exit 0; fi
if [ "${DOCKER_HOST:-}" != "unix://$DOCKER_SOCK" ] && [ "${1:-}" != --force ]; then
  warn "your docker daemon has no $BASE_IMAGE_NAME and cannot pull it. To import a stand-in under that name: $0 --force"
  exit 0
fi
pack
start=$SECONDS
$DOCKER import \
  -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
  -c 'CMD ["python3"]' -c 'LABEL org.opencontainers.image.description="a stand-in made by debootstrap, not the official Python image; for local tests only"' \
  "$TARBALL" "$BASE_IMAGE_NAME" >/dev/null
say "imported the stand-in for $BASE_IMAGE_NAME in $((SECONDS - start)) s"
