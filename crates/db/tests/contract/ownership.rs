//! Ownership of clusters: one claim per epoch, and a fence that a server which lost its claim cannot pass.

use foggara_db::{Db, ownership};

use super::fixture::Fresh;
use crate::on_both;

on_both! {
    one_of_two_claims_wins_and_fences_the_other_out
    a_released_place_is_free_and_its_epoch_is_not_used_again
    renewals_count_up
}

async fn claim(db: &Db, server: &'static str, seen: i64) -> Option<i64> {
    db.write(move |conn| Box::pin(async move { ownership::claim(conn, &"c".into(), "p", server, seen).await }))
        .await
        .expect("an answer")
}

async fn passes(db: &Db, epoch: i64) -> bool {
    db.write(move |conn| Box::pin(async move { ownership::fence(conn, &"c".into(), "p", epoch).await }))
        .await
        .expect("an answer")
}

async fn one_of_two_claims_wins_and_fences_the_other_out(fresh: Fresh) {
    let (one, two) = tokio::join!(claim(&fresh.db, "one", 0), claim(&fresh.db, "two", 0));
    assert!(one.is_some() ^ two.is_some(), "{one:?} {two:?}");
    assert!(passes(&fresh.db, 1).await);
    assert_eq!(claim(&fresh.db, "three", 1).await, Some(2));
    assert!(!passes(&fresh.db, 1).await, "the earlier owner is out");
    assert!(passes(&fresh.db, 2).await);
}

async fn a_released_place_is_free_and_its_epoch_is_not_used_again(fresh: Fresh) {
    assert_eq!(claim(&fresh.db, "one", 0).await, Some(1));
    fresh
        .db
        .write(|conn| Box::pin(async move { ownership::release(conn, &"c".into(), "p", 1).await }))
        .await
        .expect("released");
    assert!(!passes(&fresh.db, 1).await);
    let owner = ownership::owner(&mut fresh.db.read().await.expect("a reader"), &"c".into(), Some("p")).await;
    assert_eq!(owner.expect("an answer"), None);
    assert_eq!(claim(&fresh.db, "one", 1).await, Some(2));
}

async fn renewals_count_up(fresh: Fresh) {
    for _ in 0..3 {
        fresh
            .db
            .write(|conn| Box::pin(async move { ownership::renew(conn, "one", "host").await }))
            .await
            .expect("renewed");
    }
    claim(&fresh.db, "one", 0).await;
    let owners = ownership::owners(&mut fresh.db.read().await.expect("a reader")).await.expect("an answer");
    assert_eq!(owners.len(), 1);
    assert_eq!((owners[0].renewals, owners[0].host.as_deref()), (3, Some("host")));
}
