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

# An archive of classes halves what it costs to start Spark (foggara_testkit::java uses it). Without one the tests only take longer.
archive() {
  local home=$1 work
  [ -f "$home/classes.jsa" ] && return
  work=$(mktemp -d)
  if (
    cp tests/spark/classes.py "$work"
    cd "$work"
    SPARK_HOME=$home SPARK_LOCAL_IP=127.0.0.1 "$home/bin/spark-submit" --master 'local[1]' --conf spark.ui.enabled=false --conf \
      "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable -XX:ArchiveClassesAtExit=$work/classes.jsa" \
      classes.py
  ) >"$place/archive.log" 2>&1 9>&- && mv "$work/classes.jsa" "$home/"; then :; else
    echo "setup-spark: no archive of classes was made; $place/archive.log says why, and the tests take longer" >&2
  fi
  rm -rf "$work"
}

for home in "$place"/engines/spark/lib/python3*/site-packages/pyspark; do
  [ -x "$home/bin/spark-submit" ] || continue
  archive "$home"
  echo "$home"
  exit 0
done
echo "setup-spark: the installer left no spark-submit below $place" >&2
exit 1
