#!/usr/bin/env bash
# Every gate and every test, from a clean checkout: needs Rust, Python 3 and a C compiler, and installs the rest from the
# package registries (PostgreSQL, client libraries, Spark, Flink, a JDK). Prints the seconds of each phase.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd)
target=${CARGO_TARGET_DIR:-$root/target}
began=$SECONDS
phase_began=$SECONDS
phase=
build=

finish_phase() { [ -z "$phase" ] || printf -- '--- %s: %d s\n' "$phase" $((SECONDS - phase_began)); }
begin() {
  finish_phase
  phase=$1
  phase_began=$SECONDS
  printf -- '=== %s\n' "$phase"
}
trap 'status=$?; finish_phase; [ -z "$build" ] || kill "$build" 2>/dev/null || true; scripts/test-postgres.sh stop >/dev/null 2>&1 || true; [ $status = 0 ] || echo "FAILED in: $phase"; exit $status' EXIT

begin "format and dependencies"
cargo fmt --all --check
python3 scripts/check-deps.py
if command -v cargo-deny >/dev/null; then cargo deny --all-features check licenses bans sources; fi

begin "what the tests need: PostgreSQL, client libraries"
scripts/test-postgres.sh start
clients=$(scripts/setup-clients.sh)

begin "build of the tests, by clippy"
# What `cargo clippy` does with a check, done with the build: our crates are compiled by clippy, which refuses what it does not like.
export RUSTC_WORKSPACE_WRAPPER=clippy-driver
export CLIPPY_ARGS="-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__"
# The embedded SQL engine is built apart: with the rest its features would mix.
rest="--workspace --exclude foggara-sqljob --features foggara/failpoints --locked"
sql="-p foggara-sqljob --locked"
# shellcheck disable=SC2086 # lists of words, here and below
cargo build $rest --all-targets

# What is needed later is built beside suites that wait more than they compute, with what they leave of the processors.
# shellcheck disable=SC2086
nice -n 19 cargo build --profile sql-test $sql --all-targets >"$target/engine.log" 2>&1 &
build=$!

begin "recorded answers of Sahara"
"$clients/python" tests/golden/run.py "$target/debug/foggara" >"$target/golden.log" 2>&1 || { tail -n 60 "$target/golden.log"; exit 1; }
grep -E '(skipped|passed),' "$target/golden.log"

begin "a real Keystone"
keystone=$(scripts/setup-keystone.sh)
"$keystone/python" tests/keystone/client.py
FOGGARA_KEYSTONE_TRUSTS=1 FOGGARA_BIN=$target/debug/foggara "$keystone/python" tests/keystone/test_keystone.py
FOGGARA_BIN=$target/debug/foggara "$keystone/python" tests/keystone/test_same_suite.py

begin "an S3 server and client of other people"
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-s3.sh)/python" tests/s3/run.py

begin "a real Swift, alone and with Keystone"
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-swift.sh)/python" tests/swift/run.py
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-swift.sh)/python" tests/swift/cloud.py

begin "tempest, with Sahara's own plugin"
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-tempest.sh)/python" tests/tempest/run.py

begin "the rest of the build of the embedded SQL engine"
wait "$build" || { tail -n 60 "$target/engine.log"; exit 1; }
build=
export FOGGARA_SQL=$target/sql-test/foggara-sql

begin "Spark and Flink"
SPARK_HOME=$(scripts/setup-spark.sh "$target/debug/foggara")
export SPARK_HOME
[ -x "$SPARK_HOME/bin/spark-submit" ]
FLINK_HOME=$(scripts/setup-flink.sh)
export FLINK_HOME

begin "tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run $rest --profile ci
  cargo nextest run --cargo-profile sql-test $sql --profile ci
else
  cargo test $rest --no-fail-fast
  cargo test --profile sql-test $sql --no-fail-fast
fi

begin "TPC-H by the embedded SQL engine and by DuckDB"
"$(scripts/setup-sql.sh)/python" tests/sql/tpch.py "$FOGGARA_SQL"

begin "unmodified clients"
FOGGARA_OTC=$(scripts/setup-mrs-clients.sh)
export FOGGARA_OTC
FOGGARA_BIN=$target/debug/foggara "$clients/python" tests/clients/run.py

begin "quickstart"
# As the README's first command, by the program that is there: a release build takes minutes more and runs the same code.
quickstart() { "$target/debug/foggara" quickstart --data-dir "$target/quickstart" "$@" | tee "$target/quickstart.log"; }
quickstart
grep -q '^SQL  .*cargo build --release -p foggara-sqljob' "$target/quickstart.log"
FOGGARA__SQL__PROGRAM=$FOGGARA_SQL quickstart
grep -q '^SQL  .*SUCCEEDED .* by the embedded engine' "$target/quickstart.log"
quickstart --spark

begin "20 random kills"
python3 scripts/kill9.py "$target/debug/foggara" 20

begin "all"
printf 'all phases done in %d s\n' $((SECONDS - began))
