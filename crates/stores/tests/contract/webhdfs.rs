//! HDFS: which namenode is asked, what a datanode is told, and what is done when something breaks.

use std::sync::Arc;

use bytes::Bytes;
use foggara_stores::{Access, HdfsSettings, HdfsStore, LocalStore, Reach, Store, StoreError};
use foggara_testkit::webhdfs::{STRANGER, TOKEN};
use futures::StreamExt;
use serde_json::{Value, json};
use url::Url;

use crate::place::{CLUSTER, Place, bytes_of, here, of_hdfs, place};

fn many() -> Vec<u8> {
    (0..300_000u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect()
}

async fn open(place: &Place, url: &str, credentials: Value) -> Result<Vec<u8>, StoreError> {
    let credentials = credentials.as_object().cloned();
    bytes_of(place.open_with(url, credentials.as_ref()).await?).await
}

/// Requests of a kind so far.
fn asked(place: &Place, server: &str, operation: &str) -> Vec<String> {
    let of = |line: &str| line.contains(&format!("op={operation}"));
    let asked = place.hdfs.asked();
    asked.into_iter().filter(|asked| asked.server == server && of(&asked.line)).map(|asked| asked.line).collect()
}

#[tokio::test]
async fn the_active_namenode_is_found_and_remembered() {
    let place = place().await;
    place.hdfs.put("/data/x", b"1");
    for active in [1, 0, 1] {
        place.hdfs.set_active(active);
        assert_eq!(open(&place, &place.hdfs("x"), json!({})).await, Ok(b"1".to_vec()), "{active}");
        let before = place.hdfs.asked().len();
        assert_eq!(open(&place, &place.hdfs("x"), json!({})).await, Ok(b"1".to_vec()), "{active}");
        let name = format!("nn{active}");
        let later = place.hdfs.asked().split_off(before);
        assert!(later.iter().all(|asked| asked.server == name || asked.server == "dn"), "{later:?}");
    }
    place.hdfs.set_active(2);
    let error = open(&place, &place.hdfs("x"), json!({})).await.expect_err("none is active");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("standby")), "{error:?}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let place = place().await;
    place.hdfs.put("/data/x", b"1");
    place.hdfs.set_busy(2);
    assert_eq!(open(&place, &place.hdfs("x"), json!({})).await, Ok(b"1".to_vec()));
    place.hdfs.set_busy(u32::MAX);
    let error = open(&place, &place.hdfs("x"), json!({})).await.expect_err("it does not pass");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("RetriableException")), "{error:?}");
}

#[tokio::test]
async fn user_and_token_go_to_namenodes_and_a_datanode_gets_what_the_namenode_says() {
    let place = place().await;
    place.hdfs.set_kerberos();
    let error = open(&place, &place.hdfs("x"), json!({})).await.expect_err("no ticket");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("delegation_token")), "{error:?}");
    place.hdfs.put("/data/x", b"1");
    let credentials = json!({"user": "me", "password": "another-secret", "delegation_token": TOKEN});
    assert_eq!(open(&place, &place.hdfs("x"), credentials).await, Ok(b"1".to_vec()));
    for asked in place.hdfs.asked() {
        assert!(!asked.authorization && !asked.line.contains("another-secret"), "{asked:?}");
        let twice = asked.line.matches("delegation=").count() + asked.line.matches("user.name=").count();
        assert_eq!(twice, 1, "once, as the namenode has it: {asked:?}");
        assert_eq!(asked.line.contains("namenoderpcaddress"), asked.server == "dn", "{asked:?}");
    }
    let error = open(&place, &place.hdfs("x"), json!({"delegation_token": "wrong-secret"})).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("not valid")), "{error:?}");
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
}

#[tokio::test]
async fn who_asks_is_the_jobs_or_the_operators_word() {
    let place = place().await;
    place.hdfs.put("/data/x", b"1");
    open(&place, &place.hdfs("x"), json!({})).await.expect("the usual user");
    open(&place, &place.hdfs("x"), json!({"fs.webhdfs.user": "a b&op=DELETE"})).await.expect("another user");
    let lines = asked(&place, "nn0", "OPEN");
    assert!(lines[0].contains("user.name=usual"), "{lines:?}");
    assert!(lines[1].contains("user.name=a+b%26op%3DDELETE"), "a name is no parameter: {lines:?}");
    let error = open(&place, &place.hdfs("x"), json!({"user": STRANGER})).await.expect_err("may not");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("as stranger")), "{error:?}");
}

#[tokio::test]
async fn reading_goes_on_where_it_broke_off() {
    let place = place().await;
    place.hdfs.put("/data/x", &many());
    place.hdfs.set_break_after(110_000);
    assert!(open(&place, &place.hdfs("x"), json!({})).await == Ok(many()));
    let lines = asked(&place, "dn", "OPEN");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("offset=0&length=300000") && !lines[1].contains("offset=0&"), "{lines:?}");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    let place = place().await;
    place.hdfs.put("/data/x", &many());
    place.hdfs.set_break_after(110_000);
    let mut content = place.open(&place.hdfs("x")).await.expect("content");
    content.stream.next().await.expect("a piece").expect("bytes");
    place.hdfs.put("/data/x", &many());
    let error = bytes_of(content).await.expect_err("another file of the same size");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("changed while")), "{error:?}");
}

#[tokio::test]
async fn a_file_appears_by_rename_also_where_that_cannot_replace_or_its_answer_is_lost() {
    let place = place().await;
    let url = place.hdfs("new/x");
    let write = async |bytes: &'static [u8]| place.write(&url, None, vec![Ok(Bytes::from_static(bytes))]).await;
    assert_eq!(write(b"one").await, Ok(3));
    place.hdfs.set_lost_renames(1);
    assert_eq!(write(b"three").await, Ok(5), "the answer was lost");
    assert_eq!(place.hdfs.get("/data/new/x").as_deref(), Some(&b"three"[..]));
    place.hdfs.set_without_options();
    assert_eq!(write(b"four").await, Ok(4), "as HttpFS");
    assert_eq!(place.hdfs.get("/data/new/x").as_deref(), Some(&b"four"[..]));
    assert_eq!(place.hdfs.files(), ["/data/new/x"]);
    let lines = asked(&place, "dn", "CREATE");
    assert!(lines.iter().all(|line| line.contains("/data/new/.x.") && line.contains(".foggara-part?")), "{lines:?}");
    let error = place.write(&place.hdfs("new"), None, Vec::new()).await.expect_err("a folder");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("not a file")), "{error:?}");
}

#[tokio::test]
async fn folders_are_no_files_and_full_ones_are_not_removed() {
    let place = place().await;
    place.hdfs.put("/data/d/x", b"1");
    let error = place.refused(&place.hdfs("d")).await;
    assert!(matches!(&error, StoreError::NotFound(text) if text.contains("a folder")), "{error:?}");
    let error = place.delete(&place.hdfs("d")).await.expect_err("it is not empty");
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    let error = place.delete(&format!("hdfs://{CLUSTER}/")).await.expect_err("the root");
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    assert_eq!(place.hdfs.files(), ["/data/d/x"]);
}

#[tokio::test]
async fn a_namenode_that_a_job_names_leads_nowhere_else() {
    let place = place().await;
    place.hdfs.put("/data/x", b"1");
    let local = Arc::new(LocalStore::new(place.roots.clone()));
    let store = |reach| HdfsStore::new(HdfsSettings::default(), reach, local.clone()).expect("a store");
    let access = Access { project: &place.project, caller: None, credentials: None, lent: None };
    let address = place.hdfs.address(0);
    let ask = async |store: &HdfsStore, host: &str| {
        let url = Url::parse(&format!("webhdfs://{host}:{}/data/x", address.port())).expect("a url");
        bytes_of(store.open(&url, &access).await?).await
    };
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let error = ask(&store(Reach::default()), host).await.expect_err(host);
        assert!(
            matches!(&error, StoreError::Denied(text) if text.contains("[stores.http] allow")),
            "{host}: {error:?}"
        );
    }
    assert!(place.hdfs.asked().is_empty());
    assert_eq!(ask(&store(here()), "127.0.0.1").await, Ok(b"1".to_vec()));
    // It may send its reader on, and not everywhere.
    place.hdfs.set_datanode("http://169.254.169.254");
    let error = ask(&store(here()), "127.0.0.1").await.expect_err("metadata");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("169.254.169.254")), "{error:?}");
    place.hdfs.set_datanode("ftp://127.0.0.1");
    let error = ask(&store(here()), "127.0.0.1").await.expect_err("no HTTP");
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("ftp url")), "{error:?}");
    // The operator's own may be on this host.
    let operators = HdfsStore::new(of_hdfs(&place.hdfs), Reach::default(), local.clone()).expect("a store");
    let url = Url::parse(&place.hdfs("x")).expect("a url");
    operators.list(&url, &access).await.expect("the operator's namenode");
}

#[tokio::test]
async fn what_is_no_webhdfs_says_so() {
    let place = place().await;
    let error = place.refused(&format!("webhdfs://{}/x", place.web)).await;
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("not one of WebHDFS")), "{error:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let error = place.refused(&format!("webhdfs://{closed}/x")).await;
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("cannot be connected to")), "{error:?}");
}
