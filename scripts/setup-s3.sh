#!/usr/bin/env bash
# Makes a Python environment below target/s3 with an S3 server of other people (moto) and their client (boto3), at fixed
# versions. Prints its folder of programs. It is made again when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
packages="moto[s3]==5.2.5 boto3==1.44.8 Flask==3.1.3 flask-cors==6.0.5"
place=${CARGO_TARGET_DIR:-target}/s3
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
