//! Copies of large files, which go in blocks: several at once, and where a copy was killed the next one goes on.

use std::{collections::BTreeMap, fs, process::Child};

use anyhow::{Context, Result};
use foggara_testkit::{
    s3::FakeS3,
    swift::{FakeSwift, PASSWORD, PROJECT_NAME, USER},
};
use serde_json::{Value, json};

use crate::distcp::{Place, terminate, wait_for};

/// Bytes of a block: S3 takes no smaller parts.
const BLOCK: usize = 5 << 20;
/// Blocks of the file, the last of which is a short one.
const BLOCKS: usize = 6;
/// Blocks that are there when the copy is killed. More than one page of the fake's list of parts.
const DONE: usize = 3;

/// Bytes of the file.
const SIZE: usize = BLOCKS * BLOCK - 1000;

/// No two blocks are the same, nor are two files of different seeds.
fn large(seed: usize) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    for (number, word) in bytes.chunks_mut(64).enumerate() {
        word.fill(u8::try_from((number * seed + number / 256) % 251).unwrap_or(0));
    }
    bytes
}

fn place() -> Result<Place> {
    let place = Place::new()?;
    place.write("src/large", &large(1))?;
    place.write("src/small", b"small")?;
    Ok(place)
}

/// Starts a copy, waits until so many blocks are there and no more come, and ends it like a power cut.
fn killed(place: &Place, args: &[&str], configs: &BTreeMap<String, Value>, is_there: impl Fn() -> bool) -> Result<()> {
    let mut copy: Child = place.start(args, configs)?;
    wait_for("some blocks are there", is_there);
    copy.kill()?;
    copy.wait()?;
    Ok(())
}

/// How many parts were sent.
fn parts_sent(s3: &FakeS3) -> usize {
    s3.asked().iter().filter(|line| line.starts_with("PUT ") && line.contains("partNumber=")).count()
}

/// Bytes of the lines that say which blocks are there.
fn lines(place: &Place, below: &str) -> usize {
    let parts = place.files(below).into_iter().filter(|name| name.ends_with(".foggara-part"));
    let length = |name: String| fs::metadata(place.path("root").join(below).join(name)).map_or(0, |found| found.len());
    let past = parts.map(length).max().unwrap_or(0);
    usize::try_from(past).unwrap_or(0).saturating_sub(SIZE)
}

#[test]
fn a_killed_copy_to_s3_goes_on_and_never_mixes_two_versions() -> Result<()> {
    let place = place()?;
    let (from, to, configs) = (place.root("src"), "s3a://one/to", place.configs());
    // A note, and the file that is small, count as writes too.
    let kill = || {
        let before = parts_sent(&place.s3);
        place.s3.set_stuck_after(Some(u32::try_from(DONE + 2).unwrap_or(0)));
        killed(&place, &["-update", &from, to], &configs, || parts_sent(&place.s3) > before + DONE)?;
        place.s3.set_stuck_after(None);
        Ok::<_, anyhow::Error>(parts_sent(&place.s3))
    };
    let sent = kill()?;
    assert_eq!(place.s3.open_uploads(), 1);
    assert!(place.s3.get("one", "to/large").is_none());
    let ended = place.done(&["-update", &from, to])?;
    let again = parts_sent(&place.s3) - sent;
    assert!((1..=BLOCKS - 2).contains(&again), "{again} of {BLOCKS} parts were sent once more");
    assert!(ended.out.contains("goes on with s3a://one/to/large: "), "{}", ended.out);
    assert_eq!(
        (place.s3.keys("one"), place.s3.open_uploads()),
        (vec!["to/large".to_owned(), "to/small".to_owned()], 0)
    );
    assert!(place.s3.get("one", "to/large").is_some_and(|there| there == large(1)));

    // Another version of the same size: nothing of the first one is in it, and what was left of it goes.
    place.write("src/large", &large(2))?;
    kill()?;
    assert!(place.s3.get("one", "to/large").is_some_and(|there| there == large(1)), "what was there stays");
    place.write("src/large", &large(3))?;
    let ended = place.done(&["-update", &from, to])?;
    assert!(!ended.out.contains("goes on"), "{}", ended.out);
    assert!(place.s3.get("one", "to/large").is_some_and(|there| there == large(3)));
    assert_eq!((place.s3.keys("one").len(), place.s3.open_uploads()), (2, 0));
    Ok(())
}

#[test]
fn a_killed_copy_to_files_goes_on_and_one_that_is_stopped_leaves_nothing() -> Result<()> {
    let place = place()?;
    place.s3.put("one", "src/large", &large(1));
    let (from, to) = ("s3a://one/src", place.root("to"));
    place.s3.set_stalled_after(Some(u32::try_from(DONE).unwrap_or(0)));
    killed(&place, &[from, &to], &place.configs(), || lines(&place, "to") >= DONE * 42)?;
    assert_eq!(place.files("to").len(), 1, "what is not complete is hidden: {:?}", place.files("to"));
    // Nobody takes it for a file.
    place.s3.set_stalled_after(None);
    assert_eq!(place.done(&[&to, "s3a://two/copy"])?.counters(), (0, 0, 0));
    assert_eq!(place.s3.keys("two"), Vec::<String>::new());
    let before = place.s3.asked().len();
    let ended = place.done(&["-update", "-delete", from, &to])?;
    assert!(ended.out.contains(&format!("{DONE} of {BLOCKS} blocks are there")), "{}", ended.out);
    assert_eq!(ended.counters().1, 1);
    let reads = place.s3.asked().iter().skip(before).filter(|line| line.starts_with("GET /one/src/large")).count();
    assert_eq!(reads, BLOCKS - DONE, "what is there is not fetched again");
    assert_eq!(place.files("to"), ["large"]);
    assert!(place.read("to/large").is_some_and(|there| there == large(1)));

    // Bytes that were damaged on the disk after they had been noted are not taken for good.
    fs::remove_file(place.path("root/to/large"))?;
    place.s3.set_stalled_after(Some(u32::try_from(DONE).unwrap_or(0)));
    killed(&place, &[from, &to], &place.configs(), || lines(&place, "to") >= DONE * 42)?;
    place.s3.set_stalled_after(None);
    let part = place.path("root/to").join(place.files("to").first().context("a part")?);
    let mut bytes = fs::read(&part)?;
    // Which blocks are there nobody knows.
    bytes.iter_mut().skip(100).step_by(BLOCK).take(BLOCKS).for_each(|byte| *byte = !*byte);
    fs::write(&part, bytes)?;
    place.fails(&[from, &to], &["another checksum"])?;
    assert_eq!(place.files("to"), Vec::<String>::new());

    place.s3.set_stalled_after(Some(1));
    let copy = place.start(&[from, &to], &place.configs())?;
    wait_for("a block is there", || lines(&place, "to") >= 42);
    terminate(&copy);
    assert_eq!(place.end(copy)?.code, Some(143));
    assert_eq!(place.files("to"), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_killed_copy_to_swift_goes_on_and_a_source_that_changes_fails() -> Result<()> {
    let mut place = place()?;
    let swift = FakeSwift::start(&["data"])?;
    place.swift = [("auth_url".to_owned(), swift.keystone())].into();
    let configs = json!({"fs.swift.service.sahara.username": USER, "fs.swift.service.sahara.password": PASSWORD,
        "fs.swift.service.sahara.tenant": PROJECT_NAME});
    let configs: BTreeMap<String, Value> = configs.as_object().cloned().unwrap_or_default().into_iter().collect();
    let (from, to) = (place.root("src"), "swift://data/to");
    swift.set_stuck_after(Some(u32::try_from(DONE).unwrap_or(0)));
    killed(&place, &[&from, to], &configs, || swift.names("data_segments").len() == DONE)?;
    swift.set_stuck_after(None);
    assert!(!swift.names("data").contains(&"to/large".to_owned()));
    let ended = place.with(&["-update", &from, to], &configs)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains(&format!("{DONE} of {BLOCKS} blocks are there")), "{}", ended.out);
    assert_eq!(
        (swift.names("data"), swift.names("data_segments").len()),
        (vec!["to/large".to_owned(), "to/small".to_owned()], BLOCKS)
    );
    assert!(swift.get("data", "to/large").is_some_and(|there| there == large(1)));

    // Of a large object the blocks are read, too; its segments go when it is replaced.
    let back = place.with(&[to, &place.root("back")], &configs)?;
    assert_eq!(back.code, Some(0), "{back:?}");
    assert!(place.read("back/large").is_some_and(|there| there == large(1)));
    place.write("src/large", &large(2))?;
    swift.set_stuck_after(Some(u32::try_from(DONE).unwrap_or(0)));
    let copy = place.start(&["-overwrite", &from, to], &configs)?;
    wait_for("some segments of the second", || swift.names("data_segments").len() == BLOCKS + DONE);
    terminate(&copy);
    assert_eq!(place.end(copy)?.code, Some(143));
    swift.set_stuck_after(None);
    assert_eq!(swift.names("data_segments").len(), BLOCKS, "a stop removes what is not complete");
    assert!(swift.get("data", "to/large").is_some_and(|there| there == large(1)));
    let ended = place.with(&["-overwrite", &from, to], &configs)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((swift.names("data").len(), swift.names("data_segments").len()), (2, BLOCKS));
    assert!(swift.get("data", "to/large").is_some_and(|there| there == large(2)));
    Ok(())
}
