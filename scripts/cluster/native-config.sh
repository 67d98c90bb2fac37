#!/usr/bin/env bash
# Writes the configuration files of a native cluster's containerd, CNI, kubelet and dockerd.
#
#   native-config.sh
#
# Owns $STATE/etc. Only what differs from a default and why; command-line flags are in native-up.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
mkdir -p "$STATE/etc/cni"; cd "$STATE/etc"

# restrict_oom_score_adj: some machines forbid root to lower it, and runc then fails with "can't get final child's PID from pipe".
# SystemdCgroup and cgroupDriver: cgroupfs works on every machine, cgroup v1 and v2, with systemd or without.
cat > containerd.toml <<C
version = 2
root = "$STATE/containerd"
state = "$RUN/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$CONTAINERD_SOCK"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:$PAUSE_VERSION"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "$RUN/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/etc/cni"
C

cat > cni/10-modelport.conflist <<C
{"cniVersion": "1.0.0", "name": "modelport", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni", "ranges": [[{"subnet": "$POD_NET"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
C

# Pods get the machine's name servers, less those on loopback, which inside a pod would be the pod itself.
source=/etc/resolv.conf
if [ -s /run/systemd/resolve/resolv.conf ]; then source=/run/systemd/resolve/resolv.conf; fi
grep -E '^nameserver' $source | grep -vE '^nameserver +(127\.|::1)' > resolv.conf || echo 'nameserver 127.0.0.1' > resolv.conf

# Evictions and image collection are off: a test machine's disk is often rather full. failCgroupV1 exists for old cgroup set-ups.
# syncFrequency: changed Secrets and ConfigMaps are in the pods after some seconds, so that tests need not wait (default: 1m).
cat > kubelet.yaml <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet.crt
tlsPrivateKeyFile: $STATE/pki/kubelet.key
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$CONTAINERD_SOCK
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
syncFrequency: 10s
resolvConf: $STATE/etc/resolv.conf
podLogsDir: $STATE/pods
volumePluginDir: $STATE/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: "100Mi"}
C

rm -rf "$CACHE/docker/network"   # what an earlier dockerd remembers of its networks
# host.sh makes docker's bridge and its one rule: DOCKER chains belong to another docker on the machine, if there is one.
# docker's data stays in the cache, so that a second \`make images\` finds its layers; its build cache is kept below 10 GB.
cat > docker.json <<C
{"data-root": "$CACHE/docker", "exec-root": "$RUN/docker", "pidfile": "$RUN/docker.pid", "hosts": ["unix://$DOCKER_SOCK"],
 "containerd": "$CONTAINERD_SOCK", "bridge": "mpdocker0", "iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false, "cgroup-parent": "/modelport-docker", "shutdown-timeout": 2,
 "features": {"buildkit": true}, "builder": {"gc": {"enabled": true, "defaultKeepStorage": "10GB"}}}
C
