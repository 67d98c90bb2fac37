# Paths, versions and messages shared by the scripts of this folder. Sourced, never run.
# shellcheck shell=bash disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
# shellcheck source=versions.env
. "$HERE/versions.env"

CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/modelport/cluster   # programs and images: survive `make cluster-down`
BIN=$CACHE/bin
DOT=$REPO/.cluster                  # kubeconfig and env of whichever cluster this clone uses; ignored by git
STATE=/var/lib/modelport-cluster    # a native cluster's data and logs: one such cluster a machine, so one fixed place
RUN=/run/modelport-cluster          # its sockets and pids; short, because a unix socket's path may have 107 characters
DOCKER_SOCK=$RUN/docker.sock
CONTAINERD_SOCK=$RUN/containerd.sock

say()  { printf 'cluster: %s\n' "$*"; }
warn() { printf 'cluster: warning: %s\n' "$*" >&2; }
die()  { printf 'cluster: error: %s\n' "$*" >&2; exit 1; }

# usage FILE: print the header comment of a script, for --help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

# program NAME: its columns "how package version" in versions.env.
program() { awk -v n="$1" '$1 == n {print $2, $3, $4}' <<<"$PROGRAMS"; }
version_of() { program "$1" | cut -d' ' -f3; }

# await SECONDS WHAT COMMAND...: poll until the command succeeds; 1 when time is over.
await() {
  local limit=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$limit" ] || { warn "waited in vain for $what"; return 1; }
    sleep 0.25
  done
}

# alive PID: runs, and is no zombie that nobody has collected yet.
alive() { [ -r "/proc/$1/stat" ] && [[ $(cat "/proc/$1/stat" 2>/dev/null) != *') Z '* ]]; }

# failed_log WHAT LOGFILE HINT: the three things to know when something breaks.
failed_log() {
  { printf '\ncluster: %s failed. The last lines of %s:\n' "$1" "$2"
    tail -n 20 "$2" 2>/dev/null | cut -c1-400 | sed 's/^/  | /'
    printf 'cluster: what to do: %s\n' "$3"; } >&2
}
