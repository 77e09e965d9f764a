#!/usr/bin/env bash
# make-venv.sh DIR: an empty Python environment. Debian keeps the module `venv` in a package of its own, so that is
# installed where it is missing and can be.
set -euo pipefail
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get install -y -qq python3-venv || { apt-get update -qq && apt-get install -y -qq python3-venv; }; } >&2
  else
    echo "make-venv: Python 3 with the module venv is needed (on Debian: apt-get install python3-venv)" >&2
    exit 1
  fi
fi
exec python3 -m venv "$1"
