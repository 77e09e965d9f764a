#!/usr/bin/env python3
"""TPC-H: the 22 queries over data of scale factor 0.1, by foggara-sql and by DuckDB; the rows must be equal.

Run with the Python that scripts/setup-sql.sh prints the folder of: tpch.py <foggara-sql>.
Numbers may differ by a millionth of their size; rows come in the same order, since every query says one.
"""
import datetime
import decimal
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import duckdb

from queries import QUERIES

TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]


def generate(folder):
    generator = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
    subprocess.run([generator, "-s", "0.1", "--format", "parquet", "--output-dir", folder], check=True, stdout=subprocess.DEVNULL)


def run_ours(program, work, dialect, script):
    for name in ("workspace", "warehouse"):
        os.makedirs(os.path.join(work, name), exist_ok=True)
    request = {
        "script": script, "dialect": dialect, "database": "default", "catalogue": work + "/catalogue",
        "warehouse": work + "/warehouse", "roots": [work], "workspace": work + "/workspace",
        "results": work + "/results", "result_rows": 0, "memory_bytes": 1 << 30, "time_limit_seconds": 600,
        "fault": work + "/fault",
    }
    path = work + "/request.json"
    with open(path, "w") as file:
        json.dump(request, file)
    done = subprocess.run([program, "run", "--request", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit("foggara-sql failed: " + done.stderr)
    body = subprocess.run([program, "results", "--folder", work + "/results"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(body)["sql_results"]


def same(text, value):
    """Whether our text says the same as DuckDB's value."""
    if value is None or text is None:
        return value is None and text is None
    if isinstance(value, (int, float, decimal.Decimal)):
        # A quotient of decimals has as many digits as Spark's rule gives it, DuckDB's is a double: half of the last digit.
        rounded = 0.5 * 10 ** -len(text.partition(".")[2]) if isinstance(value, float) and "E" not in text else 0
        return math.isclose(float(text), float(value), rel_tol=1e-6, abs_tol=max(rounded, 1e-9))
    if isinstance(value, datetime.date):
        return text == value.isoformat()
    return text == value


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        work = os.path.realpath(work)
        data = work + "/data"
        os.mkdir(data)
        generate(data)
        ddl = []
        other = duckdb.connect()
        for table in TABLES:
            # A folder per table, as Hive has it; the marker of a finished job must not be read.
            os.mkdir("%s/%s.d" % (data, table))
            os.rename("%s/%s.parquet" % (data, table), "%s/%s.d/0.parquet" % (data, table))
            open("%s/%s.d/_SUCCESS" % (data, table), "w").close()
            ddl.append("CREATE TABLE %s USING parquet LOCATION '%s/%s.d'" % (table, data, table))
            other.execute("CREATE VIEW %s AS SELECT * FROM '%s/%s.d/0.parquet'" % (table, data, table))
        run_ours(program, work, "spark", ";\n".join(ddl))
        faults = 0
        for dialect in ("hive", "spark"):
            begun = time.time()
            answers = run_ours(program, work, dialect, ";\n".join(QUERIES[number] for number in sorted(QUERIES)))
            print("%s: %.1f s" % (dialect, time.time() - begun))
            for index, number in enumerate(sorted(QUERIES)):
                want = other.execute(QUERIES[number]).fetchall()
                got = [list(row.values()) for row in answers[str(index)]]
                if not want:
                    print("query %d: DuckDB gives no rows, so nothing is compared" % number)
                    faults += 1
                wrong = [pair for pair in zip(got, want) if len(pair[0]) != len(pair[1]) or not all(map(same, *pair))]
                if len(got) != len(want) or wrong:
                    faults += 1
                    print("%s, query %d: %d rows, %d wanted; first difference %r" % (
                        dialect, number, len(got), len(want), wrong[:1]))
        print("TPC-H: %d queries in two dialects, %d faults" % (len(QUERIES), faults))
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
