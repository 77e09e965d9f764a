//! The same questions to every store.

use foggara_db::internal_binaries;
use foggara_domain::{InternalBinaryId, ProjectId};
use foggara_stores::{Access, StoreError};
use sha2::{Digest, Sha256};

use crate::place::{bytes_of, place};

/// More than two pieces of the database, and no round number.
fn many() -> Vec<u8> {
    (0..700_001u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect()
}

#[tokio::test]
async fn bytes_come_as_they_were_put() {
    let place = place().await;
    for (name, bytes) in [("many", many()), ("one", vec![0xff])] {
        for url in place.put(name, &bytes).await {
            let content = place.open(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(content.size, Some(bytes.len() as u64), "{url}");
            assert!(bytes_of(content).await.expect("bytes") == bytes, "{url}");
        }
    }
}

#[tokio::test]
async fn nothing_is_not_found() {
    let place = place().await;
    for url in place.nothing() {
        let error = place.refused(&url).await;
        assert!(matches!(error, StoreError::NotFound(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_fetched_file_is_whole_and_hashed() {
    let place = place().await;
    let bytes = many();
    let hash = hex::encode(Sha256::digest(&bytes));
    for (number, url) in place.put("many", &bytes).await.into_iter().enumerate() {
        let name = format!("copy-{number}");
        let fetched = place.fetch(&url, &name, 700_001).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((fetched.size, fetched.sha256.as_str()), (700_001, hash.as_str()), "{url}");
        assert!(std::fs::read(place.target(&name)).expect("a file") == bytes, "{url}");
    }
    let mut left = place.fetched();
    left.sort();
    assert_eq!(left, ["copy-0", "copy-1", "copy-2"], "no temporary file is left");
}

#[tokio::test]
async fn more_than_the_limit_is_refused_and_leaves_nothing() {
    let place = place().await;
    for url in place.put("many", &many()).await {
        for told in [true, false] {
            let mut content = place.open(&url).await.expect("content");
            if !told {
                // A store that does not know the size beforehand.
                content.size = None;
            }
            let error = foggara_stores::fetch_into_file(content, &place.target("copy"), 700_000).await;
            let error = error.expect_err("it is too big");
            assert!(matches!(&error, StoreError::TooBig(text) if text.contains("700000")), "{url}: {error:?}");
        }
    }
    assert_eq!(place.fetched(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_local_fault() {
    let place = place().await;
    for url in place.put("one", b"1").await {
        let content = place.open(&url).await.expect("content");
        let path = place.target("no-such-folder").join("copy");
        let error = foggara_stores::fetch_into_file(content, &path, 10).await.expect_err("no folder");
        assert!(matches!(&error, StoreError::Local(text) if text.contains("no-such-folder")), "{error:?}");
    }
}

/// The disk that is always full.
#[tokio::test]
async fn a_full_disk_is_said_to_be_full() {
    let place = place().await;
    let path = place.target("copy");
    std::os::unix::fs::symlink("/dev/full", place.target("copy.part")).expect("a link");
    for url in place.put("many", &many()).await {
        let content = place.open(&url).await.expect("content");
        if !place.target("copy.part").is_symlink() {
            std::os::unix::fs::symlink("/dev/full", place.target("copy.part")).expect("a link");
        }
        let error = foggara_stores::fetch_into_file(content, &path, 1 << 30).await.expect_err("a full disk");
        assert!(matches!(&error, StoreError::Local(text) if text.contains("disk is full")), "{url}: {error:?}");
    }
    assert_eq!(place.fetched(), Vec::<String>::new());
}

#[tokio::test]
async fn an_internal_binary_is_its_projects_and_never_short() {
    let place = place().await;
    let url = place.upload("many", &many()).await;
    let parsed = url::Url::parse(&url).expect("a url");
    let store = place.stores.get("internal-db").expect("a store");
    let other = ProjectId::from("2".repeat(32));
    let access = Access { project: &other, caller: None, credentials: None };
    let error = store.open(&parsed, &access).await.err().expect("another project's");
    assert!(matches!(error, StoreError::NotFound(_)), "{error:?}");
    // Deleted between its opening and its last byte.
    let content = place.open(&url).await.expect("content");
    let id = InternalBinaryId::from(parsed.host_str().expect("an id").to_owned());
    let deleted = place.db.write(move |conn| {
        let id = id.clone();
        Box::pin(async move { internal_binaries::delete(conn, &id).await })
    });
    deleted.await.expect("deleted");
    let error = bytes_of(content).await.expect_err("a short file must not look whole");
    assert!(matches!(&error, StoreError::NotFound(text) if text.contains("deleted")), "{error:?}");
}
