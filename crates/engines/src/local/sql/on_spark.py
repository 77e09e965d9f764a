"""Runs the statements of a request file on Spark and keeps their rows beside the job's logs.

Started by spark-submit with the request's path as its argument (crates/domain/src/sql.rs says what stands in it), and with
`--shared` after it where the tables are those of a metastore elsewhere.
"""
import fcntl
import json
import os
import re
import sys
import threading
import time


def split(script):
    """The statements of a script: `;` ends one, except in strings, quoted names and comments."""
    statements, begun, at = [], 0, 0
    while at < len(script):
        letter = script[at]
        if letter in "'\"`":
            at += 1
            while at < len(script) and script[at] != letter:
                at += 2 if script[at] == "\\" and letter != "`" else 1
        elif script.startswith("--", at):
            end = script.find("\n", at)
            at = len(script) if end < 0 else end
        elif script.startswith("/*", at):
            end = script.find("*/", at + 2)
            at = len(script) if end < 0 else end + 1
        elif letter == ";":
            statements.append(script[begun:at])
            begun = at + 1
        at += 1
    statements.append(script[begun:])
    return [statement.strip() for statement in statements if bare(statement)]


def bare(statement):
    """A statement without the comments before its first word."""
    return re.sub(r"\A(\s|--[^\n]*(\n|\Z)|/\*.*?\*/)*", "", statement, flags=re.S)


def filled(script, variables):
    """The script with `${name}`, `${hiveconf:name}` and `${hivevar:name}` replaced where the name is known."""
    def value(found):
        return variables.get(found.group(2), found.group(0))
    return re.sub(r"\$\{(hiveconf:|hivevar:)?([^}:]+)\}", value, script)


def put(path, text):
    """A file that is there whole or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def run(spark, request):
    """All statements; the answer is written after each."""
    results, cap = request["results"], request["result_rows"]
    statements = split(filled(request["script"], request["variables"]))
    done = []
    answer = os.path.join(results, "answer.json")
    put(answer, json.dumps({"total": len(statements), "statements": done}))
    for number, statement in enumerate(statements):
        began = time.monotonic()
        frame = spark.sql(statement)
        entry = {"kind": bare(statement).split(None, 1)[0].upper().strip("("), "columns": None, "rows": 0, "truncated": False,
                 "file": None, "seconds": 0.0}
        if frame.columns:
            entry["columns"] = list(frame.columns)
            keep(frame, entry, "%d.jsonl" % number, results, cap)
        entry["seconds"] = round(time.monotonic() - began, 3)
        done.append(entry)
        put(answer, json.dumps({"total": len(statements), "statements": done}))
        # spark-submit puts a driver's stderr among its stdout; the JVM has the real one.
        spark._jvm.System.err.println(
            "statement %d of %d: %s, %.1f s" % (number + 1, len(statements), entry["kind"], entry["seconds"]))


def keep(frame, entry, name, results, cap):
    """Rows as text, as Spark itself prints them, up to the cap; each is also a line of the job's output."""
    from pyspark.sql.functions import col
    # Columns may bear one name twice.
    plain = frame.toDF(*["c%d" % at for at in range(len(frame.columns))])
    texts = plain.select([col(column).cast("string") for column in plain.columns])
    with open(os.path.join(results, name), "w", encoding="utf-8") as file:
        for row in texts.toLocalIterator():
            if cap and entry["rows"] >= cap:
                entry["truncated"] = True
                break
            file.write(json.dumps(list(row), ensure_ascii=False) + "\n")
            print("\t".join("NULL" if value is None else value for value in row))
            entry["rows"] += 1
    entry["file"] = name


def reason(error):
    """What a person can use of an error: without the places in Spark's own code."""
    text = str(error).split("\n\nJVM stacktrace")[0]
    lines = [line.strip() for line in text.splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(("at ", "... ")))[:2000]
    missing = re.search(r"(\S*(S3A|OBS)FileSystem) not found", text)
    if missing:
        return ("this Spark has no %s, so that it cannot read the bucket: put Hadoop's jar for it into Spark's folder of jars, "
                "or give the job foggara.sql.engine=embedded" % missing.group(1))
    return text or type(error).__name__


def limit(seconds, fault):
    """Ends everything when the time is over, in the midst of a statement too: Spark's JVM ends with this process."""
    def over():
        put(fault, "over the time limit of %d seconds" % seconds)
        os._exit(1)
    timer = threading.Timer(seconds, over)
    timer.daemon = True
    timer.start()


def main():
    """Reads the request, waits for its turn at the catalogue, and runs it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    os.unlink(sys.argv[1])
    # Spark's own catalogue can be open in one process only; the others wait here. A metastore elsewhere is for many.
    turn = open(os.path.join(request["catalogue"], "lock"), "w")
    if "--shared" not in sys.argv[2:]:
        fcntl.flock(turn, fcntl.LOCK_EX)
    from pyspark.sql import SparkSession
    fault = None
    # The rows of a statement must not be held back when the process is killed.
    sys.stdout.reconfigure(line_buffering=True)
    spark = SparkSession.builder.enableHiveSupport().getOrCreate()
    if request["time_limit_seconds"]:
        limit(request["time_limit_seconds"], request["fault"])
    try:
        if request["database"] != "default":
            spark.sql("USE `%s`" % request["database"].replace("`", ""))
        run(spark, request)
    except Exception as error:  # pylint: disable=broad-except
        fault = reason(error)
        spark._jvm.System.err.println(fault)
    finally:
        spark.stop()
    if fault:
        put(request["fault"], fault)
        sys.exit(1)


if __name__ == "__main__":
    main()
