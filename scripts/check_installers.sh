#!/usr/bin/env bash
# Prove that uv, poetry, pdm and an old pip each install the project into a fresh copy, and that what they installed
# packs and serves. Tools that are not on the PATH are installed into environments of their own, which are kept in CACHE.
#
# usage: scripts/check_installers.sh [TOOL ...]     (default: pip uv poetry pdm)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OLD_PIP=23.2
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelport/installers}
work=$(mktemp -d)
server=""
tool=start
stop() {
  [[ -n $server ]] || return 0
  kill "$server"
  wait "$server" || [[ $? -eq 143 ]]
  server=""
}
finish() {
  local code=$?
  if ((code)); then
    tail -n 30 "$work/$tool"/*.log >&2 || true
    echo "$tool: FAILED" >&2
  fi
  stop || true
  rm -rf "$work"
}
trap finish EXIT

# pdm's own environment needs its `locked` extra: newer releases of what it builds on may break it.
declare -A package=([uv]=uv [poetry]=poetry [pdm]='pdm[locked]')

provide() {
  command -v "$1" >/dev/null && return
  [[ -x $CACHE/$1/bin/$1 ]] || { python3 -m venv "$CACHE/$1" && "$CACHE/$1/bin/pip" install --quiet "${package[$1]}"; }
  PATH=$PATH:$CACHE/$1/bin
}

copy() {
  mkdir -p "$1"
  git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
    [[ ! -e $file ]] || printf '%s\0' "$file"
  done | tar --null --files-from=- --create | tar --extract --directory "$1"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

declare -A run=([pip]=.venv/bin/ [uv]='uv run --no-sync ' [poetry]='poetry run ' [pdm]='pdm run ')

# Each word of a prefix is a word of the command: `uv run --no-sync modelport`.
become() { eval "exec ${run[$tool]}\"\$@\""; }
in_env() ( become "$@" )

ask() {
  local port
  port=$(free_port)
  in_env start-server --show-settings >settings.log
  grep -q '^MODELPORT_API_PORT .*default$' settings.log
  in_env python examples/iris.py models >/dev/null
  # `become`, not `in_env`: $! must be the server itself for it to be stopped.
  MODELPORT_MODEL_ROOT=models become start-server --port "$port" >server.log 2>&1 &
  server=$!
  curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors --output /dev/null \
    "http://127.0.0.1:$port/health" 2>/dev/null
  curl --silent --fail "http://127.0.0.1:$port/predict" --json '{"features": [5.1, 3.5, 1.4, 0.2]}' |
    grep -o '"prediction_class":"setosa"'
  stop
}

# poetry asks the default index for JSON. Behind a mirror that serves only HTML pages it needs to be told to read those.
index() {
  echo "${PIP_INDEX_URL:-$(python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)')}"
}
speaks_json() {
  curl --silent --location --header 'Accept: application/vnd.pypi.simple.v1+json' "$(index)/pip/" | grep -q '^{'
}

install() {
  if [[ $tool == pip ]]; then
    python3 -m venv .venv && .venv/bin/python -m pip install --quiet "pip==$OLD_PIP"
  else
    provide "$tool"
  fi
  if [[ $tool == poetry ]] && ! speaks_json; then
    poetry source add --quiet --priority=primary index "$(index)"
  fi
  scripts/setup_env.sh --with "$tool" >install.log 2>&1
}

unset VIRTUAL_ENV
export POETRY_VIRTUALENVS_IN_PROJECT=true
tools=("$@")
[[ $# -gt 0 ]] || tools=(pip uv poetry pdm)
for tool in "${tools[@]}"; do
  started=$SECONDS
  copy "$work/$tool"
  pushd "$work/$tool" >/dev/null
  install
  ask
  popd >/dev/null
  rm -rf "${work:?}/$tool"
  echo "$tool: installs, starts and predicts ($((SECONDS - started)) s)"
done
