//! S3: what is refused and how it is told, pages, parts, and readings that break off.

use bytes::Bytes;
use foggara_stores::{Access, Reach, S3Settings, S3Store, Store, StoreError};
use foggara_testkit::{
    s3::{ACCESS_KEY, SECRET_KEY, Sending},
    web_page::WebPage,
};
use serde_json::{Value, json};
use url::Url;

use crate::place::{BUCKET, Place, bytes_of, here, object, operators, place};

/// The error of opening, listing and writing a url with credentials; they tell the same.
async fn refused(place: &Place, settings: S3Settings, url: &str, credentials: Value) -> StoreError {
    let store = S3Store::new(settings, here()).expect("a store");
    let (url, credentials) = (Url::parse(url).expect("a url"), object(credentials));
    let access = Access { project: &place.project, caller: None, credentials: Some(&credentials), lent: None };
    let opened = store.open(&url, &access).await.err().expect("not opened");
    let content = foggara_stores::Content { size: None, stream: Box::pin(futures::stream::empty()) };
    let written = store.put(&url, content, &access).await.expect_err("not written");
    let listed = store.list(&url, &access).await.expect_err("not listed");
    for error in [&written, &listed] {
        assert_eq!(std::mem::discriminant(error), std::mem::discriminant(&opened), "{opened:?} {error:?}");
    }
    for error in [&opened, &written, &listed] {
        let text = format!("{error} {error:?}");
        for hidden in [SECRET_KEY, ACCESS_KEY, "another-secret", "planned"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    opened
}

#[tokio::test]
async fn refusals_say_what_to_do_and_no_keys() {
    let place = place().await;
    let (url, none) = (place.object("x"), S3Settings::default());
    let endpoint = place.s3.endpoint();
    let error = refused(&place, none.clone(), &url, json!({})).await;
    assert!(
        matches!(&error, StoreError::Denied(text) if text.contains("no credentials") && text.contains("accesskey")),
        "{error}"
    );
    let error = refused(
        &place,
        none.clone(),
        &url,
        json!({"accesskey": ACCESS_KEY, "secretkey": "another-secret", "endpoint": endpoint}),
    )
    .await;
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("secret key is wrong")), "{error}");
    let error =
        refused(&place, none.clone(), &url, json!({"accesskey": "WHO", "secretkey": SECRET_KEY, "endpoint": endpoint}))
            .await;
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("does not know the access key")), "{error}");
    let error = refused(&place, operators(&place.s3), "s3://no-such-bucket/x", json!({})).await;
    assert!(matches!(&error, StoreError::NotFound(text) if text.contains("bucket 'no-such-bucket'")), "{error}");
    let anonymous = S3Settings { allow_anonymous: true, ..none.clone() };
    let error = refused(&place, anonymous, &url, json!({"endpoint": endpoint})).await;
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("without keys (AccessDenied)")), "{error}");
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let keys = json!({"accesskey": "A", "secretkey": "another-secret", "endpoint": free.to_string(), "ssl": false});
    let error = refused(&place, none, &url, keys).await;
    let is_told = |text: &str| text.contains(&free.to_string()) && text.contains("refused");
    assert!(matches!(&error, StoreError::Unreachable(text) if is_told(text)), "{error}");
}

#[tokio::test]
async fn every_scheme_and_both_sets_of_names_reach_the_same_object() {
    let place = place().await;
    place.s3.put(BUCKET, "a b/ö?#%", b"bytes");
    let store = S3Store::new(S3Settings::default(), here()).expect("a store");
    let endpoint = place.s3.endpoint();
    for (scheme, credentials) in [
        ("s3", json!({"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "endpoint": endpoint})),
        (
            "s3n",
            json!({"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "endpoint": endpoint, "bucket_in_path": true}),
        ),
        ("s3a", json!({"fs.s3a.access.key": ACCESS_KEY, "fs.s3a.secret.key": SECRET_KEY, "fs.s3a.endpoint": endpoint})),
        ("obs", json!({"fs.obs.access.key": ACCESS_KEY, "fs.obs.secret.key": SECRET_KEY, "fs.obs.endpoint": endpoint})),
    ] {
        let url = Url::parse(&format!("{scheme}://{BUCKET}/a%20b/%C3%B6%3F%23%25")).expect("a url");
        let credentials = object(credentials);
        let access = Access { project: &place.project, caller: None, credentials: Some(&credentials), lent: None };
        let content = store.open(&url, &access).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(bytes_of(content).await.expect("bytes"), b"bytes", "{url}");
    }
}

#[tokio::test]
async fn a_listing_of_many_pages_is_whole() {
    let place = place().await;
    place.s3.set_page(3);
    for number in 0..10 {
        place.s3.put(BUCKET, &format!("many/{number:02}"), b"x");
    }
    // The signs for folders that consoles leave are no files.
    place.s3.put(BUCKET, "many/", b"");
    place.s3.put(BUCKET, "many/sub/", b"");
    place.s3.put(BUCKET, "empty/", b"");
    let listing = place.list(&place.object("many")).await.expect("a listing");
    assert_eq!(listing.files.len(), 10);
    let listing = place.list(&place.object("empty")).await.expect("a folder without files");
    assert!(listing.is_folder && listing.files.is_empty());
    assert_eq!(place.list(&place.object("")).await.expect("the whole bucket").files.len(), 10);
    let asked = place.s3.asked();
    assert!(asked.iter().filter(|line| line.contains("continuation-token")).count() >= 3, "{asked:?}");
    // A key that no path can mean.
    place.s3.put(BUCKET, "many/../x", b"x");
    let error = place.list(&place.object("many")).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("many/../x")), "{error:?}");
}

#[tokio::test]
async fn a_reading_that_breaks_off_is_taken_up_again() {
    let place = place().await;
    let bytes: Vec<u8> = (0..100_000u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect();
    place.s3.put(BUCKET, "long", &bytes);
    place.s3.set_busy(2);
    let content = place.open(&place.object("long")).await.expect("content");
    place.s3.set_sending(Sending::Half);
    assert!(bytes_of(content).await.expect("bytes") == bytes);
    let gets = place.s3.asked().iter().filter(|line| line.starts_with("GET /data/long")).count();
    assert!(gets > 2, "{gets} requests");
}

#[tokio::test]
async fn an_object_that_changes_under_a_reader_is_told() {
    let place = place().await;
    place.s3.put(BUCKET, "long", &vec![1; 100_000]);
    place.s3.set_sending(Sending::Half);
    let content = place.open(&place.object("long")).await.expect("content");
    place.s3.put(BUCKET, "long", &vec![2; 100_000]);
    let error = bytes_of(content).await.expect_err("two halves of two objects");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("changed while it was read")), "{error:?}");
}

#[tokio::test]
async fn large_content_goes_up_in_parts_and_appears_when_the_last_is_there() {
    let place = place().await;
    let pieces = || (0..20u8).map(|number| Ok(Bytes::from(vec![number; 1 << 20]))).collect::<Vec<_>>();
    let size = place.write(&place.object("large"), Some(20 << 20), pieces()).await.expect("written");
    assert_eq!(size, 20 << 20);
    let there = place.s3.get(BUCKET, "large").expect("the object");
    assert!((0..20u8).all(|number| there[usize::from(number) << 20] == number) && there.len() == 20 << 20);
    let asked = place.s3.asked();
    assert_eq!(asked.iter().filter(|line| line.contains("partNumber=")).count(), 3, "{asked:?}");
    assert_eq!(place.s3.open_uploads(), 0);
}

#[tokio::test]
async fn an_endpoint_on_this_host_is_the_operators_only() {
    let place = place().await;
    place.s3.put(BUCKET, "x", b"1");
    let store = S3Store::new(operators(&place.s3), Reach::default()).expect("a store");
    let url = Url::parse(&place.object("x")).expect("a url");
    let ask = async |endpoint: &str| {
        let keys = object(json!({"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "endpoint": endpoint}));
        let access = Access { project: &place.project, caller: None, credentials: Some(&keys), lent: None };
        store.open(&url, &access).await.map(|content| content.size)
    };
    assert_eq!(ask(&place.s3.endpoint()).await, Ok(Some(1)), "it is the operator's");
    let port = place.s3.endpoint().rsplit(':').next().expect("a port").to_owned();
    let (asked, localhost) = (place.s3.asked().len(), format!("http://localhost:{port}"));
    for endpoint in [&localhost, "http://127.0.0.1:1", "http://169.254.169.254", "http://[::ffff:127.0.0.1]:1"] {
        let error = ask(endpoint).await.expect_err(endpoint);
        assert!(
            matches!(&error, StoreError::Denied(text) if text.contains("[stores.http] allow")),
            "{endpoint}: {error:?}"
        );
    }
    assert_eq!(place.s3.asked().len(), asked);
}

/// A web server says yes to everything: what it sends is no object, and what it is sent is nowhere.
#[tokio::test]
async fn a_web_page_is_not_taken_for_an_object() {
    let place = place().await;
    let page = WebPage::start(200).expect("a server");
    let keys = json!({"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "endpoint": page.url()});
    let store = S3Store::new(S3Settings::default(), here()).expect("a store");
    let (url, keys) = (Url::parse(&place.object("x")).expect("a url"), object(keys));
    let access = Access { project: &place.project, caller: None, credentials: Some(&keys), lent: None };
    for error in [store.open(&url, &access).await.err(), store.list(&url, &access).await.err()] {
        let text = error.expect("no object").to_string();
        assert!(text.contains("is the endpoint right?") && !text.contains(SECRET_KEY), "{text}");
    }
}

/// Whoever drops a writing gives it up, so that nobody pays for its parts.
#[tokio::test]
async fn an_upload_that_is_dropped_leaves_no_parts() {
    let place = place().await;
    let store = S3Store::new(operators(&place.s3), here()).expect("a store");
    let url = Url::parse(&place.object("dropped")).expect("a url");
    let access = Access { project: &place.project, caller: None, credentials: None, lent: None };
    let pieces = (0..20u8).map(|number| Ok(Bytes::from(vec![number; 1 << 20])));
    let content = foggara_stores::Content {
        size: Some(21 << 20),
        stream: Box::pin(futures::StreamExt::chain(futures::stream::iter(pieces), futures::stream::pending())),
    };
    let silence = std::time::Duration::from_millis(500);
    let error = foggara_stores::put_while_moving(&store, &url, content, &access, silence).await.expect_err("it hangs");
    assert!(error.to_string().contains("took no byte"), "{error}");
    let gone = || async { (place.s3.open_uploads() == 0).then_some(()) };
    foggara_testkit::wait::until("the parts are gone", std::time::Duration::from_secs(30), gone).await.expect("gone");
    assert!(place.s3.asked().iter().any(|line| line.starts_with("POST ")), "there was an upload");
}
