#!/usr/bin/env bash
# Applies what tests need inside a cluster, each only if the cluster has none, and waits until it runs.
#
#   addons.sh [coredns] [metrics-server] [fake-gcs-server] [otel-collector]     default: all but coredns
#
# Uses the kubeconfig in KUBECONFIG. Records in .cluster/applied what it applied, for `make cluster-down` of a context.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
export PATH=$BIN:$PATH

there() {
  case $1 in
    coredns) kubectl -n kube-system get service kube-dns ;;
    metrics-server) kubectl get apiservice v1beta1.metrics.k8s.io ;;
    *) kubectl -n modelport-dev get deployment "$1" ;;
  esac >/dev/null 2>&1
}
namespace_of() { case $1 in coredns|metrics-server) echo kube-system ;; *) echo modelport-dev ;; esac; }

applied=
mkdir -p "$DOT"
[ $# -gt 0 ] || set -- metrics-server fake-gcs-server otel-collector
for addon; do
  if there "$addon"; then say "$addon is there already"; continue; fi
  if [ "$(namespace_of "$addon")" = modelport-dev ] && ! kubectl get namespace modelport-dev >/dev/null 2>&1; then
    kubectl apply -f "$HERE/addons/namespace.yaml" >/dev/null; echo namespace >> "$DOT/applied"
  fi
  kubectl apply -f "$HERE/addons/$addon.yaml" >/dev/null; echo "$addon" >> "$DOT/applied"
  applied+=" $addon"
done
for addon in $applied; do
  if ! kubectl -n "$(namespace_of "$addon")" rollout status "deployment/$addon" --timeout=120s >/dev/null; then
    log=$(mktemp)
    { kubectl -n "$(namespace_of "$addon")" describe pods -l "app.kubernetes.io/name=$addon"
      kubectl -n "$(namespace_of "$addon")" logs "deployment/$addon" --tail=20; } > "$log" 2>&1 || true
    failed_log "addon $addon" "$log" "see whether the cluster has its image (kubectl -n $(namespace_of "$addon") describe pods)"
    exit 1
  fi
done
if [ -n "$applied" ]; then say "addons run:$applied"; fi
