//! Events: no hole per execution, and a reader by position sees each once.

use foggara_db::events;
use futures::future::join_all;

use super::fixture::{Fresh, NOW, execution, store};
use crate::on_both;

on_both! {
    events_of_an_execution_are_numbered_without_a_hole
    a_reader_by_position_sees_every_event_once
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
