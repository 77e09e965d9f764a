//! Events: no hole per execution, and a reader by position sees each once.

use foggara_db::{events, executions};
use futures::future::join_all;

use super::fixture::{Fresh, NOW, execution, store};
use crate::on_both;

on_both! {
    events_of_an_execution_are_numbered_without_a_hole
    owners_and_ops_at_once_leave_no_hole
    a_reader_by_position_sees_every_event_once
    a_position_is_never_given_twice
}

async fn append(fresh: &Fresh, row: &foggara_domain::Execution, kind: &'static str) {
    let row = row.clone();
    fresh
        .db
        .write(move |conn| {
            let row = row.clone();
            Box::pin(
                async move { events::append(conn, &row.id, &row.project, NOW, kind, "RUNNING", Some("text")).await },
            )
        })
        .await
        .expect("appended");
}

async fn events_of_an_execution_are_numbered_without_a_hole(fresh: Fresh) {
    let row = execution("eventful");
    store(&fresh.db, &row).await;
    for kind in ["staged", "launching", "running"] {
        append(&fresh, &row, kind).await;
    }
    let mut conn = fresh.db.read().await.expect("a reader");
    let all = events::of_execution(&mut conn, &row.id).await.expect("an answer");
    let numbers: Vec<i64> = all.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(all[3].kind, "running");
}

/// Changes the row with an event, as owners and ops do: the version decides who was first.
async fn change(fresh: &Fresh, row: &foggara_domain::Execution) -> bool {
    let id = row.id.clone();
    fresh
        .db
        .write(move |conn| {
            let id = id.clone();
            Box::pin(async move {
                let row = executions::find(conn, &id).await?.expect("the row");
                let saved = executions::save(conn, &row, row.version).await?;
                if saved {
                    events::append(conn, &row.id, &row.project, NOW, "changed", "PENDING", None).await?;
                }
                Ok(saved)
            })
        })
        .await
        .expect("an answer")
}

async fn owners_and_ops_at_once_leave_no_hole(fresh: Fresh) {
    let row = execution("contended");
    store(&fresh.db, &row).await;
    join_all((0..6).map(|_| async {
        for _ in 0..5 {
            while !change(&fresh, &row).await {}
        }
    }))
    .await;
    let mut conn = fresh.db.read().await.expect("a reader");
    let all = events::of_execution(&mut conn, &row.id).await.expect("an answer");
    let numbers: Vec<i64> = all.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=31).collect::<Vec<_>>());
}

async fn positions_after(fresh: &Fresh, position: i64) -> Vec<i64> {
    events::number(&fresh.db).await.expect("numbered");
    let mut conn = fresh.db.read().await.expect("a reader");
    let all = events::after(&mut conn, position, 100).await.expect("an answer");
    all.iter().map(|event| event.position).collect()
}

async fn a_position_is_never_given_twice(fresh: Fresh) {
    let (first, second) = (execution("first"), execution("second"));
    store(&fresh.db, &first).await;
    store(&fresh.db, &second).await;
    let last = *positions_after(&fresh, 0).await.last().expect("events");
    // The newest events go with their execution; a reader that has seen them must not miss the next.
    let gone = second.id.clone();
    fresh
        .db
        .write(move |conn| {
            let gone = gone.clone();
            Box::pin(async move { executions::remove(conn, &gone).await })
        })
        .await
        .expect("removed");
    append(&fresh, &first, "running").await;
    let next = positions_after(&fresh, last).await;
    assert_eq!(next.len(), 1, "after {last}: {next:?}");
    assert_eq!(events::number(&fresh.db).await.expect("an answer"), 0, "nothing is left to number");
}

async fn a_reader_by_position_sees_every_event_once(fresh: Fresh) {
    let rows: Vec<_> = (0..20).map(|number| execution(&number.to_string())).collect();
    let reader = async {
        let mut seen = Vec::new();
        let mut position = 0;
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while seen.len() < 40 && tokio::time::Instant::now() < deadline {
            events::number(&fresh.db).await.expect("numbered");
            let mut conn = fresh.db.read().await.expect("a reader");
            for event in events::after(&mut conn, position, 7).await.expect("an answer") {
                assert!(event.position > position);
                position = event.position;
                seen.push((event.execution, event.sequence));
            }
        }
        seen
    };
    let writers = join_all(rows.iter().map(|row| async {
        store(&fresh.db, row).await;
        append(&fresh, row, "running").await;
    }));
    let (mut seen, _) = tokio::join!(reader, writers);
    assert_eq!(seen.len(), 40);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 40, "none twice");
}
