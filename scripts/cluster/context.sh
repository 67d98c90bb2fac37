#!/usr/bin/env bash
# The cluster that KUBE_CONTEXT names, used as it is.
#
#   context.sh up|down     prints nothing: where its node ports answer is not known
#
# up copies that one context out of your kubeconfig into .cluster/kubeconfig and sees that it answers.
# down removes from it what addons.sh added, by .cluster/applied.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export PATH=$BIN:$PATH
case ${1:-} in
  up)
    mkdir -p "$DOT"
    if [ "${KUBECONFIG:-}" = "$DOT/kubeconfig" ]; then unset KUBECONFIG; fi   # from .cluster/env; the named context is in yours
    (umask 077; kubectl config view --context "$KUBE_CONTEXT" --minify --flatten --raw > "$DOT/kubeconfig.new") ||
      { rm -f "$DOT/kubeconfig.new"; die "KUBE_CONTEXT is '$KUBE_CONTEXT', but your kubeconfig has no such context (kubectl config get-contexts lists them)"; }
    kubectl --kubeconfig "$DOT/kubeconfig.new" get --raw /readyz --request-timeout=15s >/dev/null ||
      { rm -f "$DOT/kubeconfig.new"; die "the cluster of context '$KUBE_CONTEXT' does not answer"; }
    mv "$DOT/kubeconfig.new" "$DOT/kubeconfig" ;;
  down)
    [ -s "$DOT/applied" ] && [ -s "$DOT/kubeconfig" ] || exit 0
    # In reverse: the namespace came first and goes last.
    tac "$DOT/applied" | while read -r addon; do
      kubectl --kubeconfig "$DOT/kubeconfig" delete -f "$HERE/addons/$addon.yaml" --ignore-not-found --timeout=60s >/dev/null ||
        warn "could not remove $addon from the context; kubectl delete -f scripts/cluster/addons/$addon.yaml does it"
    done ;;
  *) usage "$0" ;;
esac
