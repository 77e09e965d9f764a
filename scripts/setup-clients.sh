#!/usr/bin/env bash
# Makes a Python environment below target/clients with the clients of OpenStack and Huawei that the tests use, at fixed versions.
# Prints its folder of programs. It is made again when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
packages="python-saharaclient==4.2.0 python-openstackclient==7.1.2 osc-lib==3.2.0 keystoneauth1==5.18.1 requests==2.34.2 huaweicloudsdkcore==3.1.219 huaweicloudsdkmrs==3.1.219"
place=${CARGO_TARGET_DIR:-target}/clients
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
