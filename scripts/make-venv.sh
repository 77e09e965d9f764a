#!/usr/bin/env bash
# make-venv.sh NAME PACKAGE...: a Python environment below target/NAME with these packages. Prints its folder of programs. It is made
# again when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
place=${CARGO_TARGET_DIR:-target}/$1
shift
mkdir -p "$place"
place=$(cd "$place" && pwd)
exec 9>"$place.lock"
flock 9
if [ "$(cat "$place/made-of" 2>/dev/null)" != "$*" ]; then
  rm -rf "$place"
  # Debian keeps the module `venv` in a package of its own, so that is installed where it is missing and can be.
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      { apt-get install -y -qq python3-venv || { apt-get update -qq && apt-get install -y -qq python3-venv; }; } >&2
    else
      echo "make-venv: Python 3 with the module venv is needed (on Debian: apt-get install python3-venv)" >&2
      exit 1
    fi
  fi
  python3 -m venv "$place"
  "$place/bin/pip" install -q --disable-pip-version-check "$@" >&2
  echo "$*" >"$place/made-of"
fi
echo "$place/bin"
