//! The web: redirects, refusals, broken answers, and what errors may tell.

use foggara_stores::{Access, HttpStore, Reach, Store, StoreError};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::{
    place::{Place, bytes_of, place},
    web::HALVED,
};

/// Opens a url by a store that may reach what the words say.
async fn ask(place: &Place, allow: &[&str], url: &str) -> Result<Vec<u8>, StoreError> {
    let words: Vec<String> = allow.iter().map(|word| (*word).to_owned()).collect();
    let store = HttpStore::new(Reach::of(&words).expect("a rule")).expect("a client");
    let access = Access { project: &place.project, caller: None, credentials: None, lent: None };
    bytes_of(store.open(&url::Url::parse(url).expect("a url"), &access).await?).await
}

fn is_refused(result: Result<Vec<u8>, StoreError>) -> bool {
    matches!(result, Err(StoreError::Denied(text)) if text.contains("[stores.http] allow"))
}

#[tokio::test]
async fn this_host_and_its_link_are_not_reached_unless_allowed() {
    let place = place().await;
    place.put("one", b"1").await;
    let port = place.web.port();
    let of = |host: &str| format!("http://{host}:{port}/files/one");
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        assert!(is_refused(ask(&place, &[], &of(host)).await), "{host}");
    }
    let (exact, other) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port ^ 1));
    for (allow, host, wanted) in [
        (exact.as_str(), "127.0.0.1", true),
        (&other, "127.0.0.1", false),
        // An address with a port is not opened to names that resolve to it: their port is not known there.
        (&exact, "localhost", false),
        ("127.0.0.0/8", "localhost", true),
        ("localhost", "localhost", true),
        ("localhost", "127.0.0.1", false),
    ] {
        let result = ask(&place, &[allow], &of(host)).await;
        assert_eq!(result == Ok(b"1".to_vec()), wanted, "{allow} {host}: {result:?}");
        assert_eq!(is_refused(result), !wanted, "{allow} {host}");
    }
}

#[tokio::test]
async fn redirects_are_held_to_the_same_rule() {
    let place = place().await;
    let (host, port) = ("127.0.0.1", place.web.port());
    let exact = format!("{host}:{port}");
    for path in
        ["/metadata", "/mapped", &format!("/to/localhost/{port}"), &format!("/to/127.0.0.1/{}", place.other.port())]
    {
        assert!(is_refused(ask(&place, &[&exact], &place.web(path)).await), "{path}");
    }
    let told = ask(&place, &[host], &place.web(&format!("/to/127.0.0.1/{}", place.other.port()))).await;
    assert_eq!(told, Ok(b"authorization none, referer none".to_vec()));
}

#[tokio::test]
async fn credentials_stay_with_the_host_they_are_for() {
    let place = place().await;
    let login = json!({"user": "me", "password": "secret"}).as_object().cloned();
    let told = async |url: &str, login: Option<&Map<String, Value>>| {
        let content = place.open_with(url, login).await.expect("content");
        String::from_utf8(bytes_of(content).await.expect("bytes")).expect("a text")
    };
    for (path, wanted) in [("/stay", "authorization Basic bWU6c2VjcmV0"), ("/leave", "authorization none")] {
        let url = format!("{}?signature=hidden", place.web(path));
        let wanted = format!("{wanted}, referer none");
        assert_eq!(told(&url, login.as_ref()).await, wanted, "another port is another host");
        assert_eq!(told(&url.replacen("http://", "http://me:secret@", 1), None).await, wanted);
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let place = place().await;
    for how in ["tag", "time"] {
        let content = place.open(&place.web(&format!("/halves/{how}"))).await.expect("content");
        assert_eq!(content.size, Some(16));
        assert_eq!(bytes_of(content).await.expect("bytes"), HALVED, "{how}");
    }
    for (how, why) in
        [("weak", "broke off"), ("changed", "does not go on there"), ("no-ranges", "does not go on there")]
    {
        let content = place.open(&place.web(&format!("/halves/{how}"))).await.expect("content");
        let error = bytes_of(content).await.expect_err(how);
        assert!(matches!(&error, StoreError::Unreachable(text) if text.contains(why)), "{how}: {error:?}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let place = place().await;
    let content = place.open(&place.web("/busy/x")).await.expect("content at the third time");
    assert_eq!(bytes_of(content).await.expect("bytes"), b"x");
}

#[tokio::test]
async fn a_checksum_beside_the_url_is_verified() {
    let place = place().await;
    place.put("one", b"1").await;
    let of = async |sum: &str| {
        let credentials = json!({"sha256": sum}).as_object().cloned();
        bytes_of(place.open_with(&place.web("/files/one"), credentials.as_ref()).await?).await
    };
    let right = "6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B";
    assert_eq!(of(right).await, Ok(b"1".to_vec()));
    let error = of(&right.replace('6', "7")).await.expect_err("another file");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("SHA-256 6b86b2")), "{error:?}");
    assert!(matches!(of("6b86").await, Err(StoreError::Unsupported(_))));
}

#[tokio::test]
async fn redirects_are_followed_and_limited() {
    let place = place().await;
    place.put("one", b"1").await;
    let content = place.open(&place.web("/moved/one")).await.expect("content");
    assert_eq!(bytes_of(content).await.expect("bytes"), b"1");
    let error = place.refused(&place.web("/round")).await;
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("redirects")), "{error:?}");
    let error = place.refused(&place.web("/away")).await;
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("307")), "{error:?}");
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
