//! The web: redirects, refusals, broken answers, and what errors may tell.

use foggara_stores::StoreError;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::place::{bytes_of, place};

#[tokio::test]
async fn redirects_are_followed_and_limited() {
    let place = place().await;
    place.put("one", b"1").await;
    let content = place.open(&place.web("/moved/one")).await.expect("content");
    assert_eq!(bytes_of(content).await.expect("bytes"), b"1");
    for path in ["/round", "/away"] {
        let error = place.refused(&place.web(path)).await;
        assert!(matches!(&error, StoreError::Unreachable(_)), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let place = place().await;
    let of = async |status: u16| place.refused(&place.web(&format!("/status/{status}"))).await;
    assert!(matches!(of(404).await, StoreError::NotFound(_)));
    assert!(matches!(of(410).await, StoreError::NotFound(_)));
    assert!(matches!(of(401).await, StoreError::Denied(_)));
    assert!(matches!(of(403).await, StoreError::Denied(_)));
    assert!(matches!(of(500).await, StoreError::Unreachable(text) if text.contains("500")));
    assert!(matches!(of(503).await, StoreError::Unreachable(_)));
}

#[tokio::test]
async fn a_broken_answer_never_looks_whole() {
    let place = place().await;
    let error = place.fetch(&place.web("/broken"), "copy", 100).await.expect_err("it broke off");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("broke off")), "{error:?}");
    assert_eq!(place.fetched(), Vec::<String>::new());
}

#[tokio::test]
async fn stored_credentials_are_used() {
    let place = place().await;
    let url = place.web("/private");
    assert!(matches!(place.refused(&url).await, StoreError::Denied(_)));
    let login: Map<String, Value> = match json!({"user": "me", "password": "secret"}) {
        Value::Object(login) => login,
        _ => Map::new(),
    };
    let content = place.open_with(&url, Some(&login)).await.expect("content");
    assert_eq!(bytes_of(content).await.expect("bytes"), b"yours");
    let content = place.open(&url.replacen("http://", "http://me:secret@", 1)).await.expect("content");
    assert_eq!(bytes_of(content).await.expect("bytes"), b"yours");
}

#[tokio::test]
async fn errors_tell_no_query_and_no_credentials() {
    let place = place().await;
    // A port where nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    for url in [
        format!("http://me:hidden1@{}/files/nothing?signature=hidden2", place.web),
        format!("http://me:hidden1@{}/status/403?signature=hidden2", place.web),
        format!("http://me:hidden1@{}/round?signature=hidden2", place.web),
        format!("http://me:hidden1@{closed}/p?signature=hidden2"),
    ] {
        let text = place.refused(&url).await.to_string();
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("http://127.0.0.1:"), "it says which: {text}");
    }
    let text = place.refused(&format!("http://{closed}/p")).await.to_string();
    assert!(text.contains("refused"), "it says why: {text}");
}
