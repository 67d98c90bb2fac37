#!/usr/bin/env bash
# Puts images of the docker daemon into the cluster, whichever kind it is.
#
#   load-image.sh NAME...
#
# Pods then use them with imagePullPolicy IfNotPresent or Never. An image that is in the cluster already, unchanged, is skipped.
# CLUSTER_LOAD_IMAGE='command' is used for a context named by KUBE_CONTEXT: it gets the names as arguments.
# The branches for kind and minikube were not run on the machine this was written on.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help|'') usage "$0"; exit ;; esac
[ -f "$DOT/env" ] || die "no cluster: run make cluster first"
# shellcheck disable=SC1091
. "$DOT/env"

native() {
  local name id changed=()
  mkdir -p "$RUN/loaded"
  for name; do
    id=$(docker image inspect -f '{{.Id}}' "$name") || die "the docker daemon has no image $name: build it first"
    if [ "$(cat "$RUN/loaded/${name//\//_}" 2>/dev/null)" != "$id" ]; then changed+=("$name"); fi
  done
  [ ${#changed[@]} -gt 0 ] || return 0
  docker save "${changed[@]}" | ctr -a "$CONTAINERD_SOCK" -n k8s.io images import - >/dev/null
  for name in "${changed[@]}"; do docker image inspect -f '{{.Id}}' "$name" > "$RUN/loaded/${name//\//_}"; done
  say "loaded ${changed[*]} in $SECONDS s"
}

case $CLUSTER_KIND in
  native) native "$@" ;;
  kind) kind load docker-image --name modelport "$@" ;;
  minikube) for name; do minikube -p modelport image load "$name"; done ;;
  context)
    [ -n "${CLUSTER_LOAD_IMAGE:-}" ] || die "push $* to a registry that the cluster of your context can pull from, or set CLUSTER_LOAD_IMAGE to a command that loads images into it"
    $CLUSTER_LOAD_IMAGE "$@" ;;
esac
