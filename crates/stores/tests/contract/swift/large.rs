//! Large objects, and content that does not come to Swift as it was sent.

use bytes::Bytes;
use foggara_stores::{Access, Content, Store, StoreError, SwiftSettings, SwiftStore};
use foggara_testkit::wait::until;
use futures::{StreamExt, stream};

use crate::place::{BUCKET, Place, SEGMENT, SOON, bytes_of, here, of_swift, place};

/// Pieces of a mebibyte, each of another byte.
fn pieces(count: u8) -> Vec<Result<Bytes, StoreError>> {
    (0..count).map(|number| Ok(Bytes::from(vec![number; 1 << 20]))).collect()
}

fn whole(count: u8) -> Vec<u8> {
    (0..count).flat_map(|number| vec![number; 1 << 20]).collect()
}

fn segments(place: &Place) -> Vec<String> {
    place.swift.names("data_segments")
}

#[tokio::test]
async fn large_content_goes_up_in_segments_that_go_with_it() {
    let place = place().await;
    let url = place.in_swift("a b/large");
    for (told, count) in [(Some(5 << 20), 5), (None, 7)] {
        let size = place.write(&url, told, pieces(count)).await.expect("written");
        assert_eq!(size, u64::from(count) << 20);
        // Those of the one before have gone.
        let names = segments(&place);
        assert_eq!(names.len(), usize::from(count), "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("a b/large/")), "{names:?}");
        assert!(place.swift.get(BUCKET, "a b/large").is_some_and(|bytes| bytes == whole(count)));
        let content = place.open(&url).await.expect("content");
        assert_eq!(content.size, Some(u64::from(count) << 20));
        assert!(bytes_of(content).await.expect("bytes") == whole(count));
    }
    place.write(&url, None, vec![Ok(Bytes::from_static(b"small"))]).await.expect("written");
    assert_eq!(segments(&place), Vec::<String>::new(), "a small one in its place needs none");
    place.write(&url, None, pieces(2)).await.expect("written");
    assert_eq!(segments(&place).len(), 2);
    place.delete(&url).await.expect("removed");
    assert_eq!((segments(&place), place.swift.get(BUCKET, "a b/large")), (Vec::new(), None));
}

#[tokio::test]
async fn what_is_not_more_than_a_segment_is_one_object() {
    let place = place().await;
    let one = usize::try_from(SEGMENT).expect("a size");
    for told in [Some(SEGMENT), None] {
        let piece = Ok(Bytes::from(vec![7; one]));
        place.write(&place.in_swift("one"), told, vec![piece]).await.expect("written");
        assert_eq!(segments(&place), Vec::<String>::new());
        assert!(place.swift.get(BUCKET, "one").is_some_and(|bytes| bytes == vec![7; one]));
    }
    place.write(&place.in_swift("more"), None, vec![Ok(Bytes::from(vec![7; one + 1]))]).await.expect("written");
    assert_eq!(segments(&place).len(), 2);
}

/// A manifest over a container of data is no reason to remove the data.
#[tokio::test]
async fn data_that_a_manifest_names_stays() {
    let place = place().await;
    place.swift.put(BUCKET, "part", b"data");
    place.swift.put_static(BUCKET, "put-together", &["part", "part"]);
    let url = place.in_swift("put-together");
    assert_eq!(bytes_of(place.open(&url).await.expect("content")).await.expect("bytes"), b"datadata");
    place.write(&url, None, vec![Ok(Bytes::from_static(b"other"))]).await.expect("written");
    assert_eq!(place.swift.get(BUCKET, "part").as_deref(), Some(&b"data"[..]));
    place.swift.put_static(BUCKET, "put-together", &["part"]);
    place.delete(&url).await.expect("removed");
    assert_eq!(place.swift.names(BUCKET), ["part"]);
}

#[tokio::test]
async fn what_comes_to_swift_otherwise_is_told_and_not_left_there() {
    let place = place().await;
    place.swift.set_damages();
    let store =
        SwiftStore::new(SwiftSettings { segment: 64 << 20, ..of_swift(&place.swift) }, None, here()).expect("a store");
    let access = Access { project: &place.project, caller: None, credentials: Some(&place.login), lent: None };
    let url = url::Url::parse(&place.in_swift("x")).expect("a url");
    let small = place.write(url.as_str(), None, vec![Ok(Bytes::from_static(b"small"))]).await;
    let in_segments = place.write(url.as_str(), None, pieces(3)).await;
    let content = Content { size: Some(6 << 20), stream: stream::iter(pieces(6)).boxed() };
    let streamed = store.put(&url, content, &access).await;
    for error in [small, in_segments, streamed].map(|done| done.expect_err("damaged")) {
        assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("MD5")), "{error:?}");
    }
    assert_eq!((place.swift.names(BUCKET), segments(&place)), (Vec::new(), Vec::new()));
}

/// The server refuses at the beginning of a body that can be streamed only once.
#[tokio::test]
async fn the_beginning_of_a_stream_is_sent_again() {
    let place = place().await;
    let store =
        SwiftStore::new(SwiftSettings { segment: 64 << 20, ..of_swift(&place.swift) }, None, here()).expect("a store");
    let access = Access { project: &place.project, caller: None, credentials: Some(&place.login), lent: None };
    let url = url::Url::parse(&place.in_swift("streamed")).expect("a url");
    place.swift.set_busy_for_writes(2);
    let swift = &place.swift;
    let seen = std::sync::Arc::new(tokio::sync::Notify::new());
    let waiting = std::sync::Arc::clone(&seen);
    let stream = stream::iter(pieces(20)).enumerate().then(move |(number, piece)| {
        let waiting = std::sync::Arc::clone(&waiting);
        async move {
            if number == 6 {
                waiting.notified().await;
            }
            piece
        }
    });
    let content = Content { size: Some(20 << 20), stream: stream.boxed() };
    let watch = async {
        let refused = async || (swift.busy_writes() == 0).then_some(());
        until("the refusals", SOON, refused).await.expect("the refusals");
        seen.notify_one();
    };
    let (written, ()) = tokio::join!(store.put(&url, content, &access), watch);
    assert_eq!(written.expect("written"), 20 << 20);
    assert!(place.swift.get(BUCKET, "streamed").is_some_and(|bytes| bytes == whole(20)));
    assert_eq!(segments(&place), Vec::<String>::new());
    // Small content is sent again as a whole.
    place.swift.set_busy_for_writes(3);
    place.write(&place.in_swift("small"), None, vec![Ok(Bytes::from_static(b"small"))]).await.expect("written");
    place.swift.set_busy_for_writes(4);
    let error = place.write(&place.in_swift("small"), None, Vec::new()).await.expect_err("busy for too long");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("503")), "{error:?}");
    assert_eq!(place.swift.get(BUCKET, "small").as_deref(), Some(&b"small"[..]));
}
