#!/usr/bin/env bash
# Install Modelport with the tool that is here, create .env from .env.example, and say what to do next.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: scripts/setup_env.sh [--with uv|poetry|pdm|pip]

Installs the project and what it needs to pack and serve, without development tools, into an environment of the
repository. The first of uv, poetry, pdm and pip that is found is used, unless --with names one. An .env that exists is
left as it is.

PYTHON=/path/to/python3.12 chooses the interpreter; it must be 3.11 or newer.
TEXT
}

fail() {
  echo "setup_env.sh: $1" >&2
  exit "${2:-1}"
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
    if is_recent "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed: install it, or name it: PYTHON=/path/to/python3 scripts/setup_env.sh"
}

find_tool() {
  local candidate
  for candidate in uv poetry pdm; do
    if command -v "$candidate" >/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo pip
}

# Each installs into an environment of its own choosing; `run` starts a program of that environment.
install_uv() {
  uv sync --python "$1" --no-dev --inexact # what else is in .venv, such as the development tools of `make`, stays
  run="uv run --no-sync "
}
install_poetry() {
  poetry env use "$1"
  poetry install --only main
  run="poetry run "
}
install_pdm() {
  pdm use --first "$1"
  pdm install --prod
  run="pdm run "
}
install_pip() {
  [[ -x .venv/bin/python ]] || "$1" -m venv .venv
  .venv/bin/python -m pip install --editable .
  run=".venv/bin/"
}

tool=""
while (($#)); do
  case $1 in
    -h | --help) usage && exit ;;
    --with)
      [[ -n ${2:-} ]] || fail "--with needs one of uv, poetry, pdm, pip" 2
      tool=$2
      shift 2
      ;;
    *) fail "$1 is not an option; --help shows what there is" 2 ;;
  esac
done
tool=${tool:-$(find_tool)}
case $tool in
  pip) ;;
  uv | poetry | pdm) command -v "$tool" >/dev/null || fail "$tool is not installed; leave --with out, or install it" ;;
  *) fail "--with $tool: expected uv, poetry, pdm or pip" 2 ;;
esac

python=$(find_python)
echo "installing with $tool and $python ..."
"install_$tool" "$python"
if [[ -e .env ]]; then
  echo ".env is there and stays as it is"
else
  cp .env.example .env
  echo ".env was made from .env.example: every line is a comment until you change it"
fi
cat <<TEXT

Done. Next, pack an estimator and serve it:
  ${run}python examples/iris.py
  ${run}modelport serve models
TEXT
