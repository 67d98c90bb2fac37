#!/usr/bin/env bash
# Installs the Debian packages of a native cluster, those that are missing, without starting a service of theirs.
#
#   packages.sh
#
# Why by package: the machine's own package manager knows how to take them away again; nothing is copied over its files.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing_of() { local p; for p in $1; do installed "$p" || printf '%s ' "$p"; done; }

# etcd and the rest by command name, for a Linux that is no Debian.
if ! command -v apt-get >/dev/null; then
  for c in containerd runc dockerd etcd iptables ip conntrack debootstrap openssl gcc; do
    command -v "$c" >/dev/null || lacking+=" $c"
  done
  [ -z "${lacking:-}" ] || die "no apt-get here; install these by hand, or install kind or minikube instead:$lacking"
  [ -x /usr/lib/cni/bridge ] || die "no apt-get here; put the CNI plugins into /usr/lib/cni by hand, or install kind or minikube instead"
  exit 0
fi

wanted=$(missing_of "$PACKAGES")
known=$(missing_of "$PACKAGES_IF_KNOWN")
[ -n "$wanted$known" ] || exit 0
start=$SECONDS log=$(mktemp)
# A mirror that is down need not matter: what counts is whether the packages can be had.
apt-get update > "$log" 2>&1 || warn "apt-get update had errors (see $log); going on with the lists there are"
for p in $known; do if apt-cache show "$p" >/dev/null 2>&1; then wanted+="$p "; fi; done
[ -n "${wanted// }" ] || { rm -f "$log"; exit 0; }

# policy-rc.d is Debian's way to say "install, but start nothing": the cluster starts its own, apart from the machine's.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
# shellcheck disable=SC2086  # a list of names
if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $wanted >> "$log" 2>&1; then
  failed_log "installing Debian packages ($wanted)" "$log" "run apt-get update and apt-get install by hand and see what it says"
  exit 1
fi
rm -f "$log"
say "installed Debian packages in $((SECONDS - start)) s: $wanted"
