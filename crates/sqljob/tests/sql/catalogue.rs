//! The catalogue: it lasts, and several jobs use it at once.

use foggara_domain::sql::SqlDialect::{Hive, Spark};

use crate::bench::Bench;

#[test]
fn tables_outlive_the_job() {
    let bench = Bench::new(Hive);
    bench.rows("CREATE DATABASE IF NOT EXISTS d; CREATE TABLE D.T (A INT COMMENT 'x') COMMENT 'y' STORED AS PARQUET; INSERT INTO d.t VALUES (1)");
    assert_eq!(bench.rows("SELECT * FROM d.t; DESCRIBE d.t; SHOW TABLES IN d LIKE 't*'"), ["1", "a\tint\tx", "t"]);
    bench.rows("USE d; ALTER TABLE t RENAME TO u; ALTER TABLE u ADD COLUMNS (b STRING); INSERT INTO u VALUES (2, 'z')");
    assert_eq!(bench.rows("SELECT * FROM d.u ORDER BY a"), ["1\tNULL", "2\tz"]);
    bench.rows("TRUNCATE TABLE d.u");
    assert_eq!(bench.rows("SELECT count(*) FROM d.u"), ["0"]);
    let made = bench.rows("SHOW CREATE TABLE d.u").join("\n");
    bench.rows("DROP TABLE d.u");
    assert!(!bench.root.join("warehouse/d/u").exists());
    bench.rows(&made);
    assert_eq!(bench.rows("SHOW COLUMNS IN d.u"), ["a", "b"]);
    assert!(bench.reason("DROP DATABASE d").contains("not empty"));
}

#[test]
fn of_two_jobs_one_makes_the_table() {
    let bench = Bench::new(Spark);
    let children: Vec<_> = (0..4)
        .map(|name| {
            (name, bench.start(&name.to_string(), &format!("CREATE TABLE t USING parquet AS SELECT {name} AS a")))
        })
        .collect();
    let ends: Vec<_> = children.into_iter().map(|(name, child)| bench.wait(&name.to_string(), child)).collect();
    let winners: Vec<usize> = (0..4).filter(|name| ends[*name].code == Some(0)).collect();
    assert_eq!(winners.len(), 1);
    for end in ends.iter().filter(|end| end.code != Some(0)) {
        assert!(end.fault.contains("already exists"), "{}", end.fault);
    }
    assert_eq!(bench.rows("SELECT a FROM t"), [winners[0].to_string()]);
}

#[test]
fn inserts_at_once_keep_all_rows() {
    let bench = Bench::new(Hive);
    bench.rows("CREATE TABLE t (a INT)");
    let children: Vec<_> =
        (0..4).map(|name| (name, bench.start(&name.to_string(), &format!("INSERT INTO t SELECT {name}")))).collect();
    for (name, child) in children {
        assert_eq!(bench.wait(&name.to_string(), child).code, Some(0));
    }
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["0", "1", "2", "3"]);
}
