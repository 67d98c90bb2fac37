#!/usr/bin/env bash
# NOT RUN on the machine this was written on (it has no kind): plain use of kind's own commands.
# A kind cluster named "modelport", with a kubeconfig of its own.
#
#   kind.sh up|down     up prints the address where the node ports answer
#
# Only the node ports in extraPortMappings reach the host: those of the addons, and 30080-30082 for tests.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
config() {
  cat <<C
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  kubeadmConfigPatches:
  - |
    kind: ClusterConfiguration
    controllerManager:
      extraArgs:
        horizontal-pod-autoscaler-sync-period: 5s
        horizontal-pod-autoscaler-downscale-stabilization: 30s
  extraPortMappings:
C
  for p in 30443 30317 30318 30080 30081 30082; do printf '  - {containerPort: %s, hostPort: %s, listenAddress: 127.0.0.1}\n' $p $p; done
}
case ${1:-} in
  up)
    if kind get clusters 2>/dev/null | grep -qx modelport; then
      say "already up (kind)" >&2
      kind export kubeconfig --name modelport --kubeconfig "$DOT/kubeconfig" >&2
    else
      config | kind create cluster --name modelport --kubeconfig "$DOT/kubeconfig" --wait 180s --config - >&2 ||
        die "kind could not create a cluster (see above); is docker running?"
    fi
    # Linux reaches every port of the node itself; elsewhere docker hides the node, and the mapped ports must do.
    address=$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' modelport-control-plane 2>/dev/null || true)
    if [ "$(uname -s)" = Linux ] && [ -n "$address" ]; then echo "$address"; else echo 127.0.0.1; fi ;;
  down) kind delete cluster --name modelport --kubeconfig "$DOT/kubeconfig" ;;
  *) usage "$0" ;;
esac
