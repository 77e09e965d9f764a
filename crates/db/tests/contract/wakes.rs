//! Wakes between servers: heard on PostgreSQL, also after the connection broke; nothing to hear on SQLite.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use foggara_db::{Db, Wakes, sql};
use foggara_testkit::wait::until;

use super::fixture::{postgres, sqlite};

const LONG: Duration = Duration::from_secs(30);

/// Sends until so many were heard: a wake may be lost, above all before the listener is there.
async fn heard(count: &AtomicU32, wakes: &Wakes, many: u32) {
    let before = count.load(Ordering::SeqCst);
    let look = || {
        wakes.send();
        std::future::ready((count.load(Ordering::SeqCst) >= before + many).then_some(()))
    };
    until("wakes are heard", LONG, look).await.expect("heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_is_heard_and_heard_again_after_the_connection_broke() {
    let fresh = postgres("wakes").await;
    let other = Db::open(fresh.settings.clone()).await.expect("another server");
    let wakes = other.wakes();
    let count = Arc::new(AtomicU32::new(0));
    let (counts, db) = (Arc::clone(&count), fresh.db.clone());
    let listening = tokio::spawn(async move {
        db.listen(move || {
            counts.fetch_add(1, Ordering::SeqCst);
        })
        .await
    });
    heard(&count, &wakes, 1).await;
    let end = "SELECT COUNT(*) AS many FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()) ended";
    let ended = other.read().await.expect("a reader").first(sql(end)).await.expect("an answer").expect("a row");
    assert_eq!(ended.int("many").expect("a number"), 1);
    // More than the one that the listener counts when it is back.
    heard(&count, &wakes, 4).await;
    assert!(!listening.is_finished());
    listening.abort();
}

#[tokio::test]
async fn sqlite_has_one_server_and_nothing_to_hear() {
    let fresh = sqlite().await;
    fresh.db.wakes().send();
    tokio::time::timeout(LONG, fresh.db.listen(|| {})).await.expect("returns at once").expect("nothing to do");
}
