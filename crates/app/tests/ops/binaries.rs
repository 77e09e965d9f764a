//! Job binaries and the bytes behind them (sahara-v1.1.md sections 5 and 6).

use std::io;

use bytes::Bytes;
use foggara_app::ops::{
    executions::Submit,
    internal_binaries::{self, InternalBinaryChange},
    job_binaries::{self, JobBinaryChange},
};
use foggara_domain::{Timestamp, flag::Flag, page::ListQuery};
use futures::stream;

use crate::place::{LIMIT, Place, bytes_of, pieces, place, refusal};

/// More than one piece of the database's.
fn long_text() -> Vec<u8> {
    (0..500_000u32).flat_map(|number| number.to_le_bytes().into_iter().take(1)).collect()
}

async fn uploads(place: &Place) -> usize {
    internal_binaries::list(&place.app, &place.owner, &ListQuery::default()).await.expect("a list").items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_comes_back_byte_for_byte() {
    let place = place().await;
    let text = long_text();
    let stored = place.upload("long.bin", &text).await;
    assert_eq!(stored.size, 500_000);
    assert_eq!(stored.sha256.len(), 64);
    let content = internal_binaries::data(&place.app, &place.owner, &stored.id).await.expect("its bytes");
    assert_eq!(content.size, Some(500_000));
    assert_eq!(bytes_of(content).await, text);
    let again = internal_binaries::upload(&place.app, &place.owner, "long.bin", None, pieces(vec![vec![1]])).await;
    assert_eq!(refusal(again), "DB_DUPLICATE_ENTRY Duplicate entry for JobBinaryInternal: ['name', 'tenant_id']");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_refused_upload_stays() {
    let place = place().await;
    let send = async |name: &str, size: Option<u64>, bytes: Vec<Vec<u8>>| {
        refusal(internal_binaries::upload(&place.app, &place.owner, name, size, pieces(bytes)).await)
    };
    let bad = send("../x", None, vec![vec![1]]).await;
    assert_eq!(bad, "BAD_JOB_BINARY ../x is not a valid name");
    let empty = send("e", Some(0), vec![]).await;
    assert_eq!(empty, "BAD_JOB_BINARY Job binary internal data must be a string of length greater than zero");
    let big = "DATA_TOO_BIG Size of internal binary (601.0KB) is greater than the maximum (600KB)";
    assert_eq!(send("announced", Some(LIMIT + 1024), vec![vec![1]]).await, big);
    // A size that is not announced, or announced wrongly, is noticed while the bytes come.
    assert_eq!(send("came", Some(1), vec![vec![0; 1024]; 601]).await, big);
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("gone"))]);
    let broken = internal_binaries::upload(&place.app, &place.owner, "broken", None, broken).await;
    assert!(refusal(broken).contains("broke off after 4 bytes"));
    assert_eq!(uploads(&place).await, 0);
    // Nor do pieces of them wait for a sweep.
    let ever = Timestamp::from_micros(i64::MAX);
    let swept = place.app.db().write(move |conn| Box::pin(foggara_db::internal_binaries::sweep(conn, ever))).await;
    assert_eq!(swept.expect("swept"), 0);
    // None of the names is taken.
    for name in ["e", "announced", "came", "broken"] {
        place.upload(name, b"x").await;
    }
    assert_eq!(uploads(&place).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_limit_is_taken() {
    let place = place().await;
    let most = vec![7; usize::try_from(LIMIT).expect("small")];
    assert_eq!(place.upload("most", &most).await.size, LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_url_needs_its_bytes_and_never_changes() {
    let place = place().await;
    let nowhere = "internal-db://00000000-0000-4000-8000-000000000404";
    assert_eq!(
        refusal(job_binaries::create(&place.app, &place.owner, place.new_binary("b", nowhere)).await),
        "INVALID_REFERENCE JobBinaryInternal with id '00000000-0000-4000-8000-000000000404' doesn't exist"
    );
    let stored = place.upload("u", b"text").await;
    let url = format!("internal-db://{}", stored.id);
    // Another project cannot name bytes that it does not see.
    let stolen = job_binaries::create(&place.app, &place.other, place.new_binary("b", &url)).await;
    assert!(refusal(stolen).starts_with("INVALID_REFERENCE JobBinaryInternal with id"));
    let binary = place.binary("b", &url).await;
    let moved = JobBinaryChange { url: Some("file:///a".to_owned()), ..JobBinaryChange::default() };
    assert_eq!(
        refusal(job_binaries::update(&place.app, &place.owner, &binary.id, moved).await),
        format!(
            "UPDATE_FAILED The url for JobBinary Id '{}' can not be updated because it is an internal-db url.",
            binary.id
        )
    );
    let content = job_binaries::data(&place.app, &place.owner, &place.token, &binary.id).await.expect("bytes");
    assert_eq!(bytes_of(content).await, b"text");
    internal_binaries::delete(&place.app, &place.owner, &stored.id).await.expect("job binaries do not hold it");
    let gone = job_binaries::data(&place.app, &place.owner, &place.token, &binary.id).await;
    assert!(refusal(gone).starts_with("STORE_ERROR internal binary"), "a refusal, no defect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_behind_a_public_job_binary_are_read_as_its_owner() {
    let place = place().await;
    let stored = place.upload("u", b"text").await;
    let new = job_binaries::NewJobBinary {
        is_public: Flag::On,
        ..place.new_binary("b", &format!("internal-db://{}", stored.id))
    };
    let binary = job_binaries::create(&place.app, &place.owner, new).await.expect("a job binary");
    let content = job_binaries::data(&place.app, &place.other, &place.token, &binary.id).await.expect("it is public");
    assert_eq!(bytes_of(content).await, b"text");
    assert!(
        refusal(internal_binaries::data(&place.app, &place.other, &stored.id).await.map(|_| ())).contains("not found")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_this_host_are_read_below_the_roots_only() {
    let place = place().await;
    std::fs::write(place.files.join("a b.sh"), "text").expect("a file");
    let below = place.binary("below", &format!("{}/a b.sh", place.files.display())).await;
    let content = job_binaries::data(&place.app, &place.owner, &place.token, &below.id).await.expect("bytes");
    assert_eq!(bytes_of(content).await, b"text");
    let outside = place.binary("outside", "file:///etc/hostname").await;
    let refused = refusal(job_binaries::data(&place.app, &place.owner, &place.token, &outside.id).await);
    assert!(refused.contains("[stores.file] roots"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_in_use_stays() {
    let place = place().await;
    let job = place.shell().await;
    let main = &job.mains[0].id;
    assert_eq!(
        refusal(job_binaries::delete(&place.app, &place.owner, main).await),
        "DELETION_FAILED JobBinary is referenced and cannot be deleted"
    );
    let rename = JobBinaryChange { name: Some("b.sh".to_owned()), ..JobBinaryChange::default() };
    job_binaries::update(&place.app, &place.owner, main, rename.clone()).await.expect("nothing waits for it");
    place.execute(&job.id, Submit::default()).await.expect("submitted");
    let again = JobBinaryChange { name: Some("c.sh".to_owned()), ..rename };
    assert_eq!(
        refusal(job_binaries::update(&place.app, &place.owner, main, again).await),
        format!("UPDATE_FAILED JobBinary Id '{main}' is used in a PENDING job and can not be updated.")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_unique_per_project_and_unknown_ids_are_told_as_the_original_tells_them() {
    let place = place().await;
    place.binary("twin", "file:///a").await;
    assert_eq!(
        refusal(job_binaries::create(&place.app, &place.owner, place.new_binary("twin", "file:///b")).await),
        "DB_DUPLICATE_ENTRY Duplicate entry for JobBinary: ['name', 'tenant_id']"
    );
    job_binaries::create(&place.app, &place.other, place.new_binary("twin", "file:///b"))
        .await
        .expect("another project");
    let unknown = "00000000-0000-4000-8000-000000000404".into();
    let change = refusal(job_binaries::update(&place.app, &place.owner, &unknown, JobBinaryChange::default()).await);
    assert!(change.starts_with("NOT_FOUND "), "a refusal, where the others answer that nothing is there: {change}");
    let gone = refusal(job_binaries::get(&place.app, &place.owner, &unknown).await);
    assert_eq!(gone, "Object with {'id': '00000000-0000-4000-8000-000000000404'} not found");
    let stored = place.upload("u", b"x").await;
    let protect = InternalBinaryChange { is_protected: Some(Flag::On), ..InternalBinaryChange::default() };
    internal_binaries::update(&place.app, &place.owner, &stored.id, protect).await.expect("protected");
    let held = refusal(internal_binaries::delete(&place.app, &place.owner, &stored.id).await);
    assert!(held.contains("JobBinaryInternal with id") && held.ends_with("because it's marked as protected"), "{held}");
}
