#!/usr/bin/env bash
# Makes a Python environment below target/sql with DuckDB and the TPC-H generator, at fixed versions.
# Prints its folder of programs. It is made again when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
packages="duckdb==1.5.2 tpchgen-cli==2.0.2"
place=${CARGO_TARGET_DIR:-target}/sql
mkdir -p "$place"
place=$(cd "$place" && pwd)
exec 9>"$place.lock"
flock 9
if [ "$(cat "$place/made-of" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$place"
  scripts/make-venv.sh "$place"
  # shellcheck disable=SC2086 # a list of words
  "$place/bin/pip" install -q --disable-pip-version-check $packages >&2
  echo "$packages" >"$place/made-of"
fi
echo "$place/bin"
