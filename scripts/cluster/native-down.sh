#!/usr/bin/env bash
# Ends a native cluster and leaves the machine as it was: processes, mounts, links, rules, namespaces, files.
#
#   native-down.sh [--purge]     --purge also removes docker's data in the cache (programs and images stay)
#
# Works after a half-failed start and can be repeated. It ends processes by what is theirs alone: the mark that
# native-up.sh puts into the environment (shims and helpers inherit it) and the cgroups of kubelet and of our dockerd.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
if [ ! -e "$RUN" ] && [ ! -e "$STATE" ] && [ "${1:-}" != --purge ]; then exit 0; fi
[ "$(id -u)" = 0 ] || die "a native cluster was started by root; run this as root"

marked() { # [component] -> pids
  { grep -lsz "^CLUSTER_COMPONENT=$RUN/${1:-}" /proc/[0-9]*/environ || true; } | cut -d/ -f3
}
contained() { # pids in the cgroups of pods and of docker's containers
  find /sys/fs/cgroup -path '*/kubepods*' -name cgroup.procs -exec cat {} + -o -path '*/modelport-docker*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un
}
end() { # signal, pids
  local sig=$1; shift
  [ $# = 0 ] || kill -s "$sig" "$@" 2>/dev/null
}
gone() { # seconds, function and its arguments: wait until it names no pid
  local limit=$((SECONDS + $1)); shift
  while [ -n "$("$@")" ]; do [ "$SECONDS" -lt "$limit" ] || return 1; sleep 0.1; done
}

# Nobody may start containers any more; dockerd gets time to let go of its containers and layers itself.
# shellcheck disable=SC2046
{
  end TERM $(marked kubelet) $(marked proxy) $(marked controller-manager) $(marked scheduler) $(marked dockerd)
  gone 3 marked kubelet || end KILL $(marked kubelet)
  end KILL $(contained)
  gone 10 marked dockerd || end KILL $(marked dockerd)
  end KILL $(contained)
  gone 5 contained || warn "processes in the cluster's cgroups do not end: $(contained | tr '\n' ' ')"
  shims=$(cat "$RUN"/containerd/io.containerd.runtime.v2.task/*/*/address 2>/dev/null)
  end TERM $(marked)
  gone 2 marked || end KILL $(marked)      # shims ignore the first signal
  gone 5 marked || warn "processes of the cluster do not end: $(marked | tr '\n' ' ')"
}
for s in ${shims//unix:\/\//}; do [[ $s != /run/containerd/s/* ]] || rm -f "$s"; done

"$HERE/host.sh" restore
for d in "$RUN" "$STATE"; do
  if grep -q " $d/" /proc/self/mountinfo; then warn "something is still mounted below $d; left as it is"; status=1
  else rm -rf --one-file-system "$d"; fi
done
if [ "${1:-}" = --purge ]; then rm -rf --one-file-system "$CACHE/docker"; fi
exit "${status:-0}"
