//! Limits and ends: memory, time, signals, crashes.

use std::{
    fs,
    io::Read,
    time::{Duration, Instant},
};

use foggara_domain::sql::SqlDialect::Hive;

use crate::bench::Bench;

/// Ten rows.
const DIGITS: &str = "CREATE TABLE d STORED AS PARQUET AS SELECT explode(array(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)) AS x; ";

/// A table of a power of ten rows, as FROM.
fn crossed(power: usize) -> String {
    (0..power).map(|index| format!("d t{index}")).collect::<Vec<_>>().join(" CROSS JOIN ")
}

fn number(power: usize) -> String {
    (0..power)
        .map(|index| format!("t{index}.x * {}", 10_u64.pow(u32::try_from(index).unwrap())))
        .collect::<Vec<_>>()
        .join(" + ")
}

#[test]
fn a_sort_spills_below_the_workspace() {
    let mut bench = Bench::new(Hive);
    bench.request.memory_bytes = 64 << 20;
    let (value, from) = (number(6), crossed(6));
    let script = format!(
        "{DIGITS} CREATE TABLE s STORED AS PARQUET AS SELECT {value} AS n, concat(lpad('', 100, 'text '), lpad({value}, 7, '0')) AS t FROM {from}; \
         CREATE TABLE r STORED AS PARQUET AS SELECT n, t, row_number() OVER (ORDER BY t DESC) AS k FROM s; SELECT n, k FROM r WHERE k IN (1, 1000000) ORDER BY k"
    );
    assert_eq!(bench.rows(&script), ["999999\t1", "0\t1000000"]);
    assert!(!bench.root.join("workspace/.spill").exists(), "what was spilled is gone");
}

#[test]
fn over_the_memory_limit_says_so() {
    let mut bench = Bench::new(Hive);
    bench.request.memory_bytes = 4 << 20;
    let script = format!(
        "{DIGITS} SELECT count(*) FROM (SELECT collect_list({}) AS l FROM {} GROUP BY t0.x % 2) g WHERE size(l) > 5",
        number(6),
        crossed(6)
    );
    let reason = bench.reason(&script);
    assert!(reason.contains("over the memory limit of 4194304 bytes"), "{reason}");
}

#[test]
fn over_the_time_limit_says_so() {
    let mut bench = Bench::new(Hive);
    bench.request.time_limit_seconds = 2;
    let begun = Instant::now();
    let reason = bench.reason(&format!("{DIGITS} SELECT count(*) FROM {} WHERE {} % 7 = 3", crossed(12), number(12)));
    assert!(reason.contains("over the time limit of 2 seconds"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[test]
fn a_signal_ends_a_long_operator_at_once() {
    let bench = Bench::new(Hive);
    bench.rows(DIGITS);
    let child = bench
        .start("", &format!("CREATE TABLE big STORED AS PARQUET AS SELECT {} AS n FROM {}", number(12), crossed(12)));
    // It is in the midst of the operator when the folder of the new table is there.
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(bench.root.join("warehouse/default")).unwrap().count() < 2 {
        assert!(Instant::now() < deadline, "the statement has not begun");
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let done = bench.wait("", child);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(done.code, Some(143));
    assert_eq!(bench.rows("SHOW TABLES"), ["d"]);
    let left: Vec<_> =
        fs::read_dir(bench.root.join("warehouse/default")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["d"], "no half-made table is left");
}

/// Ten million rows through the program, and what it held of them at most.
#[test]
fn ten_million_rows_take_flat_memory() {
    let bench = Bench::new(Hive);
    bench.rows(DIGITS);
    let mut child = bench.start("", &format!("SELECT {} AS n, 'a text beside it' AS t FROM {}", number(7), crossed(7)));
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().unwrap();
    let (mut buffer, mut lines, mut most) = (vec![0; 1 << 20], 0_usize, 0_u64);
    loop {
        let length = out.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count();
        let text = fs::read_to_string(&status).unwrap_or_default();
        let held = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(held.unwrap_or(0));
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(lines, 10_000_000);
    assert!(most > 0 && most < 400 * 1024, "{most} kB");
    assert_eq!(bench.answer().statements[0].rows, 10_000_000);
}

#[test]
fn a_crash_during_an_overwrite_leaves_the_old_or_the_new() {
    let bench = Bench::new(Hive);
    bench.rows(&format!("{DIGITS} CREATE TABLE t (n INT) STORED AS PARQUET; INSERT INTO t SELECT -1"));
    let mut seen = std::collections::HashSet::new();
    for round in 0..6_u64 {
        let mut child = bench.start("", &format!("INSERT OVERWRITE TABLE t SELECT {} FROM {}", number(5), crossed(5)));
        std::thread::sleep(Duration::from_millis(40 + 120 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let count = bench.rows("SELECT count(*) FROM t").remove(0);
        assert!(count == "1" || count == "100000", "{count}");
        seen.insert(count);
    }
    assert!(seen.contains("1"), "at least the first was killed before the end: {seen:?}");
    bench.rows("INSERT OVERWRITE TABLE t SELECT 5");
    let hidden = fs::read_dir(bench.root.join("warehouse/default"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "what the killed ones left is swept");
}
