//! Places: allowed, refused, and links that lead out.

use std::{fs, os::unix::fs::symlink};

use foggara_domain::sql::SqlDialect::{Hive, Spark};

use crate::bench::Bench;

#[test]
fn places_outside_are_refused() {
    let bench = Bench::new(Spark);
    let outside = bench.root.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.csv"), "hunter2\n").unwrap();
    symlink(&outside, bench.root.join("data/link")).unwrap();
    let data = bench.root.join("data");
    fs::create_dir(data.join("t")).unwrap();
    fs::write(data.join("t/a.csv"), "1\n").unwrap();
    symlink(outside.join("secret.csv"), data.join("t/b.csv")).unwrap();
    let data = data.display();
    for script in [
        format!("SELECT * FROM csv.`{}`", outside.display()),
        format!("SELECT * FROM csv.`{data}/../outside`"),
        format!("SELECT * FROM csv.`{data}/link`"),
        format!("SELECT * FROM csv.`{data}/t`"),
        format!("INSERT OVERWRITE DIRECTORY '{data}/link/new' SELECT 1"),
        format!("CREATE TABLE x (a STRING) USING csv LOCATION '{}'", outside.display()),
        format!("CREATE TABLE x (a STRING) USING csv LOCATION '{data}/t'; SELECT * FROM x"),
        "CREATE TABLE t (a INT); LOAD DATA LOCAL INPATH '/etc/passwd' INTO TABLE t".to_owned(),
    ] {
        let reason = bench.reason(&script);
        assert!(reason.contains("outside of the folders"), "{script}\n{reason}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was written");
}

#[test]
fn other_schemes_are_refused() {
    let bench = Bench::new(Hive);
    for (path, what) in [
        ("hdfs://namenode:8020/x", "namenode:8020 is not reached"),
        ("s3a://bucket/x", "bucket bucket is not among"),
        ("ftp://host/x", "scheme ftp"),
    ] {
        let reason = bench.reason(&format!("CREATE EXTERNAL TABLE t (a INT) LOCATION '{path}'"));
        assert!(reason.contains(what) && reason.contains("line 1, column 42"), "{reason}");
    }
}
