#!/usr/bin/env bash
# Remembers what the machine looked like before a native cluster, and puts it back.
#
#   host.sh save       once, before anything is started: links, firewall, sysctls, folders
#   host.sh prepare    what the cluster needs of the machine: forwarding, the node's address
#   host.sh restore    take away what the cluster left: mounts, network namespaces, links, chains, sysctls, cgroups, files
#
# Owns $RUN/before. Restoring removes only what is the cluster's by name and was not there before, and can be repeated.
# With nothing saved (the machine was restarted, so nothing is left either) it only unmounts: names alone prove no owner.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
BEFORE=$RUN/before
LINKS='kube0 cni0 mpdocker0'
# What kubelet, kube-proxy and the CNI plugins change on their way (found by comparing `sysctl -a`).
SYSCTLS='net.ipv4.ip_forward net.ipv4.conf.all.accept_redirects net.ipv4.conf.all.route_localnet net.bridge.bridge-nf-call-iptables
  net.bridge.bridge-nf-call-ip6tables net.ipv6.conf.all.forwarding vm.overcommit_memory vm.panic_on_oom
  kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes net.netfilter.nf_conntrack_max'
# Rules and chains of Kubernetes and the CNI plugins. Docker's are never touched: the cluster's own dockerd makes none.
CHAINS='KUBE- CNI-|cni0'
FOLDERS='/var/lib/cni /run/netns /run/containerd /run/docker /opt/containerd /opt/cni /var/lib/kubelet /var/log/containers /var/log/pods
  /var/lib/docker /var/lib/containerd /usr/libexec/kubernetes /etc/docker /etc/cni /run/runc /run/xtables.lock'

save() {
  [ ! -d "$BEFORE" ] || return 0
  mkdir -p "$BEFORE.new"
  for l in $LINKS; do if ip link show "$l" >/dev/null 2>&1; then echo "$l"; fi; done > "$BEFORE.new/links"
  iptables-save > "$BEFORE.new/iptables4" 2>/dev/null; ip6tables-save > "$BEFORE.new/iptables6" 2>/dev/null || true
  for k in $SYSCTLS; do sysctl -e "$k" 2>/dev/null || true; done > "$BEFORE.new/sysctls"
  ip netns list > "$BEFORE.new/netns"
  for f in $FOLDERS; do if [ -e "$f" ]; then echo "$f"; fi; done > "$BEFORE.new/folders"
  echo "$CACHE" > "$BEFORE.new/cache"   # whoever takes the cluster down may have another one
  mv "$BEFORE.new" "$BEFORE"
}

prepare() {
  modprobe -q br_netfilter 2>/dev/null || true; modprobe -q overlay 2>/dev/null || true
  sysctl -qw net.ipv4.ip_forward=1
  sysctl -qew net.bridge.bridge-nf-call-iptables=1
  # A bridge without ports serves as the node's own address; not every kernel has the dummy device.
  bridge kube0 "$NODE_IP/${NODE_NET#*/}"
  bridge mpdocker0 "$DOCKER_IP/${DOCKER_NET#*/}"
  iptables -t nat -A POSTROUTING -s "$DOCKER_NET" ! -o mpdocker0 -j MASQUERADE
  # For machines whose forwarding is closed by default: out of pods and builds, and the answers back in; nothing from outside.
  for b in cni0 mpdocker0; do
    iptables -A FORWARD -i $b -j ACCEPT
    iptables -A FORWARD -o $b -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  done
}
bridge() { # name, address with prefix
  ip link show "$1" >/dev/null 2>&1 || { ip link add "$1" type bridge; ip addr add "$2" dev "$1"; }
  ip link set "$1" up
}

knew() { [ -f "$BEFORE/$1" ] && grep -qxF -- "$2" "$BEFORE/$1"; }

unmount() { # everything below our folders, deepest first
  local m
  awk -v a="$RUN/" -v b="$STATE/" -v c="$(cat "$BEFORE/cache" 2>/dev/null || echo "$CACHE")/docker/" 'index($5, a) == 1 || index($5, b) == 1 || index($5, c) == 1 {print $5}' /proc/self/mountinfo |
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
  local ours="$NODE_IP|mpdocker0" chain table rules
  command -v "$1" >/dev/null || return 0
  for chain in $CHAINS; do   # those that were there before are somebody else's
    grep -qE "${chain%%|*}" "$BEFORE/$3" 2>/dev/null || ours+="|$chain"
  done
  rules=$($1 2>/dev/null)
  if grep -qE "$ours" <<<"$rules"; then
    grep -vE "$ours" <<<"$rules" | $2 || warn "could not take the cluster's rules out of $1"
  fi
  # A table that was not there before is taken away where it is empty again.
  command -v nft >/dev/null || return 0
  for table in $($1 2>/dev/null | sed -n 's/^\*//p'); do
    if ! grep -qxF "*$table" "$BEFORE/$3" 2>/dev/null && [[ $($1 -t "$table") != *$'\n-A '* && $($1 -t "$table") != *' - ['* ]]; then
      nft delete table "$([ "$3" = iptables4 ] && echo ip || echo ip6)" "$table" 2>/dev/null || true
    fi
  done
}

sysctls() { # another docker on the machine, which may have come since, needs forwarding
  if grep -q DOCKER <<<"$(iptables-save 2>/dev/null)"; then grep -v forward "$BEFORE/sysctls"; else cat "$BEFORE/sysctls"; fi | sysctl -qe -p - >/dev/null 2>&1
}

cgroups() { # deepest first; the kernel refuses those in use
  find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/modelport-docker*' \) -exec rmdir {} \; 2>/dev/null || true
}

files() {
  local f id
  for f in /var/lib/cni/results/modelport-*-eth0; do   # named NETWORK-CONTAINER-INTERFACE, and one of the loopback beside it
    id=${f%-eth0}; id=${id##*-}
    rm -f "$f" "/var/lib/cni/results/cni-loopback-$id-lo"
  done
  for f in /var/log/containers/*; do if [ -L "$f" ] && [[ $(readlink "$f") == "$STATE"/* ]]; then rm -f "$f"; fi; done
  knew folders /var/lib/kubelet || rm -f /var/lib/kubelet/device-plugins/kubelet.sock   # a path fixed in the kubelet
  # Folders that the programs insist on, where they came with us and no other engine may use them; rmdir leaves what has content.
  for f in $FOLDERS; do
    if knew folders "$f" || [ ! -d "$f" ]; then continue; fi
    case $f in *docker|*containerd|*runc) if pgrep -x 'dockerd|containerd' >/dev/null; then continue; fi ;; esac
    find "$f" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
}

restore() {
  set +e +o pipefail   # one thing that cannot be taken away must not keep the others here
  unmount
  if [ -d "$BEFORE" ]; then
    namespaces; links
    firewall iptables-save iptables-restore iptables4
    firewall ip6tables-save ip6tables-restore iptables6
    sysctls; cgroups; files
  fi
}

case ${1:-} in save|prepare|restore) "$1" ;; *) usage "$0" ;; esac
