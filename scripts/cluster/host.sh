#!/usr/bin/env bash
# Remembers what the machine looked like before a native cluster, and puts it back.
#
#   host.sh save       once, before anything is started: links, firewall, sysctls, folders
#   host.sh prepare    what the cluster needs of the machine: forwarding, the node's address
#   host.sh restore    take away what the cluster left: mounts, network namespaces, links, chains, sysctls, cgroups, files
#
# Owns $RUN/before. Restoring removes only what is the cluster's by name and was not there before; it can be repeated, and
# works without anything saved (then everything that bears the cluster's names goes).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
BEFORE=$RUN/before
LINKS='kube0 cni0 docker0'
# What kubelet, kube-proxy, the CNI plugins and dockerd change on their way (found by comparing `sysctl -a`).
SYSCTLS='net.ipv4.ip_forward net.ipv4.conf.all.route_localnet net.ipv4.conf.default.forwarding net.bridge.bridge-nf-call-iptables
  net.bridge.bridge-nf-call-ip6tables net.ipv6.conf.all.forwarding net.ipv6.conf.default.forwarding vm.overcommit_memory vm.panic_on_oom
  kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes net.netfilter.nf_conntrack_max'
# Rules and chains: of Kubernetes, of the CNI plugins (portmap, and the bridge's masquerading), of docker.
CHAINS='KUBE-|CNI-|DOCKER|cni0|docker0'
FOLDERS='/var/lib/cni /run/netns /run/containerd /run/docker /opt/containerd /opt/cni /var/lib/kubelet /var/log/containers /var/log/pods
  /var/lib/docker /var/lib/containerd /usr/libexec/kubernetes /etc/docker /etc/cni /run/xtables.lock'

save() {
  [ ! -d "$BEFORE" ] || return 0
  mkdir -p "$BEFORE.new"
  for l in $LINKS; do if ip link show "$l" >/dev/null 2>&1; then echo "$l"; fi; done > "$BEFORE.new/links"
  iptables-save > "$BEFORE.new/iptables4" 2>/dev/null; ip6tables-save > "$BEFORE.new/iptables6" 2>/dev/null || true
  for k in $SYSCTLS; do sysctl -e "$k" 2>/dev/null || true; done > "$BEFORE.new/sysctls"
  ip netns list > "$BEFORE.new/netns"
  for f in $FOLDERS; do if [ -e "$f" ]; then echo "$f"; fi; done > "$BEFORE.new/folders"
  mv "$BEFORE.new" "$BEFORE"
}

prepare() {
  modprobe -q br_netfilter 2>/dev/null || true; modprobe -q overlay 2>/dev/null || true
  sysctl -qw net.ipv4.ip_forward=1
  sysctl -qew net.bridge.bridge-nf-call-iptables=1
  # A bridge without ports serves as the node's own address; not every kernel has the dummy device.
  ip link show kube0 >/dev/null 2>&1 || { ip link add kube0 type bridge; ip addr add "$NODE_IP/${NODE_NET#*/}" dev kube0; }
  ip link set kube0 up
}

knew() { [ -f "$BEFORE/$1" ] && grep -qxF -- "$2" "$BEFORE/$1"; }

unmount() { # everything below our folders, deepest first
  local m
  awk -v a="$RUN/" -v b="$STATE/" -v c="$CACHE/docker/" 'index($5, a) == 1 || index($5, b) == 1 || index($5, c) == 1 {print $5}' /proc/self/mountinfo |
    sort -r | while read -r m; do umount -l "$(printf '%b' "$m")" 2>/dev/null || true; done
}

namespaces() {
  local n
  ip netns list 2>/dev/null | cut -d' ' -f1 | grep '^cni-' | while read -r n; do
    knew netns "$n" || ip netns delete "$n" 2>/dev/null || true
  done
  # An entry that no longer is a namespace cannot be deleted by ip.
  for n in /run/netns/cni-*; do [ ! -e "$n" ] || { umount -l "$n" 2>/dev/null || true; rm -f "$n"; }; done
  if ! knew folders /run/netns && [ -d /run/netns ] && [ -z "$(ls -A /run/netns)" ]; then umount -l /run/netns 2>/dev/null || true; rmdir /run/netns; fi
}

links() { local l; for l in $LINKS; do knew links "$l" || ip link delete "$l" 2>/dev/null || true; done; }

firewall() { # save command, restore command, name of what was saved
  local ours=$CHAINS table policies
  command -v "$1" >/dev/null || return 0
  # Somebody else's docker or Kubernetes: leave theirs, take only what names our own addresses.
  if [ -s "$BEFORE/$3" ] && grep -qE 'DOCKER|KUBE-|CNI-' "$BEFORE/$3"; then ours="cni0|kube0|${POD_NET%/*}|${NODE_IP}"; fi
  if $1 2>/dev/null | grep -qE "$ours"; then
    $1 2>/dev/null | grep -vE "$ours" | $2 || warn "could not take the cluster's rules out of $1"
  fi
  # dockerd may set FORWARD to DROP; and a table that was not there before is taken away where it is empty again.
  policies=$(sed -n 's/^:FORWARD \(ACCEPT\|DROP\).*/\1/p' "$BEFORE/$3" 2>/dev/null | tail -n 1)
  ${1%-save} -P FORWARD "${policies:-ACCEPT}" 2>/dev/null || true
  command -v nft >/dev/null || return 0
  for table in $($1 2>/dev/null | sed -n 's/^\*//p'); do
    if ! grep -qxF "*$table" "$BEFORE/$3" 2>/dev/null && ! $1 -t "$table" | grep -qE '^-A'; then
      nft delete table "$([ "$3" = iptables4 ] && echo ip || echo ip6)" "$table" 2>/dev/null || true
    fi
  done
}

cgroups() { # deepest first; the kernel refuses those in use
  find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/modelport-docker*' \) -exec rmdir {} \; 2>/dev/null || true
}

files() {
  local f
  rm -f /var/lib/cni/results/modelport-* 2>/dev/null
  for f in /var/log/containers/*; do if [ -L "$f" ] && [[ $(readlink "$f") == "$STATE"/* ]]; then rm -f "$f"; fi; done
  # Folders that the programs insist on, where they came with us; rmdir leaves what has content.
  for f in $FOLDERS; do knew folders "$f" || { [ ! -d "$f" ] || find "$f" -depth -type d -exec rmdir {} \; 2>/dev/null || true; }; done
}

restore() {
  unmount; namespaces; links
  firewall iptables-save iptables-restore iptables4
  firewall ip6tables-save ip6tables-restore iptables6
  if [ -f "$BEFORE/sysctls" ]; then sysctl -qe -p "$BEFORE/sysctls" >/dev/null 2>&1 || true; fi
  cgroups; files
}

case ${1:-} in save|prepare|restore) "$1" ;; *) usage "$0" ;; esac
