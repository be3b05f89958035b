#!/usr/bin/env bash
# Puts uv, pinned and checked by hash, into a virtual environment of its own: bootstrap.sh PYTHON FOLDER LOCK
set -euo pipefail
python=$1 folder=$2 lock=$3

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

[ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  fail "TabRL needs Python 3.11; install it, or name it: make up PYTHON=/path/to/python3.11"

create() { "$python" -m venv "$folder"; }
if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
  if ! create >/dev/null 2>&1; then
    # Debian keeps ensurepip in a package of its own
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3.11-venv
    fi
    create || fail "this Python cannot make virtual environments; on Debian: apt-get install python3.11-venv"
  fi
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock"
