#!/usr/bin/env bash
# Makes a Python environment below target/sql with DuckDB and the TPC-H generator, at fixed versions. Prints its folder of
# programs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh sql duckdb==1.5.2 tpchgen-cli==2.0.2
