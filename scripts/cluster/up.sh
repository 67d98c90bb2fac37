#!/usr/bin/env bash
# `make cluster`: brings up a development cluster, or says that it is up, and writes .cluster/{kubeconfig,env}.
#
#   up.sh
#
# KUBE_CONTEXT=NAME      use that context of your kubeconfig as it is: nothing is created, addons only where absent
# CLUSTER_PROVIDER=...   native, kind or minikube; default: kind if installed, else minikube if installed, else native
# XDG_CACHE_HOME         where programs and images are cached (modelport/cluster below it)
#
# Your own kubeconfig is only read, and only where KUBE_CONTEXT is set. Afterwards, in a shell:  . .cluster/env
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
began=$SECONDS
mkdir -p "$CACHE" "$DOT"
exec 9> "$CACHE/lock"
flock -n 9 || { say "another make cluster or cluster-down is at work; waiting for it"; flock 9; }

provider() {
  if [ -n "${KUBE_CONTEXT:-}" ]; then echo context
  elif [ -n "${CLUSTER_PROVIDER:-}" ]; then echo "$CLUSTER_PROVIDER"
  elif command -v kind >/dev/null; then echo kind
  elif command -v minikube >/dev/null; then echo minikube
  else echo native; fi
}

# kubectl, helm and kubeconform for the clusters that are not built here; what is installed serves where there is no Go.
tools() {
  local t need=()
  for t in $TOOLS; do command -v go >/dev/null || command -v "$t" >/dev/null || die "$t is missing, and so is Go to build it"; done
  if command -v go >/dev/null; then read -ra need <<<"$TOOLS"; fi
  command -v kubectl >/dev/null || need+=(kubectl)
  [ ${#need[@]} = 0 ] || "$HERE/build.sh" "${need[@]}"
}

# The docker daemon that builds images: yours if it answers, else one of the cluster's own. Prints 1 for own.
own_docker() {
  if [ -n "${DOCKER_HOST:-}" ] && [ "$DOCKER_HOST" != "unix://$DOCKER_SOCK" ]; then
    docker info >/dev/null 2>&1 || die "DOCKER_HOST is $DOCKER_HOST, but no docker daemon answers there; start it or unset DOCKER_HOST"
    echo 0
  elif command -v docker >/dev/null && DOCKER_HOST='' docker info >/dev/null 2>&1; then echo 0
  else echo 1; fi
}

native_is_up() {
  local p
  [ -e "$RUN/up" ] || return 1
  for p in "$RUN"/*.pid; do alive "$(cat "$p")" || return 1; done
  KUBECONFIG=$STATE/pki/admin.kubeconfig "$KUBECTL" get --raw /readyz --request-timeout=10s >/dev/null 2>&1
}

NATIVE_ADDONS='coredns metrics-server fake-gcs-server otel-collector'
# shellcheck disable=SC2086  # a list of names
native() {
  local packing
  KUBECTL=$(PATH=$BIN:$PATH command -v kubectl || echo kubectl)
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
    die "no kind and no minikube here, and a native cluster needs Linux and root: install kind or minikube, set KUBE_CONTEXT, or run this as root"
  fi
  if native_is_up; then
    KUBECONFIG=$STATE/pki/admin.kubeconfig "$HERE/addons.sh" $NATIVE_ADDONS 9>&- >/dev/null   # in case a test removed one
    say "already up"; already=1; return
  fi
  if [ -e "$RUN" ] || [ -e "$STATE" ]; then
    say "an earlier cluster is there but not whole; clearing it away first"
    "$HERE/native-down.sh" 9>&-
  fi
  "$HERE/packages.sh" 9>&-
  "$HERE/base-image.sh" --prepare 9>&- & packing=$!
  "$HERE/build.sh" 9>&- || { wait "$packing" || true; exit 1; }
  wait "$packing"
  "$HERE/images.sh" 9>&-
  CLUSTER_OWN_DOCKER=$(own_docker); export CLUSTER_OWN_DOCKER
  "$HERE/native-up.sh" 9>&-
  say "control plane, node$([ "$CLUSTER_OWN_DOCKER" = 0 ] || echo ", dockerd") run after $((SECONDS - began)) s"
  if [ "$CLUSTER_OWN_DOCKER" = 1 ]; then ln -sfn /usr/bin/docker "$BIN/docker"; else rm -f "$BIN/docker"; fi
  KUBECONFIG=$STATE/pki/admin.kubeconfig "$HERE/addons.sh" $NATIVE_ADDONS 9>&- & addons=$!
  base_image "$CLUSTER_OWN_DOCKER"
  wait "$addons"
  echo "$CLUSTER_OWN_DOCKER" > "$RUN/up"
}

base_image() { # 1: in the cluster's own docker daemon
  if [ "$1" = 1 ]; then
    DOCKER=/usr/bin/docker DOCKER_HOST=unix://$DOCKER_SOCK "$HERE/base-image.sh" 9>&-
    # What builds left without a name goes; the build cache bounds itself.
    /usr/bin/docker -H "unix://$DOCKER_SOCK" container prune -f >/dev/null; /usr/bin/docker -H "unix://$DOCKER_SOCK" image prune -f >/dev/null
  elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then "$HERE/base-image.sh" 9>&-
  else warn "no docker daemon answers: images cannot be built until one does"; fi
}

write_env() { # kind, address where node ports answer (empty: nowhere known)
  local docker=${DOCKER_HOST:-}
  if [ "$1" = native ]; then
    install -m 600 "$STATE/pki/admin.kubeconfig" "$DOT/kubeconfig"
    if [ "$(cat "$RUN/up")" = 1 ]; then docker=unix://$DOCKER_SOCK; fi
  fi
  {
    printf '# Written by scripts/cluster/up.sh; read it into a shell with:  . .cluster/env\n'
    printf 'export CLUSTER_KIND=%q\nexport KUBECONFIG=%q\n' "$1" "$DOT/kubeconfig"
    if [ -n "$docker" ]; then printf 'export DOCKER_HOST=%q\n' "$docker"; fi
    # shellcheck disable=SC2016  # the reader's PATH, not ours
    printf 'export DOCKER_BUILDKIT=1\nexport PATH=%q:"${PATH}"\n' "$BIN"
    printf 'export CLUSTER_NODE_HOST=%q\n' "$2"
    printf 'export CLUSTER_FAKE_GCS_URL=%q\nexport CLUSTER_FAKE_GCS_POD_URL=http://fake-gcs-server.modelport-dev:4443\n' "${2:+http://$2:30443}"
    printf 'export CLUSTER_OTLP_URL=%q\nexport CLUSTER_OTLP_POD_URL=http://otel-collector.modelport-dev:4318\n' "${2:+http://$2:30318}"
  } > "$DOT/env.new"
  mv "$DOT/env.new" "$DOT/env"
}

kind=$(provider) host=127.0.0.1
case $kind in
  native) native ;;
  context|kind|minikube)
    tools
    host=$("$HERE/$kind.sh" up 9>&-)
    KUBECONFIG=$DOT/kubeconfig "$HERE/addons.sh" 9>&-
    base_image 0 ;;
  *) die "CLUSTER_PROVIDER is '$kind'; it may be native, kind or minikube" ;;
esac
write_env "$kind" "$host"
[ -n "${already:-}" ] || say "ready after $((SECONDS - began)) s ($kind)"
say "in this shell:  . ${DOT#"$PWD"/}/env"
