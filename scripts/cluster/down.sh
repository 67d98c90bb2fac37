#!/usr/bin/env bash
# `make cluster-down`: takes the development cluster away. Programs and images stay in the cache.
#
#   down.sh [--purge]     --purge also drops docker's build cache and images of a native cluster
#
# A context that KUBE_CONTEXT named is not deleted: only the addons that `make cluster` added to it go.
# Can be repeated, and works after a start that failed half way.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
began=$SECONDS
mkdir -p "$CACHE"
exec 9> "$CACHE/lock"
flock -n 9 || { say "another make cluster or cluster-down is at work; waiting for it"; flock 9; }

kind=
if [ -f "$DOT/env" ]; then kind=$(sed -n 's/^export CLUSTER_KIND=//p' "$DOT/env"); fi
case $kind in
  context|kind|minikube)
    "$HERE/$kind.sh" down 9>&-
    if [ -e "$RUN" ]; then say "a native cluster of an earlier make cluster still runs; make cluster-down once more takes it away too"; fi ;;
  native) "$HERE/native-down.sh" "$@" 9>&- ;;
  *) # .cluster/env is lost, or `make cluster` failed before it was written: go by what is there
    if command -v kind >/dev/null && kind get clusters 2>/dev/null | grep -qx modelport; then "$HERE/kind.sh" down 9>&-; fi
    if command -v minikube >/dev/null && minikube profile list 2>/dev/null | grep -qw modelport; then "$HERE/minikube.sh" down 9>&-; fi
    "$HERE/native-down.sh" "$@" 9>&- ;;
esac

rm -f "$DOT/env" "$DOT/kubeconfig" "$DOT/applied"
rmdir "$DOT" 2>/dev/null || true
say "down after $((SECONDS - began)) s"
