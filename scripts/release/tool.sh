#!/usr/bin/env bash
# Prints the path of a tool of the release, installed from the hash-locked requirements into an environment of its own.
#
#   tool.sh cyclonedx-py|pip-audit
set -euo pipefail
cd "$(dirname "$0")/../.."
LOCK=scripts/release/requirements.txt
home=${XDG_CACHE_HOME:-$HOME/.cache}/modelport/release/$(sha256sum "$LOCK" | cut -c1-16)
if [ ! -x "$home/bin/$1" ]; then
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$home"
  .venv/bin/uv pip install --quiet --python "$home/bin/python" --require-hashes -r "$LOCK"
fi
printf '%s\n' "$home/bin/$1"
