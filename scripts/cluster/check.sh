#!/usr/bin/env bash
# Sees that the cluster of .cluster/env is one that tests can rely on. Exits 0 only if every line says ok.
#
#   check.sh
#
# Owns the namespace modelport-check, which it removes again.
# shellcheck disable=SC2317  # check() calls them by name
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
[ -f "$DOT/env" ] || die "no cluster: run make cluster first"
# shellcheck disable=SC1091
. "$DOT/env"
failed=0
check() { # what, command...
  local what=$1 out; shift
  if out=$("$@" 2>&1); then printf 'ok    %s\n' "$what"; else printf 'FAIL  %s\n%s\n' "$what" "$out" | head -n 20; failed=1; fi
}
logs_say() { local out; out=$(kubectl -n "$1" logs "$2" --tail=2000) && grep -qF -- "$3" <<<"$out"; }
said() { await 20 "$3 in the log of $2" logs_say "$@"; }
refuses_privileged() {
  local out
  if out=$(kubectl -n modelport-check run privileged --image=none --dry-run=server --privileged 2>&1); then echo "accepted: $out"; return 1; fi
  grep -q 'violates PodSecurity "restricted' <<<"$out" || { echo "$out"; return 1; }
}
metrics() { await 60 "node metrics" kubectl top nodes && await 60 "pod metrics" kubectl -n kube-system top pods; }
pod() {
  kubectl -n modelport-check wait --for=jsonpath='{.status.phase}'=Succeeded pod/check --timeout=90s ||
    { kubectl -n modelport-check get events; kubectl -n modelport-check logs check; return 1; }
}
trap 'kubectl delete namespace modelport-check --ignore-not-found --wait=false >/dev/null 2>&1' EXIT
kubectl delete namespace modelport-check --ignore-not-found --timeout=60s >/dev/null
# The others can pull it.
if [ "$CLUSTER_KIND" = native ] || [ -n "${CLUSTER_LOAD_IMAGE:-}" ]; then "$HERE/load-image.sh" "$BASE_IMAGE_NAME"; fi
kubectl apply -f "$HERE/addons/check.yaml" >/dev/null

check "the node is ready" kubectl wait --for=condition=Ready nodes --all --timeout=30s
check "metrics of nodes and pods" metrics
check "a restricted namespace refuses a privileged pod" refuses_privileged
check "a restricted pod runs to its end" pod
check "it found cluster DNS" said modelport-check check "dns "
check "it wrote and read the bucket" said modelport-check check "bucket from the pod"
check "the collector printed its span" said modelport-dev deploy/otel-collector "modelport-check-span"
if [ -n "$CLUSTER_NODE_HOST" ]; then
  check "the host reads the bucket ($CLUSTER_FAKE_GCS_URL)" curl -fsS -m 5 "$CLUSTER_FAKE_GCS_URL/storage/v1/b"
  check "the host reaches the collector ($CLUSTER_OTLP_URL)" curl -fsS -m 5 -H 'content-type: application/json' -d '{}' "$CLUSTER_OTLP_URL/v1/traces"
fi
exit $failed
