#!/usr/bin/env bash
# NOT RUN on the machine this was written on (it has no minikube): plain use of minikube's own commands.
# A minikube profile named "modelport", with a kubeconfig of its own.
#
#   minikube.sh up|down     up prints the address where the node ports answer
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export KUBECONFIG=$DOT/kubeconfig
case ${1:-} in
  up)   # `minikube start` on a running profile changes nothing
    minikube start -p modelport --addons=metrics-server \
      --extra-config=controller-manager.horizontal-pod-autoscaler-sync-period=5s \
      --extra-config=controller-manager.horizontal-pod-autoscaler-downscale-stabilization=30s >&2 ||
      die "minikube could not start (see above)"
    minikube -p modelport ip ;;
  down) minikube delete -p modelport ;;
  *) usage "$0" ;;
esac
