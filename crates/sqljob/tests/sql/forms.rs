//! The forms of statements that run.

use foggara_domain::sql::SqlDialect::{Hive, Presto, Spark};
use serde_json::json;

use crate::bench::Bench;

#[test]
fn answers_and_bodies_tell_each_statement() {
    let bench = Bench::new(Spark);
    bench.rows("CREATE TABLE t (a INT, b STRING) USING parquet; INSERT INTO t VALUES (1, 'x'), (2, NULL); SELECT * FROM t ORDER BY a");
    let answer = bench.answer();
    assert_eq!(answer.total, 3);
    let kinds: Vec<&str> = answer.statements.iter().map(|statement| statement.kind.as_str()).collect();
    assert_eq!(kinds, ["CREATE", "INSERT", "SELECT"]);
    assert_eq!(answer.statements[1].file, None);
    assert_eq!(answer.statements[2].file.as_deref(), Some("2.parquet"));
    assert_eq!(answer.statements[2].columns.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
    let body = json!({"sql_results": {
        "0": [{"result": "succeed"}], "1": [{"result": "succeed"}], "2": [{"a": "1", "b": "x"}, {"a": "2", "b": null}]}});
    assert_eq!(bench.body(), body);
    // Rows that another engine wrote line by line.
    let mut lines = answer.clone();
    lines.statements[2].file = Some("2.jsonl".into());
    std::fs::write(bench.root.join("results/answer.json"), serde_json::to_vec(&lines).unwrap()).unwrap();
    std::fs::write(bench.root.join("results/2.jsonl"), "[\"1\",\"x\"]\n[\"2\",null]\n").unwrap();
    assert_eq!(bench.body(), body);
}

#[test]
fn rows_are_capped_and_say_so() {
    let mut bench = Bench::new(Hive);
    bench.request.result_rows = 2;
    let script = "CREATE TABLE t AS SELECT explode(array(1, 2, 3)) AS a; SELECT a FROM t ORDER BY a; SELECT a FROM t WHERE a < 3 ORDER BY a; \
                  INSERT INTO t SELECT a FROM t; SELECT count(*) FROM t";
    assert_eq!(bench.rows(script), ["1", "2", "1", "2", "6"]);
    let answer = bench.answer();
    assert_eq!((answer.statements[1].rows, answer.statements[1].truncated), (2, true));
    assert_eq!((answer.statements[2].rows, answer.statements[2].truncated), (2, false));
}

#[test]
fn hive_tables_of_text() {
    let bench = Bench::new(Hive);
    bench.file("t/part-0", "1\u{1}one\n2\u{1}\\N\nx\u{1}three\n");
    bench.file("t/.part-0.crc", "junk\n");
    bench.file("t/_SUCCESS", "");
    let data = bench.root.join("data/t");
    let script = format!(
        "CREATE EXTERNAL TABLE t (A INT, `B` STRING) LOCATION '{}'; SELECT * FROM t; DROP TABLE t",
        data.display()
    );
    assert_eq!(bench.rows(&script), ["1\tone", "2\tNULL", "NULL\tthree"]);
    assert!(data.join("part-0").exists(), "the data of an external table stays");
    bench.file("h/a.csv", "id,name\n1,\"x,y\"\n");
    let script = format!(
        "CREATE EXTERNAL TABLE h (id INT, name STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' STORED AS TEXTFILE \
         LOCATION 'hdfs://{}/h' TBLPROPERTIES ('skip.header.line.count'='1'); SELECT id FROM h WHERE name = '\"x'",
        bench.root.join("data").display()
    );
    // Hive's text has no quotes: the field ends at the comma, and what is too much is left out.
    assert_eq!(bench.rows(&script), ["1"]);
}

#[test]
fn text_keeps_its_values() {
    let bench = Bench::new(Hive);
    let script = "CREATE TABLE t (a STRING, b DOUBLE, c TIMESTAMP, d DECIMAL(5,2), e BOOLEAN, f DATE) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t'; \
        INSERT INTO t SELECT 'x \"q\", y', 1e7, '2024-01-02 03:04:05.5', 1.5, true, '2024-02-29'; \
        INSERT INTO t SELECT NULL, NULL, NULL, NULL, NULL, NULL; SELECT * FROM t ORDER BY a DESC";
    let want =
        ["x \"q\", y\t1.0E7\t2024-01-02 03:04:05.5\t1.50\ttrue\t2024-02-29", "NULL\tNULL\tNULL\tNULL\tNULL\tNULL"];
    assert_eq!(bench.rows(script), want);
}

#[test]
fn text_of_all_kinds_is_read_and_written() {
    let bench = Bench::new(Hive);
    // Empty text is no NULL, also when it is the whole line.
    let script =
        "CREATE TABLE o (s STRING); INSERT INTO o VALUES (''), ('a'), (NULL); SELECT s, s IS NULL FROM o ORDER BY s";
    assert_eq!(bench.rows(script), ["NULL\ttrue", "\tfalse", "a\tfalse"]);
    let script = "CREATE TABLE e (a STRING, b STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' ESCAPED BY '\\\\'; \
        INSERT INTO e VALUES ('a,b', 'c\\\\d'), (NULL, '\\\\N'); SELECT * FROM e ORDER BY a";
    assert_eq!(bench.rows(script), ["NULL\t\\N", "a,b\tc\\d"]);
    let reason = bench.reason("CREATE TABLE n (a STRING); INSERT INTO n VALUES ('a\\nb')");
    assert!(reason.contains("line end"), "{reason}");
    bench.file("w/a.csv", "\u{feff}1,alice\r\n2,bob,extra\r\n\r\n3\r\n");
    bench.file("w/empty.csv", "");
    let table = format!(
        "CREATE EXTERNAL TABLE w (id INT, name STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION '{}'; ",
        bench.root.join("data/w").display()
    );
    let rows = ["1\talice", "2\tbob", "NULL\tNULL", "3\tNULL"];
    assert_eq!(bench.rows(&format!("{table} SELECT * FROM w; SELECT count(*) FROM w")), [&rows[..], &["4"]].concat());
    bench.file("z/a.csv.gz", "junk");
    let reason = bench.reason(&format!("SELECT * FROM csv.`{}`", bench.root.join("data/z").display()));
    assert!(reason.contains("compressed"), "{reason}");
}

#[test]
fn csv_of_spark_keeps_quotes_and_empty_text() {
    let bench = Bench::new(Spark);
    let script = "CREATE TABLE c (a STRING, b STRING, n INT) USING csv OPTIONS (header 'true'); \
        INSERT INTO c VALUES ('x, \"y\"', '', 1), (NULL, 'plain', NULL); SELECT a, b, b IS NULL, n FROM c ORDER BY a DESC";
    assert_eq!(bench.rows(script), ["x, \"y\"\t\tfalse\t1", "NULL\tplain\tfalse\tNULL"]);
    bench.file("h/a.csv", "Id,Name\n1,\"a,b\"\n");
    let script = format!(
        "CREATE TABLE h USING csv OPTIONS (header 'true') LOCATION '{}'; SELECT name FROM h; DESCRIBE h",
        bench.root.join("data/h").display()
    );
    assert_eq!(bench.rows(&script), ["a,b", "id\tstring\t", "name\tstring\t"]);
    bench.file("q/a.csv", "\"open\nend\",1\n");
    let reason = bench.reason(&format!("SELECT * FROM csv.`{}`", bench.root.join("data/q").display()));
    assert!(reason.contains("does not end on its line"), "{reason}");
}

#[test]
fn partitions_have_values_of_all_kinds() {
    let bench = Bench::new(Hive);
    let script = "CREATE TABLE p (a INT) PARTITIONED BY (k STRING) STORED AS PARQUET; INSERT INTO p PARTITION (k='a b/c=d%e:ü') SELECT 1; \
        INSERT INTO p PARTITION (k) SELECT 2, 'a b/c=d%e:ü'; INSERT INTO p PARTITION (k) SELECT 3, NULL; SELECT a, k FROM p ORDER BY a; \
        INSERT OVERWRITE TABLE p PARTITION (k='a b/c=d%e:ü') SELECT 4; SELECT a FROM p ORDER BY a; SELECT a FROM p WHERE k IS NULL; \
        ALTER TABLE p DROP PARTITION (k='a b/c=d%e:ü'); SELECT a FROM p";
    let want = ["1\ta b/c=d%e:ü", "2\ta b/c=d%e:ü", "3\tNULL", "3", "4", "3", "3"];
    assert_eq!(bench.rows(script), want);
    // A folder as Hive names it, which leaves more signs as they are.
    std::fs::create_dir(bench.root.join("warehouse/default/p/k=ö")).unwrap();
    bench.rows("INSERT INTO p PARTITION (k='ö') SELECT 5; INSERT OVERWRITE TABLE p PARTITION (k) SELECT 6, 'ö'");
    assert_eq!(bench.rows("SELECT a FROM p WHERE k = 'ö'"), ["6"]);
    let reason =
        bench.reason("CREATE TABLE d (a INT) PARTITIONED BY (d DATE); INSERT INTO d PARTITION (d='junk') SELECT 1");
    assert!(reason.contains("is no DATE"), "{reason}");
}

#[test]
fn groups_have_subtotals() {
    let bench = Bench::new(Hive);
    bench.rows("CREATE TABLE t AS SELECT 'a' AS g, 1 AS i, 10 AS v UNION ALL SELECT 'a', 2, 20");
    let rows = bench.rows("SELECT g, i, sum(v) FROM t GROUP BY g, i WITH ROLLUP ORDER BY g, i");
    assert_eq!(rows, ["NULL\tNULL\t30", "a\tNULL\t30", "a\t1\t10", "a\t2\t20"]);
    let rows = bench.rows("SELECT g, i, sum(v) FROM t GROUP BY g, i GROUPING SETS ((g, i), ()) ORDER BY g, i");
    assert_eq!(rows, ["NULL\tNULL\t30", "a\t1\t10", "a\t2\t20"]);
    assert_eq!(bench.rows("SELECT i FROM t MINUS SELECT 2"), ["1"]);
}

#[test]
fn lateral_views_make_rows() {
    let bench = Bench::new(Hive);
    bench.rows("CREATE TABLE t STORED AS PARQUET AS SELECT 1 AS id, split('a,b', ',') AS l UNION ALL SELECT 2, split('c', ',') UNION ALL SELECT 3, NULL");
    assert_eq!(
        bench.rows("SELECT id, x FROM t LATERAL VIEW explode(l) v AS x ORDER BY id, x"),
        ["1\ta", "1\tb", "2\tc"]
    );
    let outer = bench.rows("SELECT t.id, v.p, v.x FROM t LATERAL VIEW OUTER posexplode(l) v AS p, x ORDER BY id, p");
    assert_eq!(outer, ["1\t0\ta", "1\t1\tb", "2\t0\tc", "3\tNULL\tNULL"]);
    let two = "SELECT id, x, y FROM t LATERAL VIEW explode(l) v AS x LATERAL VIEW explode(array(x, upper(x))) w AS y WHERE id = 2 ORDER BY y";
    assert_eq!(bench.rows(two), ["2\tc\tC", "2\tc\tc"]);
    assert_eq!(
        bench.rows("SELECT x, count(*) FROM t LATERAL VIEW explode(l) v AS x GROUP BY x ORDER BY x"),
        ["a\t1", "b\t1", "c\t1"]
    );
    assert_eq!(bench.rows("SELECT explode(str_to_map('k:1,m:2')) AS (k, v)"), ["k\t1", "m\t2"]);
}

#[test]
fn partitions_are_folders() {
    let bench = Bench::new(Hive);
    let script = "CREATE TABLE t (a INT) PARTITIONED BY (day STRING, h INT) STORED AS PARQUET; \
        INSERT INTO t PARTITION (day='d1', h=1) SELECT 1; INSERT INTO t PARTITION (day='d2', h) SELECT 2, 7; \
        INSERT OVERWRITE TABLE t PARTITION (day='d1', h=1) SELECT 10; MSCK REPAIR TABLE t; SHOW PARTITIONS t; \
        SELECT * FROM t ORDER BY a; SELECT a FROM t WHERE day = 'd2' AND h > 5; INSERT OVERWRITE TABLE t PARTITION (day, h) SELECT 20, 'd2', 7; \
        SELECT a FROM t ORDER BY a; ALTER TABLE t DROP PARTITION (day='d1', h=1); SELECT a FROM t";
    assert_eq!(bench.rows(script), ["day=d1/h=1", "day=d2/h=7", "2\td2\t7", "10\td1\t1", "2", "10", "20", "20"]);
    assert!(bench.root.join("warehouse/default/t/day=d2/h=7").is_dir());
}

#[test]
fn loads_copy_or_move() {
    let bench = Bench::new(Hive);
    let one = bench.file("one.txt", "1\n");
    let two = bench.file("two.txt", "2\n");
    let script = format!(
        "CREATE TABLE t (a INT); LOAD DATA LOCAL INPATH '{one}' INTO TABLE t; LOAD DATA LOCAL INPATH '{one}' INTO TABLE t; \
         LOAD DATA INPATH 'file://{two}' INTO TABLE t; SELECT * FROM t ORDER BY a; LOAD DATA LOCAL INPATH '{one}' OVERWRITE INTO TABLE t; SELECT * FROM t",
        one = one.display(),
        two = two.display()
    );
    assert_eq!(bench.rows(&script), ["1", "1", "2", "1"]);
    assert!(one.exists() && !two.exists());
}

#[test]
fn folders_and_files_directly() {
    let bench = Bench::new(Spark);
    let out = bench.root.join("data/out");
    let script = format!(
        "INSERT OVERWRITE LOCAL DIRECTORY '{out}' ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' SELECT 1, 'x'; SELECT * FROM csv.`{out}`; \
         INSERT OVERWRITE DIRECTORY '{out}' USING parquet SELECT 2 AS B; SELECT b FROM parquet.`{out}` t WHERE t.b > 1",
        out = out.display()
    );
    assert_eq!(bench.rows(&script), ["1\tx", "2"]);
    bench.file("j/a.json", "{\"Id\": 1, \"tags\": [\"a\"]}\n{\"Id\": 2}\n");
    let script = format!("SELECT id, size(tags) FROM json.`{}` ORDER BY id", bench.root.join("data/j").display());
    assert_eq!(bench.rows(&script), ["1\t1", "2\t-1"]);
}

#[test]
fn scripts_are_split_and_variables_replaced() {
    let mut bench = Bench::new(Hive);
    bench.request.variables.insert("n".into(), "7".into());
    let script = "-- a ; comment\nSELECT 'a;b', \"c'd\", `x;y` FROM (SELECT 1 AS `x;y`) t; /* ; */ SET hivevar:m=8;\nSET hive.exec.x=y; SELECT ${n}, ${hivevar:m}, '${hiveconf:hive.exec.x}';;";
    assert_eq!(bench.rows(script), ["a;b\tc'd\t1", "7\t8\ty"]);
}

#[test]
fn presto_counts_as_presto() {
    let bench = Bench::new(Presto);
    assert_eq!(
        bench.rows("SELECT 1 / 2, a FROM (SELECT 3 AS \"a\" UNION ALL SELECT NULL) t ORDER BY a"),
        ["0\t3", "0\tNULL"]
    );
    for (expr, want) in [
        ("cast(2.5 AS integer), cast(-1.5e0 AS bigint)", "3\t-2"),
        ("1.0 / 3", "0.3"),
        ("substr('hello', 0), substr('hello', -2)", "\tlo"),
        ("round(2.5), 1e3", "3\t1000.0"),
        ("cardinality(ARRAY[1, 2]), greatest(1, NULL)", "2\tNULL"),
    ] {
        assert_eq!(bench.rows(&format!("SELECT {expr}")), [want], "{expr}");
    }
    for expr in ["1.0 / 0", "cast('x' AS integer)", "cast(1e0 AS varchar)", "try(1)"] {
        bench.reason(&format!("SELECT {expr}"));
    }
}

#[test]
fn views_follow_their_tables() {
    let bench = Bench::new(Hive);
    let script = "CREATE DATABASE d; USE d; CREATE TABLE t AS SELECT 1 AS a; CREATE VIEW v (b) AS SELECT a + 1 FROM t; USE default; \
        SELECT * FROM d.v; INSERT INTO d.t SELECT 5; SELECT b FROM d.v ORDER BY b; SHOW TABLES IN d; DROP VIEW d.v; DROP DATABASE d CASCADE; SHOW DATABASES";
    assert_eq!(bench.rows(script), ["2", "2", "6", "t", "v", "default"]);
    let reason = bench.reason("CREATE VIEW a AS SELECT 1 AS x; CREATE OR REPLACE VIEW b AS SELECT * FROM a; CREATE OR REPLACE VIEW a AS SELECT * FROM b; SELECT * FROM a");
    assert!(reason.contains("leads back to itself"), "{reason}");
}
