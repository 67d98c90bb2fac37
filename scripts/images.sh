#!/usr/bin/env bash
# Builds the images and fails when one adds more to its base than its budget.
#
#   images.sh              all of them
#   images.sh TARGET...    some of them
#
# BASE_IMAGE (default: the Dockerfile's) swaps the base; DOCKER names another client, DOCKER_BUILD_FLAGS are passed to `build`.
# Each becomes modelport/<target>:<version>. service-sklearn is built for every scikit-learn minor that has a lock, under the
# tag that the service's errors name (sklearn1.9); <version> is the newest of them.
# Sizes are those of the unpacked file system, in MB of 10^6 bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
DOCKER=${DOCKER:-docker}
export DOCKER_BUILDKIT=1

# target, MB that it may add to the base
BUDGETS='
service          200
service-sklearn  420
init-container   120
operator         160
'

case ${1:-} in -h|--help) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;; esac
die() { printf 'images: error: %s\n' "$*" >&2; exit 1; }
sklearn_minors() { printf '%s\n' locks/service-sklearn*.txt | sed 's/.*sklearn\(.*\)\.txt/\1/' | sort -V; }
size() { $DOCKER image inspect --format '{{.Size}}' "$1"; }
budget() { awk -v target="$1" '$1 == target {print $2}' <<<"$BUDGETS"; }

$DOCKER version >/dev/null 2>&1 || die "no docker daemon answers: start yours, or run make cluster, which brings one"
base=${BASE_IMAGE:-$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)}
$DOCKER image inspect "$base" >/dev/null 2>&1 || $DOCKER pull -q "$base" >/dev/null ||
  die "$base is not here and cannot be pulled: set BASE_IMAGE to a Python image that can"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' artifact/model_artifact/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

[ $# -gt 0 ] || mapfile -t targets < <(awk 'NF {print $1}' <<<"$BUDGETS")
[ $# -eq 0 ] || targets=("$@")
for target in "${targets[@]}"; do
  [ -n "$(budget "$target")" ] || die "there is no image $target; there are:$(awk 'NF {printf " %s", $1}' <<<"$BUDGETS")"
done

over=()
report=$(printf '%-30s %7s %7s %7s %7s\n' image size added budget seconds)
# The operator renders the chart with helm: the program goes into the build context, where the Dockerfile finds it.
stage_helm() {
  local helm; helm=$(. scripts/cluster/lib.sh; [ -x "$BIN/helm" ] || scripts/cluster/build.sh helm >&2; readlink -f "$BIN/helm")
  mkdir -p build; cmp -s "$helm" build/helm || install -m 755 "$helm" build/helm
}
build() { # target, tag, more flags
  local target=$1 name=modelport/$1:$2 started=$SECONDS bytes added; shift 2
  # shellcheck disable=SC2086  # flags are words
  $DOCKER build --quiet ${DOCKER_BUILD_FLAGS:-} --target "$target" --tag "$name" "$@" \
    --build-arg BASE_IMAGE="$base" --build-arg VERSION="$version" --build-arg REVISION="$revision" . >/dev/null ||
    die "building $name failed; the reason is above"
  bytes=$(size "$name")
  added=$(((bytes - $(size "$base") + 999999) / 1000000))
  [ "$added" -le "$(budget "$target")" ] || over+=("$name")
  report+=$(printf '\n%-30s %7d %7d %7d %7d' "${name#modelport/}" $((bytes / 1000000)) "$added" "$(budget "$target")" $((SECONDS - started)))
}

for target in "${targets[@]}"; do
  [ "$target" != operator ] || stage_helm
  if [ "$target" = service-sklearn ]; then
    for minor in $(sklearn_minors); do build "$target" "sklearn$minor" --build-arg SKLEARN="$minor"; done
    $DOCKER tag "modelport/$target:sklearn$minor" "modelport/$target:$version"
  else
    build "$target" "$version"
  fi
done
printf '%s\n(MB; base %s, version %s)\n' "$report" "$base" "$version"
[ ${#over[@]} -eq 0 ] || die "over the budget: ${over[*]}; see what grew with: docker history <image>"
