#!/usr/bin/env bash
# Makes a Python environment below target/mrs-clients with the clients of Open Telekom Cloud, which need an older openstacksdk than
# others (decision 32). Prints its folder of programs. It is made again when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
packages="otcextensions==0.34.8 openstacksdk==4.4.0 python-openstackclient==7.1.2 osc-lib==3.2.0 keystoneauth1==5.18.1 setuptools==80.9.0"
place=${CARGO_TARGET_DIR:-target}/mrs-clients
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
