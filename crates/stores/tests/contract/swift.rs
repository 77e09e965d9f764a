//! Swift: who is let in, what is refused and how it is told, tokens that end in the middle, large objects, and listings.

mod large;
mod names;
mod tokens;

use foggara_stores::{Access, Content, Store, StoreError, SwiftSettings, SwiftStore};
use foggara_testkit::swift::{FORBIDDEN, PASSWORD, PROJECT, PROJECT_NAME, USER};
use futures::StreamExt;
use serde_json::{Value, json};
use url::Url;

use crate::place::{BUCKET, Place, bytes_of, here, object, of_swift, place};

fn empty() -> Content {
    Content { size: None, stream: futures::stream::empty().boxed() }
}

/// The error of opening, listing and writing a url with credentials; they tell the same.
async fn refused(place: &Place, settings: SwiftSettings, url: &str, credentials: Value) -> StoreError {
    let store = SwiftStore::new(settings, None, here()).expect("a store");
    let (url, credentials) = (Url::parse(url).expect("a url"), object(credentials));
    let access = Access { project: &place.project, caller: None, credentials: Some(&credentials), lent: None };
    let opened = store.open(&url, &access).await.err().expect("not opened");
    let written = store.put(&url, empty(), &access).await.expect_err("not written");
    let listed = store.list(&url, &access).await.expect_err("not listed");
    for error in [&written, &listed] {
        assert_eq!(std::mem::discriminant(error), std::mem::discriminant(&opened), "{opened:?} {error:?}");
    }
    for error in [&opened, &written, &listed] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(PASSWORD) && !text.contains("another-secret") && !text.contains("planned"), "{text}");
    }
    opened
}

#[tokio::test]
async fn refusals_say_what_to_do_and_no_password() {
    let place = place().await;
    let (url, settings) = (place.in_swift("x"), of_swift(&place.swift));
    let login = Value::from(place.login.clone());
    let denied = async |settings: &SwiftSettings, url: &str, credentials: Value, why: &str| {
        let error = refused(&place, settings.clone(), url, credentials).await;
        assert!(matches!(&error, StoreError::Denied(text) if text.contains(why)), "{why}: {error:?}");
    };
    denied(&settings, &url, json!({}), "there are no credentials").await;
    let wrong = json!({"user": USER, "password": "another-secret", "project": PROJECT_NAME});
    denied(&settings, &url, wrong, "does not let the user 'ada' in (401): check user, password").await;
    denied(&settings, &url, json!({"user": USER, "password": PASSWORD}), "for no project").await;
    let v1 = json!({"user": USER, "password": "another-secret", "auth_url": place.swift.v1()});
    denied(&settings, &url, v1, "account:user").await;
    denied(&settings, &format!("swift://{FORBIDDEN}/x"), login.clone(), "does not allow the user 'ada' this (403)")
        .await;
    denied(&SwiftSettings::default(), &url, login.clone(), "[stores.swift] auth_url").await;
    let elsewhere = SwiftSettings { region: Some("two".to_owned()), ..settings.clone() };
    denied(&elsewhere, &url, login.clone(), "no public object-store in the region 'two'").await;
    let error = refused(&place, settings.clone(), "swift://no-such/x", login.clone()).await;
    assert!(
        matches!(&error, StoreError::NotFound(text) if text.contains("container 'no-such' does not exist")),
        "{error:?}"
    );
    // Something that is no Keystone.
    let other = SwiftSettings { auth_url: Some(place.web("/status")), ..settings.clone() };
    let error = refused(&place, other, &url, login.clone()).await;
    assert!(
        matches!(&error, StoreError::Unsupported(text) if text.contains("does not answer as Keystone v3")),
        "{error:?}"
    );
    place.swift.take_from_catalogue();
    denied(&settings, &url, login.clone(), "no public object-store: set [stores.swift] endpoint").await;
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let away = SwiftSettings { auth_url: Some(format!("http://{free}/v3")), ..settings };
    let error = refused(&place, away, &url, login).await;
    let is_told = |text: &str| text.contains(&free.to_string()) && text.contains("cannot be reached");
    assert!(matches!(&error, StoreError::Unreachable(text) if is_told(text)), "{error:?}");
}

#[tokio::test]
async fn every_log_in_and_both_sets_of_names_reach_the_same_object() {
    let place = place().await;
    place.swift.put(BUCKET, "a b/ö?#%", b"bytes");
    place.swift.take_from_catalogue();
    let own = of_swift(&place.swift);
    let endpoint = SwiftSettings { endpoint: Some(place.swift.endpoint()), ..own.clone() };
    let nothing = SwiftSettings::default();
    let project = foggara_domain::ProjectId::from(PROJECT.to_owned());
    let knowing = SwiftSettings { knows_projects: true, ..endpoint.clone() };
    for (settings, credentials) in [
        (endpoint, Value::from(place.login.clone())),
        (knowing, json!({"user": USER, "password": PASSWORD})),
        (own, json!({"user": USER, "password": PASSWORD, "tenant": PROJECT_NAME, "auth_url": place.swift.v1()})),
        (
            nothing,
            json!({
                "fs.swift.service.sahara.username": format!("{PROJECT_NAME}:{USER}"),
                "fs.swift.service.sahara.password": PASSWORD, "fs.swift.service.sahara.auth.url": place.swift.v1(),
            }),
        ),
    ] {
        let store = SwiftStore::new(settings, None, here()).expect("a store");
        let credentials = object(credentials);
        let access = Access { project: &project, caller: None, credentials: Some(&credentials), lent: None };
        for container in [BUCKET.to_owned(), format!("{BUCKET}.sahara")] {
            let url = Url::parse(&format!("swift://{container}/a%20b/%C3%B6%3F%23%25")).expect("a url");
            let content = store.open(&url, &access).await.unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(bytes_of(content).await.expect("bytes"), b"bytes", "{url}");
        }
    }
}
