//! The same questions to every store.

use bytes::Bytes;
use foggara_db::internal_binaries;
use foggara_domain::{InternalBinaryId, ProjectId};
use foggara_stores::{Access, StoreError, below};
use sha2::{Digest, Sha256};

use crate::place::{Place, bytes_of, place};

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
    assert_eq!(left.len(), 9);
    assert!(
        left.iter().all(|name| name.starts_with("copy-") && name.len() == 6),
        "no temporary file is left: {left:?}"
    );
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

fn in_pieces(bytes: &[u8]) -> Vec<Result<Bytes, StoreError>> {
    bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

async fn read(place: &Place, url: &str) -> Vec<u8> {
    bytes_of(place.open(url).await.unwrap_or_else(|error| panic!("{url}: {error}"))).await.expect("bytes")
}

#[tokio::test]
async fn what_was_written_can_be_read_listed_replaced_and_removed() {
    let place = place().await;
    for url in place.writable("folder/sub/a%20file") {
        for bytes in [many(), Vec::new(), b"shorter".to_vec()] {
            for told in [Some(bytes.len() as u64), None] {
                let size =
                    place.write(&url, told, in_pieces(&bytes)).await.unwrap_or_else(|error| panic!("{url}: {error}"));
                assert_eq!(size, bytes.len() as u64, "{url}");
                assert!(read(&place, &url).await == bytes, "{url}");
            }
        }
        let listing = place.list(&url).await.expect("a listing");
        assert!(!listing.is_folder && listing.files.len() == 1, "{url}: {listing:?}");
        assert_eq!((listing.files[0].path.as_str(), listing.files[0].size), ("", 7), "{url}");
        place.delete(&url).await.expect("removed");
        place.delete(&url).await.expect("to remove nothing is no fault");
        assert!(matches!(place.refused(&url).await, StoreError::NotFound(_)), "{url}");
    }
}

#[tokio::test]
async fn all_files_below_a_folder_are_listed_and_nothing_else() {
    let place = place().await;
    for url in place.writable("top") {
        let error = place.list(&url).await.expect_err("there is nothing yet");
        assert!(matches!(error, StoreError::NotFound(_)), "{url}: {error:?}");
        for (name, size) in [("/b", 2), ("/.hidden", 1), ("/a/c%23d", 3), ("/a/_x/y", 0)] {
            place.write(&format!("{url}{name}"), None, vec![Ok(Bytes::from(vec![b'x'; size]))]).await.expect("written");
        }
        // Its name begins alike, and it does not lie below.
        place.write(&format!("{url}-beside"), None, Vec::new()).await.expect("written");
        for url in [url.clone(), format!("{url}/")] {
            let listing = place.list(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
            assert!(listing.is_folder, "{url}");
            let files: Vec<(&str, u64)> = listing.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
            assert_eq!(files, [(".hidden", 1), ("a/_x/y", 0), ("a/c#d", 3), ("b", 2)], "{url}");
            assert!(listing.files.iter().all(|file| file.modified.is_some()), "{url}");
            for file in &listing.files {
                let below = below(&url::Url::parse(&url).expect("a url"), &file.path).expect("a url");
                assert_eq!(read(&place, below.as_str()).await.len() as u64, file.size, "{below}");
            }
        }
    }
}

#[tokio::test]
async fn what_breaks_off_leaves_what_was_there() {
    let place = place().await;
    let broken = || {
        let mut pieces = in_pieces(&vec![1; 9 << 20]);
        pieces.push(Err(StoreError::Unreachable("planned".to_owned())));
        pieces
    };
    for url in place.writable("kept/file") {
        for before in [false, true] {
            if before {
                place.write(&url, None, vec![Ok(Bytes::from_static(b"before"))]).await.expect("written");
            }
            for (told, pieces, why) in [
                (None, broken(), "planned"),
                (Some(5), vec![Ok(Bytes::from_static(b"four"))], "4 bytes came where 5 were announced"),
                (Some(3), vec![Ok(Bytes::from_static(b"four"))], "4 bytes came where 3 were announced"),
            ] {
                let error = place.write(&url, told, pieces).await.expect_err(why);
                assert!(matches!(&error, StoreError::Unreachable(text) if text.contains(why)), "{url}: {error:?}");
            }
            match place.open(&url).await {
                Ok(content) if before => assert_eq!(bytes_of(content).await.expect("bytes"), b"before", "{url}"),
                Err(StoreError::NotFound(_)) if !before => {}
                other => panic!("{url}: {:?}", other.err()),
            }
        }
        let folder = url.strip_suffix("/file").expect("a folder");
        assert_eq!(place.list(folder).await.expect("a listing").files.len(), 1, "{url}: nothing unfinished is left");
    }
    assert_eq!(place.s3.open_uploads(), 0);
    assert_eq!(place.swift.names("data_segments"), Vec::<String>::new());
}

#[tokio::test]
async fn stores_that_cannot_write_say_so() {
    let place = place().await;
    for url in [place.web("/files/x"), place.upload("x", b"x").await] {
        let scheme = url.split(':').next().expect("a scheme");
        for error in [
            place.list(&url).await.expect_err("no folders"),
            place.write(&url, None, Vec::new()).await.expect_err("no writing"),
            place.delete(&url).await.expect_err("no removing"),
        ] {
            assert!(matches!(&error, StoreError::Unsupported(text) if text.contains(scheme)), "{url}: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_internal_binary_is_its_projects_and_never_short() {
    let place = place().await;
    let url = place.upload("many", &many()).await;
    let parsed = url::Url::parse(&url).expect("a url");
    let store = place.stores.get("internal-db").expect("a store");
    let other = ProjectId::from("2".repeat(32));
    let access = Access { project: &other, caller: None, credentials: None, lent: None };
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
