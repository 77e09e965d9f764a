//! Tokens that end, callers' tokens and trusts, and readings that break off.

use std::sync::Arc;

use bytes::Bytes;
use foggara_domain::{Caller, ProjectId, Secret, UserId};
use foggara_identity::keystone::{Keystone, Settings, Trusts};
use foggara_stores::{Access, Content, Lent, Store, StoreError, SwiftStore};
use foggara_testkit::swift::{PASSWORD, PROJECT, PROJECT_NAME, SERVICE, SERVICE_PASSWORD, USER};
use futures::{StreamExt, stream};
use url::Url;

use crate::place::{BUCKET, Place, bytes_of, here, of_swift, place};

fn long() -> Vec<u8> {
    (0..100_000u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect()
}

#[tokio::test]
async fn a_reading_that_breaks_off_is_taken_up_again_with_a_new_token() {
    let place = place().await;
    place.swift.put(BUCKET, "long", &long());
    place.swift.set_busy(2);
    place.swift.set_break_after(Some(30_000));
    let content = place.open(&place.in_swift("long")).await.expect("content");
    assert_eq!(place.swift.logins(), 1);
    place.swift.expire_tokens();
    assert!(bytes_of(content).await.expect("bytes") == long());
    assert_eq!(place.swift.logins(), 2, "one new token does for the rest");
    let gets = place.swift.asked().iter().filter(|line| line.contains("GET")).count();
    assert!(gets >= 6, "{gets} readings: two that found Swift busy, four pieces, one with the old token");
}

#[tokio::test]
async fn large_objects_are_taken_up_again_too() {
    let place = place().await;
    for (name, bytes) in [("part-1", &long()[..60_000]), ("part-2", &long()[60_000..])] {
        place.swift.put(BUCKET, name, bytes);
    }
    place.swift.put_static(BUCKET, "static", &["part-1", "part-2"]);
    place.swift.put_dynamic(BUCKET, "dynamic", "part-");
    place.swift.set_break_after(Some(45_000));
    for name in ["static", "dynamic"] {
        let content = place.open(&place.in_swift(name)).await.expect("content");
        assert_eq!(content.size, Some(100_000));
        assert!(bytes_of(content).await.expect("bytes") == long(), "{name}");
    }
}

#[tokio::test]
async fn an_object_that_changes_under_a_reader_is_told() {
    let place = place().await;
    place.swift.put(BUCKET, "long", &long());
    place.swift.set_break_after(Some(30_000));
    let content = place.open(&place.in_swift("long")).await.expect("content");
    place.swift.put(BUCKET, "long", &vec![2; 100_000]);
    let error = bytes_of(content).await.expect_err("two parts of two objects");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("changed while it was read")), "{error:?}");
    let content = place.open(&place.in_swift("long")).await.expect("content");
    place.delete(&place.in_swift("long")).await.expect("removed");
    let error = bytes_of(content).await.expect_err("half an object");
    assert!(matches!(&error, StoreError::NotFound(text) if text.contains("deleted while it was read")), "{error:?}");
    place.swift.put(BUCKET, "long", &long());
    place.swift.set_break_after(Some(0));
    let content = place.open(&place.in_swift("long")).await.expect("content");
    let error = bytes_of(content).await.expect_err("it never sends anything");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("after 0 bytes")), "{error:?}");
}

#[tokio::test]
async fn a_token_that_ends_between_two_segments_is_renewed() {
    let place = place().await;
    let (_, store, access) = place.store(&place.in_swift("x"));
    let url = Url::parse(&place.in_swift("large")).expect("a url");
    let pieces: Vec<_> = (0..8u8).map(|number| Bytes::from(vec![number; 1 << 20])).collect();
    let swift = &place.swift;
    // Before the third piece of the content and before the sixth the tokens end.
    let (send, mut ends) = tokio::sync::mpsc::unbounded_channel::<tokio::sync::oneshot::Sender<()>>();
    let stream = stream::iter(pieces.clone()).enumerate().then(move |(number, piece)| {
        let send = send.clone();
        async move {
            if number == 2 || number == 5 {
                let (done, ended) = tokio::sync::oneshot::channel();
                send.send(done).expect("somebody who listens");
                ended.await.expect("an end");
            }
            Ok(piece)
        }
    });
    let content = Content { size: Some(8 << 20), stream: stream.boxed() };
    let ending = async {
        while let Some(done) = ends.recv().await {
            swift.expire_tokens();
            done.send(()).expect("somebody who waits");
        }
    };
    let (written, ()) = tokio::join!(store.put(&url, content, &access), ending);
    assert_eq!(written.expect("written"), 8 << 20);
    assert!(place.swift.get(BUCKET, "large").is_some_and(|bytes| bytes == pieces.concat()));
    assert_eq!(place.swift.logins(), 3);
}

#[tokio::test]
async fn a_log_in_does_for_all_that_come_with_the_same_credentials() {
    let place = place().await;
    place.swift.put(BUCKET, "x", b"x");
    let url = place.in_swift("x");
    let many = futures::future::join_all((0..20).map(|_| place.open(&url))).await;
    assert!(many.iter().all(Result::is_ok));
    assert_eq!(place.swift.logins(), 1);
}

struct Cloud {
    keystone: Arc<Keystone>,
    store: SwiftStore,
    caller: Caller,
    url: Url,
}

fn cloud(place: &Place) -> Cloud {
    place.swift.put(BUCKET, "x", b"theirs");
    let settings = Settings::new(place.swift.keystone(), SERVICE, Secret::new(SERVICE_PASSWORD));
    let keystone = Arc::new(Keystone::new(settings).expect("settings"));
    let store = SwiftStore::new(of_swift(&place.swift), Some(Arc::clone(&keystone)), here()).expect("a store");
    let caller = Caller {
        user: UserId::from(format!("u-{USER}")),
        user_name: USER.to_owned(),
        project: ProjectId::from(PROJECT.to_owned()),
        project_name: PROJECT_NAME.to_owned(),
        roles: vec!["member".to_owned()],
    };
    Cloud { keystone, store, caller, url: Url::parse(&place.in_swift("x")).expect("a url") }
}

async fn read(store: &SwiftStore, url: &Url, access: &Access<'_>) -> Result<Vec<u8>, StoreError> {
    bytes_of(store.open(url, access).await?).await
}

#[tokio::test]
async fn a_callers_token_is_used_as_long_as_it_counts() {
    let place = place().await;
    let Cloud { store, caller, url, .. } = cloud(&place);
    let token = Secret::new(place.swift.token());
    let access =
        Access { project: &place.project, caller: Some(&caller), credentials: None, lent: Some(Lent::Token(&token)) };
    assert_eq!(read(&store, &url, &access).await.expect("bytes"), b"theirs");
    place.swift.expire_tokens();
    let error = read(&store, &url, &access).await.expect_err("the token has ended");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("caller's token")), "{error:?}");
    assert!(!format!("{access:?} {error:?}").contains(token.reveal()));
    // Where the server has no outside Keystone, its own tokens are not sent to Swift.
    let asked = place.swift.asked().len();
    let alone = SwiftStore::new(of_swift(&place.swift), None, here()).expect("a store");
    let error = read(&alone, &url, &access).await.expect_err("no credentials");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("there are no credentials")), "{error:?}");
    assert_eq!(place.swift.asked().len(), asked);
}

#[tokio::test]
async fn a_trust_serves_after_its_tokens_until_it_is_given_back() {
    let place = place().await;
    let Cloud { keystone, store, caller, url } = cloud(&place);
    let id = keystone.create_trust(&Secret::new(place.swift.token()), &caller).await.expect("a trust");
    let lent = Lent::Trust { id: &id, project: &caller.project };
    let access = Access { project: &place.project, caller: None, credentials: None, lent: Some(lent) };
    assert_eq!(read(&store, &url, &access).await.expect("bytes"), b"theirs");
    place.swift.expire_tokens();
    assert_eq!(read(&store, &url, &access).await.expect("bytes"), b"theirs");
    keystone.delete_trust(&id).await.expect("given back");
    place.swift.expire_tokens();
    let error = read(&store, &url, &access).await.expect_err("no trust any more");
    let is_told =
        |text: &str| text.contains("cannot act for the user who started it") && text.contains("does not exist");
    assert!(matches!(&error, StoreError::Denied(text) if is_told(text)), "{error:?}");
    // Credentials go before what is lent.
    let own = Access { credentials: Some(&place.login), ..access };
    assert_eq!(read(&store, &url, &own).await.expect("bytes"), b"theirs");
    assert!(!format!("{:?}", store.open(&url, &own).await.err()).contains(PASSWORD));
}
