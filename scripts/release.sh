#!/usr/bin/env bash
# `make release`: builds everything that a release is made of into dist/, and checks that it is one release.
#
#   release.sh             sdist, wheel, chart, images, bills of materials, checksums
#   release.sh --check     only that versions, changelog and working tree make a release
#
# REGISTRY=HOST/PATH     then push the images to it, and the chart as an OCI artifact to oci://HOST/PATH/charts
# PLAIN_HTTP=1           the registry speaks http (one on this machine)
# DOCKER, BASE_IMAGE and DOCKER_BUILD_FLAGS are those of images.sh. SOURCE_DATE_EPOCH is the commit's own time.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cluster/lib.sh
PATH=$PATH:$BIN
CHARTS='model-service model-operator'
DIST=dist PYTHON=.venv/bin/python
DOCKER=${DOCKER:-docker}
case ${1:-} in -h|--help) usage "$0"; exit ;; ''|--check) ;; *) usage "$0" >&2; exit 2 ;; esac
die() { printf 'release: error: %s\n' "$*" >&2; exit 1; }
stage() { printf 'release: %s (%d s)\n' "$1" "$SECONDS"; }
field() { sed -n "s/^$2\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1" | head -n 1; }

version=$(field pyproject.toml 'version = ')
check() {
  [ "$(field artifact/model_artifact/__init__.py '__version__ = ')" = "$version" ] || die "model_artifact.__version__ is not $version, pyproject.toml's version"
  local chart
  for chart in $CHARTS; do
    [ "$(field "charts/$chart/Chart.yaml" 'appVersion: ')" = "$version" ] || die "$chart/Chart.yaml: appVersion is not $version, pyproject.toml's version"
    [ "$(field "charts/$chart/Chart.yaml" 'version: ')" = "$version" ] || die "$chart/Chart.yaml: version is not $version, pyproject.toml's version"
  done
  grep -q "^## \[$version\]" CHANGELOG.md || die "CHANGELOG.md has no section [$version]"
  if [ -n "$(git status --porcelain)" ]; then
    [ -n "${ALLOW_DIRTY:-}" ] || die "the working tree has changes that no commit holds; commit them, or set ALLOW_DIRTY=1 to try things out"
  fi
}

push() {
  local name plain=(); [ -z "${PLAIN_HTTP:-}" ] || plain=(--plain-http)
  for name in "service:$version" "init-container:$version" "operator:$version" $(printf '%s\n' locks/service-sklearn*.txt | sed 's/.*sklearn\(.*\)\.txt/service-sklearn:sklearn\1/') "service-sklearn:$version"; do
    $DOCKER tag "modelport/$name" "$REGISTRY/$name"
    $DOCKER push --quiet "$REGISTRY/$name"
  done
  for name in $CHARTS; do helm push "${plain[@]}" "$DIST/$name-$version.tgz" "oci://$REGISTRY/charts"; done
}

check
[ "${1:-}" != --check ] || { echo "release: $version can be released"; exit; }
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct); export SOURCE_DATE_EPOCH
command -v helm >/dev/null || scripts/cluster/build.sh helm
rm -rf "$DIST"; mkdir -p "$DIST"
stage "sdist and wheel"; .venv/bin/uv build --quiet --no-build-isolation --python "$PYTHON" --out-dir "$DIST"; rm -f "$DIST/.gitignore"
stage "charts"; for chart in $CHARTS; do helm package "charts/$chart" --destination "$DIST" >/dev/null; done
stage "images"; scripts/images.sh
stage "licences"; "$PYTHON" scripts/release/licences.py > "$DIST/LICENCES.txt" || { cat "$DIST/LICENCES.txt"; exit 1; }
stage "bills of materials"; "$PYTHON" scripts/release/sbom.py "$(scripts/release/tool.sh cyclonedx-py)" "$DIST/sbom" --version "$version" --docker "$DOCKER"
if [ -n "${REGISTRY:-}" ]; then stage "push to $REGISTRY"; push; fi
stage "checksums"; sums=$(cd "$DIST" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum); printf '%s\n' "$sums" > "$DIST/SHA256SUMS"
stage "$version is in $DIST"; cat "$DIST/SHA256SUMS"
