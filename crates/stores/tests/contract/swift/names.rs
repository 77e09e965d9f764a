//! Listings.

use foggara_stores::StoreError;

use crate::place::{BUCKET, place};

#[tokio::test]
async fn a_listing_of_many_pages_is_whole() {
    let place = place().await;
    place.swift.set_page(3);
    for number in 0..10 {
        place.swift.put(BUCKET, &format!("many/{number:02}"), b"x");
    }
    // The signs for folders that programs leave are no files.
    place.swift.put(BUCKET, "many/", b"");
    place.swift.put_folder(BUCKET, "many");
    place.swift.put_folder(BUCKET, "many/sub");
    place.swift.put_folder(BUCKET, "empty");
    place.swift.put(BUCKET, "empty/", b"");
    for (name, files) in [("many", 10), ("many/", 10), ("empty", 0), ("", 10)] {
        let listing = place.list(&place.in_swift(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(listing.is_folder && listing.files.len() == files, "{name}: {listing:?}");
    }
    let asked = place.swift.asked();
    assert!(asked.iter().filter(|line| line.contains("marker=")).count() >= 3, "{asked:?}");
    let error = place.list("swift://no-such").await.expect_err("no container");
    assert!(matches!(&error, StoreError::NotFound(text) if text.contains("container 'no-such'")), "{error:?}");
    // A name that no path can mean.
    place.swift.put(BUCKET, "many/../x", b"x");
    let error = place.list(&place.in_swift("many")).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("many/../x")), "{error:?}");
}

/// In listings a dynamic large object has no bytes.
#[tokio::test]
async fn a_listing_tells_the_size_that_a_reader_gets() {
    let place = place().await;
    for (name, bytes) in [("parts/1", &b"ab"[..]), ("parts/2", b"cde"), ("d/empty", b"")] {
        place.swift.put(BUCKET, name, bytes);
    }
    place.swift.put_dynamic(BUCKET, "d/dynamic", "parts/");
    place.swift.put_static(BUCKET, "d/static", &["parts/1", "parts/2"]);
    let listing = place.list(&place.in_swift("d")).await.expect("a listing");
    let sizes: Vec<(&str, u64)> = listing.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
    assert_eq!(sizes, [("dynamic", 5), ("empty", 0), ("static", 5)]);
    let alone = place.list(&place.in_swift("d/dynamic")).await.expect("a listing");
    assert_eq!((alone.is_folder, alone.files[0].size), (false, 5));
    // A listing and a question about one object tell the same time.
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH).expect("a time after 1970").as_millis()
    };
    let (one, other) = (alone.files[0].modified.expect("a time"), listing.files[0].modified.expect("a time"));
    assert_eq!(seconds(one), seconds(other));
}
