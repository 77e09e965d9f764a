#!/usr/bin/env bash
# setup-spark.sh FOGGARA: Spark for the tests, by the program's own installer, in a data directory below target/ that later
# runs find again; and a JDK, with which the tests compile their Java jobs. Prints the home of Spark.
set -euo pipefail
cd "$(dirname "$0")/.."
foggara=$1
oldest_java=17
place=${CARGO_TARGET_DIR:-target}/spark
mkdir -p "$place"
place=$(cd "$place" && pwd)
exec 9>"$place.lock"
flock 9

new_enough() {
  local version
  command -v javac >/dev/null || return 1
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${version:-0}" -ge $oldest_java ]
}

# Debian 12 has 17, Debian 13 has 21.
install_jdk() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  local package
  for package in openjdk-17-jdk-headless openjdk-21-jdk-headless; do
    { apt-get install -y -qq "$package" || { apt-get update -qq && apt-get install -y -qq "$package"; }; } >&2 && return
  done
  return 1
}

if ! new_enough; then
  install_jdk || true
  new_enough || {
    echo "setup-spark: the tests need a JDK $oldest_java or newer with javac on PATH (on Debian: openjdk-17-jdk-headless)" >&2
    exit 1
  }
fi
# An older Spark of the environment must not stand in for the one that is installed here.
env -u SPARK_HOME "$foggara" engines install spark --data-dir "$place" 9>&- >&2
for home in "$place"/engines/spark/lib/python3*/site-packages/pyspark; do
  [ -x "$home/bin/spark-submit" ] && echo "$home" && exit 0
done
echo "setup-spark: the installer left no spark-submit below $place" >&2
exit 1
