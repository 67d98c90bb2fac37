#!/usr/bin/env bash
# Builds the images and fails when one adds more to its base than its budget.
#
#   images.sh              all of them
#   images.sh TARGET...    some of them
#
# BASE_IMAGE (default: the Dockerfile's) swaps the base; DOCKER names another client, DOCKER_BUILD_FLAGS are passed to `build`.
# Each becomes modelport/<target>:<version>; service-sklearn gets the tag that the service's errors name too (sklearn1.9).
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
'

case ${1:-} in -h|--help) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;; esac
die() { printf 'images: error: %s\n' "$*" >&2; exit 1; }
sklearn_tag() { sed -n 's/^scikit-learn==\([0-9]*\.[0-9]*\).*/sklearn\1/p' locks/service-sklearn.txt; }
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
report=$(printf '%-17s %7s %7s %7s %7s\n' target size added budget seconds)
for target in "${targets[@]}"; do
  started=$SECONDS
  # shellcheck disable=SC2086  # flags are words
  $DOCKER build --quiet ${DOCKER_BUILD_FLAGS:-} --target "$target" --tag "modelport/$target:$version" \
    --build-arg BASE_IMAGE="$base" --build-arg VERSION="$version" --build-arg REVISION="$revision" . >/dev/null ||
    die "building $target failed; the reason is above"
  [ "$target" != service-sklearn ] || $DOCKER tag "modelport/$target:$version" "modelport/$target:$(sklearn_tag)"
  bytes=$(size "modelport/$target:$version")
  added=$(((bytes - $(size "$base") + 999999) / 1000000))
  [ "$added" -le "$(budget "$target")" ] || over+=("$target")
  report+=$(printf '\n%-17s %7d %7d %7d %7d' "$target" $((bytes / 1000000)) "$added" "$(budget "$target")" $((SECONDS - started)))
done
printf '%s\n(MB; base %s, version %s)\n' "$report" "$base" "$version"
[ ${#over[@]} -eq 0 ] || die "over the budget: ${over[*]}; see what grew with: docker history <image>"
