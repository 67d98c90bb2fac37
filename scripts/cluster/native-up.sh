#!/usr/bin/env bash
# Starts a single-node Kubernetes from plain programs on this Linux machine, as root.
#
#   native-up.sh
#
# Owns the processes: each is started here once, with its pid in $RUN/NAME.pid, its log in $STATE/log/NAME.log and
# CLUSTER_COMPONENT=$RUN/NAME in its environment, by which native-down.sh finds it and its children again.
# Prepared before it: packages.sh, build.sh, images.sh. Its files: host.sh, pki.sh, native-config.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
P=$STATE/pki LOG=$STATE/log
export KUBECONFIG=$P/admin.kubeconfig PATH=$BIN:$PATH
HINT="read the whole log, then 'make cluster-down' and 'make cluster' again (scripts/cluster/README.md lists known traps)"
trap 'warn "native-up.sh stopped at line $LINENO; make cluster-down takes away what was started"' ERR

preflight() {
  local port
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then die "a native cluster needs Linux and root; install kind or minikube instead, or name a context in KUBE_CONTEXT"; fi
  for port in 2379 2380 6443 10249 10250 10256 10257 10259; do
    [ -z "$(ss -Hltn "sport = :$port")" ] || die "port $port is taken (ss -ltnp 'sport = :$port' says by whom); the cluster needs it"
  done
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name kubepods -print -quit)" ] || die "another kubelet runs on this machine (/sys/fs/cgroup/.../kubepods is there); name its context in KUBE_CONTEXT instead"
}

start() { # name, command...
  local name=$1; shift
  CLUSTER_COMPONENT=$RUN/$name setsid nohup "$@" > "$LOG/$name.log" 2>&1 < /dev/null 9>&- &
  echo $! > "$RUN/$name.pid"
}

all_alive() { # what one component waits for may be another that has ended
  local pid name
  for pid in "$RUN"/*.pid; do
    name=$(basename "$pid" .pid)
    if [ -e "$LOG/$name.log" ] && ! alive "$(cat "$pid")"; then failed_log "$name (it ended)" "$LOG/$name.log" "$HINT"; exit 1; fi
  done
}

ready() { # name, seconds, command that succeeds once it is there
  local name=$1 limit=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    all_alive
    if [ "$SECONDS" -ge "$limit" ]; then failed_log "$name (not ready in time)" "$LOG/$name.log" "$HINT"; exit 1; fi
    sleep 0.2
  done
}

etcd() {
  start etcd etcd --data-dir "$STATE/etcd" --unsafe-no-fsync --listen-peer-urls http://127.0.0.1:2380 \
    --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \
    --client-cert-auth --trusted-ca-file "$P/ca.crt" --cert-file "$P/etcd.crt" --key-file "$P/etcd.key"
}

apiserver() { # listens on the node's own address only, so not on the machine's network
  start apiserver kube-apiserver --bind-address="$NODE_IP" --advertise-address="$NODE_IP" --secure-port=6443 --service-cluster-ip-range="$SERVICE_NET" \
    --etcd-servers=https://127.0.0.1:2379 --etcd-cafile="$P/ca.crt" --etcd-certfile="$P/apiserver.crt" --etcd-keyfile="$P/apiserver.key" \
    --tls-cert-file="$P/apiserver.crt" --tls-private-key-file="$P/apiserver.key" --client-ca-file="$P/ca.crt" \
    --service-account-key-file="$P/sa.pub" --service-account-signing-key-file="$P/sa.key" --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --enable-aggregator-routing=true \
    --kubelet-client-certificate="$P/admin.crt" --kubelet-client-key="$P/admin.key" --kubelet-certificate-authority="$P/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$P/ca.crt" --requestheader-allowed-names=front-proxy-client --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --requestheader-group-headers=X-Remote-Group --requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$P/front.crt" --proxy-client-key-file="$P/front.key"
}

controllers() { # the two autoscaler flags keep autoscaling tests short (defaults: 15s and 5m)
  local k=$P/controller-manager.kubeconfig
  start controller-manager kube-controller-manager --bind-address=127.0.0.1 --leader-elect=false \
    --kubeconfig="$k" --authentication-kubeconfig="$k" --authorization-kubeconfig="$k" --use-service-account-credentials=true \
    --root-ca-file="$P/ca.crt" --service-account-private-key-file="$P/sa.key" --cluster-signing-cert-file="$P/ca.crt" --cluster-signing-key-file="$P/ca.key" \
    --requestheader-client-ca-file="$P/ca.crt" --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-downscale-stabilization=15s
  start scheduler kube-scheduler --bind-address=127.0.0.1 --leader-elect=false --kubeconfig="$P/scheduler.kubeconfig" \
    --authentication-kubeconfig="$P/scheduler.kubeconfig" --authorization-kubeconfig="$P/scheduler.kubeconfig"
}

node() { # node ports answer on loopback and on the node's own address only; the zeros leave the machine's conntrack settings alone
  start kubelet kubelet --config="$STATE/etc/kubelet.yaml" --kubeconfig="$P/kubelet.kubeconfig" --root-dir="$STATE/kubelet" --cert-dir="$STATE/kubelet/pki" \
    --hostname-override="$NODE_NAME" --node-ip="$NODE_IP"
  start proxy kube-proxy --kubeconfig="$P/proxy.kubeconfig" --hostname-override="$NODE_NAME" --proxy-mode=iptables --cluster-cidr="$POD_NET" \
    --nodeport-addresses="127.0.0.0/8,$NODE_NET" --healthz-bind-address=127.0.0.1:10256 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
}

import() {
  local name archive
  while read -r name archive; do
    ctr -a "$CONTAINERD_SOCK" -n k8s.io images import "$archive" > "$LOG/import.log" 2>&1 ||
      { failed_log "importing $name" "$LOG/import.log" "remove $archive and run make cluster again"; return 1; }
  done < <("$HERE/images.sh" --list)
}

preflight
mkdir -p "$RUN" "$LOG"; chmod 700 "$STATE"
"$HERE/host.sh" save; "$HERE/host.sh" prepare
"$HERE/pki.sh"; "$HERE/native-config.sh"
etcd
start containerd containerd -c "$STATE/etc/containerd.toml"
apiserver
ready containerd 30 ctr -a "$CONTAINERD_SOCK" version
import & imported=$!
if [ "${CLUSTER_OWN_DOCKER:-1}" = 1 ]; then start dockerd dockerd --config-file "$STATE/etc/docker.json"; fi
ready apiserver 90 kubectl get --raw /readyz
controllers; node
wait "$imported"
ready kubelet 60 kubectl get node "$NODE_NAME"
if [ "${CLUSTER_OWN_DOCKER:-1}" = 1 ]; then ready dockerd 60 docker -H "unix://$DOCKER_SOCK" info; fi
ready kubelet 60 kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
ready proxy 30 curl -fsS http://127.0.0.1:10256/healthz
ready controller-manager 30 kubectl -n default get serviceaccount default
