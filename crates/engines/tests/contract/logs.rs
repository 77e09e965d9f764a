//! Logs of local jobs by offset, and their limit.

use std::{fs, os::unix::fs::MetadataExt};

use foggara_domain::{Tag, status::Outcome};
use foggara_engines::{Engine, JobRef, Stream};

use crate::place::{Place, until};

async fn whole(place: &Place, tag: &Tag, stream: Stream, step: usize) -> Vec<u8> {
    let (mut offset, mut all) = (0, Vec::new());
    loop {
        let piece = place.engine.logs(JobRef::from(tag), stream, offset, step).await.expect("a piece");
        if piece.bytes.is_empty() {
            assert_eq!(piece.size, offset);
            return all;
        }
        assert!(piece.next_offset > offset);
        offset = piece.next_offset;
        all.extend(piece.bytes);
    }
}

#[tokio::test]
async fn streams_are_apart_and_every_byte_is_addressed() {
    let place = Place::new();
    let (tag, _) = place.run("both", "printf 'out\\000\\377'; printf err >&2; printf more").await;
    for step in [1, 3, 1000] {
        assert_eq!(whole(&place, &tag, Stream::Stdout, step).await, b"out\0\xffmore");
        assert_eq!(whole(&place, &tag, Stream::Stderr, step).await, b"err");
    }
    let piece = place.engine.logs(JobRef::from(&tag), Stream::Stdout, 3, 2).await.expect("a piece");
    assert_eq!((piece.bytes.as_slice(), piece.next_offset, piece.size), (&b"\0\xff"[..], 5, 9));
    let beyond = place.engine.logs(JobRef::from(&tag), Stream::Stdout, 100, 2).await.expect("a piece");
    assert_eq!((beyond.bytes.len(), beyond.next_offset, beyond.size), (0, 100, 9));
}

#[tokio::test]
async fn a_running_jobs_log_is_read_while_it_grows() {
    let place = Place::new();
    let tag = place.start_up("grows", "echo up; while [ ! -e go ]; do sleep 0.02; done; echo done").await;
    let first = place.engine.logs(JobRef::from(&tag), Stream::Stdout, 0, 100).await.expect("a piece");
    assert_eq!(first.bytes, b"up\n");
    fs::write(place.workspace(&tag).join("go"), "").expect("written");
    let next = until("more", || async {
        let piece =
            place.engine.logs(JobRef::from(&tag), Stream::Stdout, first.next_offset, 100).await.expect("a piece");
        (!piece.bytes.is_empty()).then_some(piece)
    })
    .await;
    assert_eq!(next.bytes, b"done\n");
}

#[tokio::test]
async fn a_log_over_its_limit_keeps_head_and_tail_and_takes_no_more_room() {
    let place = Place::with(|settings| settings.log_limit = 1_000_000);
    // Slow enough that the shim looks several times.
    let script = "echo first; i=0; while [ $i -lt 12 ]; do head -c 2000000 /dev/zero | tr '\\0' x; sleep 0.1; i=$((i+1)); done; \
        echo; echo last";
    let (tag, ended) = place.run("writer", script).await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    let log = whole(&place, &tag, Stream::Stdout, 100_000).await;
    assert!(log.starts_with(b"first\nxxx") && log.ends_with(b"xxx\nlast\n"));
    assert!(String::from_utf8_lossy(&log).contains("bytes of this log were left out"));
    assert!(log.len() < 1_200_000, "{} bytes are read", log.len());
    let room = fs::metadata(place.log(&tag, "stdout")).expect("there").blocks() * 512;
    assert!(room < 1_200_000, "{room} bytes are on the disk");
    let end = place.engine.logs(JobRef::from(&tag), Stream::Stdout, 24_000_007, 100).await.expect("a piece");
    assert_eq!((end.bytes.as_slice(), end.size), (&b"last\n"[..], 24_000_012), "offsets stay true");
}
