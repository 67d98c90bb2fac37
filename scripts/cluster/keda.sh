#!/usr/bin/env bash
# Installs KEDA into the cluster, or takes it away: what ScaledObjects need, built from source for a native cluster.
#
#   keda.sh           about eight minutes the first time, one later
#   keda.sh --delete
#
# The manifests are those of KEDA's own module, without its admission webhook.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
[ -f "$DOT/env" ] || die "no cluster: run make cluster first"
# shellcheck disable=SC1091
. "$DOT/env"
version=$(version_of keda)

probe=$(mktemp -d); trap 'rm -rf "$probe"' EXIT
module() ( cd "$probe" && printf 'module probe\n' > go.mod && go mod download -json "github.com/kedacore/keda/v2@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p' | grep . )
manifests() {
  kubectl kustomize "$folder/config/minimal" |
    sed -e "s|\(image: ghcr.io/kedacore/[a-z-]*\):.*|\1:${version#v}|" -e 's/imagePullPolicy: Always/imagePullPolicy: IfNotPresent/'
}

folder=$(module) || die "the module of KEDA $version cannot be had: see that the Go module proxy answers (go env GOPROXY)"
if [ "${1:-}" = --delete ]; then
  manifests | kubectl delete --ignore-not-found --wait=false --filename - >/dev/null
  exit
fi
if [ "$CLUSTER_KIND" = native ]; then
  # shellcheck disable=SC2086  # lists of names
  "$HERE/build.sh" $KEDA && "$HERE/images.sh" $KEDA
  # shellcheck disable=SC2086
  "$HERE/images.sh" --list $KEDA | while read -r name archive; do
    ctr -a "$CONTAINERD_SOCK" -n k8s.io images import "$archive" >/dev/null; say "imported $name"
  done
fi
manifests | kubectl apply --server-side --filename - >/dev/null
for name in keda-operator keda-metrics-apiserver; do
  kubectl -n keda rollout status "deployment/$name" --timeout=180s >/dev/null ||
    die "KEDA's $name does not start: kubectl -n keda describe pods"
done
await 60 "the external metrics API" kubectl get --raw /apis/external.metrics.k8s.io/v1beta1
say "KEDA ${version#v} runs"
