#!/usr/bin/env bash
# setup-flink.sh: Flink's own jars for the tests, below target/flink. Prints the folder that holds lib/, which is what FLINK_HOME
# names. The tests compile their jobs against it, so a JDK is needed too: scripts/setup-spark.sh installs one.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(scripts/make-venv.sh flink apache-flink-libraries==2.3.0)
for home in "$bin"/../lib/python3*/site-packages/pyflink; do
  [ -d "$home/lib" ] && cd "$home" && pwd && exit 0
done
echo "setup-flink: the package left no lib folder below $bin" >&2
exit 1
