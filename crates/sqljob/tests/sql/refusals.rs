//! What does not run, with its place and what to do.

use foggara_domain::sql::SqlDialect::{Hive, Presto, Spark};

use crate::bench::Bench;

#[test]
fn refusals_say_what_where_and_what_to_do() {
    let bench = Bench::new(Hive);
    for (script, what, place) in [
        ("SELECT 1;\nSELECT a,\n  FROM t", "syntax error", "line 3, column 3"),
        ("SELECT 'a", "does not end", "line 1, column 8"),
        ("/* a", "comment does not end", "line 1, column 1"),
        ("SELECT 1;\n  SELECT foo(1)", "function foo is not known", "line 2, column 10"),
        ("SELECT date_format('2024-01-01', 'YYYY')", "\"YYYY\"", "line 1"),
        ("SELECT from_unixtime(0, 'yyyy z')", "\"z\"", "line 1"),
        ("CREATE TABLE t (a INT)\nSTORED AS ORC", "ORC", "line 2, column 1"),
        ("CREATE TABLE t (a INT) STORED AS AVRO", "AVRO", "line 1, column 24"),
        ("SELECT a FROM (SELECT 1 AS a) t\nSORT BY a", "SORT BY does not run", "line 1, column 1"),
        ("SELECT a FROM (SELECT 1 AS a) t DISTRIBUTE BY a", "DISTRIBUTE BY does not run", "line 1, column 1"),
        ("ADD JAR x.jar", "ADD does not run", "line 1, column 1"),
        ("CREATE FUNCTION f AS 'x'", "FUNCTION does not run", "line 1, column 8"),
        ("SELECT *\nFROM nope", "nope", "line 2, column 6"),
        ("SELECT nope FROM (SELECT 1 AS a) t", "nope", "line 1, column 8"),
        ("DELETE FROM t", "DELETE does not run", "line 1, column 1"),
        ("USE nope", "database nope does not exist", "line 1, column 5"),
        ("DROP TABLE nope", "does not exist", "line 1, column 12"),
        ("SELECT ${x}", "variable ${x} has no value", "line 1, column 8"),
        ("SELECT substr('a')", "takes 2 or 3 arguments", "line 1, column 15"),
        ("SELECT 1 AS a FROM (SELECT 1 AS b) t TABLESAMPLE (10 PERCENT)", "", "line 1"),
        ("SELECT 'a' RLIKE '(?=x)'", "regular expression", "line 1"),
        ("SELECT 'a' RLIKE 'a++'", "possessive", "line 1"),
        ("SELECT regexp_replace('a', 'a', '$1')", "no group 1", "line 1"),
        ("SELECT date_format('2024-01-01', '[yyyy]')", "sign [", "line 1"),
        ("SELECT extract(dow FROM DATE '2024-01-01')", "EXTRACT of DOW does not run", "line 1, column"),
        ("SELECT DATE '2024-01-02' - DATE '2024-01-01'", "a time minus a time", "line 1"),
        ("SELECT INTERVAL 1 DAY", "an interval cannot be a result", "line 1, column 1"),
        ("SELECT DECIMAL '1.10'", "literal of the type DECIMAL", "line 1, column"),
        ("SELECT 1; SET spark.sql.ansi.enabled=true", "would change what queries mean", "line 1, column 11"),
        ("SET hive.local.time.zone=Europe/Berlin", "would change what queries mean", "line 1, column 1"),
        ("CREATE TABLE t (a INT) USING csv OPTIONS (inferSchema 'true')", "inferSchema does not run", "line 1"),
        ("CREATE TABLE t (a UNIONTYPE<INT>)", "not a column type", "line 1, column 19"),
        ("CREATE TABLE t (a ARRAY<INT>)", "cannot be kept in delimited text", "line 1, column 14"),
    ] {
        let reason = bench.reason(script);
        assert!(reason.contains(what) && reason.contains(place), "{script}\n{reason}");
    }
    assert_eq!(bench.rows("SHOW TABLES"), Vec::<String>::new(), "nothing was made");
}

#[test]
fn presto_runs_one_statement() {
    let bench = Bench::new(Presto);
    assert!(bench.reason("SELECT 1; SELECT 2").contains("more than one statement, line 1, column 11"));
    // A column here, a string in Hive.
    assert!(bench.reason("SELECT \"x\"").contains('x'));
}

/// Statements that are deep or long are run or refused; the program must not fall over.
#[test]
fn deep_statements_are_run_or_refused() {
    let bench = Bench::new(Hive);
    for script in [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}true", "NOT ".repeat(100_000)),
        format!("SELECT {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT * FROM {}(SELECT 1 a) z{}", "(SELECT * FROM ".repeat(1_000), ") x".repeat(1_000)),
        format!("SELECT {}1", "1 + ".repeat(100_000)),
        format!("CREATE TABLE t (a {}INT{})", "ARRAY<".repeat(100_000), ">".repeat(100_000)),
    ] {
        let reason = bench.reason(&script);
        assert!(reason.contains("too deep") || reason.contains("too long"), "{}", &reason[..reason.len().min(300)]);
    }
    assert_eq!(bench.rows(&format!("SELECT {}1", "1 + ".repeat(300))), ["301"]);
    let many: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    assert_eq!(bench.rows(&format!("SELECT 4999 IN ({0}), -1 IN ({0})", many.join(", "))), ["true\tfalse"]);
}

#[test]
fn the_first_error_ends_the_script() {
    let bench = Bench::new(Spark);
    let done = bench.run("SELECT 1; SELECT nope; SELECT 2");
    assert_eq!((done.code, done.lines), (Some(1), vec!["1".to_owned()]));
    assert!(done.log.contains("statement 1 of 3: SELECT"), "{}", done.log);
    let answer = bench.answer();
    assert_eq!((answer.total, answer.statements.len()), (3, 1));
}

#[test]
fn a_broken_request_is_not_repeated() {
    let bench = Bench::new(Hive);
    let path = bench.root.join("request.json");
    std::fs::write(&path, "{\"script\": \"SELECT 1\", \"secret_key\": \"hunter2\"").unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_foggara-sql"))
        .arg("run")
        .arg("--request")
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let log = String::from_utf8(out.stderr).unwrap();
    assert!(log.contains("is not understood") && !log.contains("hunter2"), "{log}");
}
