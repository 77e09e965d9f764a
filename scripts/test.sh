#!/usr/bin/env bash
# Every gate and every test, from a clean checkout: needs Rust, Python 3 and a C compiler, and installs the rest from the
# package registries (PostgreSQL, client libraries, Spark, a JDK). Prints the seconds of each phase.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd)
target=${CARGO_TARGET_DIR:-$root/target}
began=$SECONDS
phase_began=$SECONDS
phase=

finish_phase() { [ -z "$phase" ] || printf -- '--- %s: %d s\n' "$phase" $((SECONDS - phase_began)); }
begin() {
  finish_phase
  phase=$1
  phase_began=$SECONDS
  printf -- '=== %s\n' "$phase"
}
trap 'status=$?; finish_phase; scripts/test-postgres.sh stop >/dev/null 2>&1 || true; [ $status = 0 ] || echo "FAILED in: $phase"; exit $status' EXIT

begin "format and dependencies"
cargo fmt --all --check
python3 scripts/check-deps.py
if command -v cargo-deny >/dev/null; then cargo deny --all-features check licenses bans sources; fi

begin "what the tests need: PostgreSQL, client libraries"
scripts/test-postgres.sh start
clients=$(scripts/setup-clients.sh)

begin "clippy"
cargo clippy --workspace --all-targets --features foggara/failpoints --locked -- -D warnings

begin "build of the tests"
cargo build --workspace --all-targets --features foggara/failpoints --locked

begin "Spark, by our own installer"
SPARK_HOME=$(scripts/setup-spark.sh "$target/debug/foggara")
export SPARK_HOME
[ -x "$SPARK_HOME/bin/spark-submit" ]

begin "tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --features foggara/failpoints --locked --profile ci
else
  cargo test --workspace --features foggara/failpoints --locked --no-fail-fast
fi

begin "recorded answers of Sahara"
"$clients/python" tests/golden/run.py "$target/debug/foggara" >"$target/golden.log" 2>&1 || { tail -n 60 "$target/golden.log"; exit 1; }
grep -E '(skipped|passed),' "$target/golden.log"

begin "unmodified clients"
FOGGARA_BIN=$target/debug/foggara "$clients/python" tests/clients/run.py

begin "a real Keystone"
keystone=$(scripts/setup-keystone.sh)
"$keystone/python" tests/keystone/client.py
FOGGARA_KEYSTONE_TRUSTS=1 FOGGARA_BIN=$target/debug/foggara "$keystone/python" tests/keystone/test_keystone.py
FOGGARA_BIN=$target/debug/foggara "$keystone/python" tests/keystone/test_same_suite.py

begin "an S3 server and client of other people"
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-s3.sh)/python" tests/s3/run.py

begin "tempest, with Sahara's own plugin"
FOGGARA_BIN=$target/debug/foggara "$(scripts/setup-tempest.sh)/python" tests/tempest/run.py

begin "release build"
cargo build --release --locked

begin "quickstart"
"$target/release/foggara" quickstart --data-dir "$target/quickstart"
"$target/release/foggara" quickstart --spark --data-dir "$target/quickstart"

begin "20 random kills of the release program"
python3 scripts/kill9.py "$target/release/foggara" 20

begin "all"
printf 'all phases done in %d s\n' $((SECONDS - began))
