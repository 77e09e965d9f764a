//! Executions: versions, tombstones, what an owner sees.

use std::collections::BTreeMap;

use foggara_db::{Db, executions};
use foggara_domain::{
    Execution, Timestamp,
    execution::{Progress, Usage},
    status::{Duty, Outcome, Phase, Wish},
};
use serde_json::{Map, Value};

use super::fixture::{Fresh, NOW, execution, store};
use crate::on_both;

on_both! {
    every_column_comes_back
    progress_is_kept_beside_the_version
    only_the_first_of_two_writers_of_a_version_wins
    a_tombstone_shows_in_no_view_and_stays_with_its_owner
    an_owner_sees_what_is_at_its_place_and_owed
    waiting_rows_come_in_the_order_of_their_submit
    removing_takes_the_events_along
}

async fn save(db: &Db, row: &Execution, version: i64) -> bool {
    let row = row.clone();
    db.write(move |conn| {
        let row = row.clone();
        Box::pin(async move { executions::save(conn, &row, version).await })
    })
    .await
    .expect("an answer")
}

async fn every_column_comes_back(fresh: Fresh) {
    let mut row = execution("all");
    store(&fresh.db, &row).await;
    row.data_source_urls = Some(Map::from_iter([("id".to_owned(), Value::from("file:///x"))]));
    row.is_public = true;
    row.is_protected = true;
    row.wish = Wish::Cancel;
    row.suspend_wanted = true;
    row.phase = Phase::Stopping;
    row.engine_state = Some("SUSPENDED".to_owned());
    row.duty = Duty::StopUntilGone;
    row.place = Some("host".to_owned());
    row.attempt = 3;
    row.tag = Some(foggara_domain::Tag::of("abc", &row.id, 3));
    row.engine_ref = Some("ref".to_owned());
    row.incarnation = Some("boot".to_owned());
    row.outcome = Some(Outcome::DoneWithError);
    row.reason = Some("why".to_owned());
    row.return_code = Some("7".to_owned());
    row.usage = Some(Usage { user_seconds: 1.5, system_seconds: 0.25, max_rss_bytes: 4096 });
    row.gone_evidence = Some("evidence".to_owned());
    let mut at = NOW.as_micros();
    for time in [
        &mut row.launch_sent_at,
        &mut row.stop_sent_at,
        &mut row.gone_at,
        &mut row.deadline,
        &mut row.updated_at,
        &mut row.staged_at,
        &mut row.start_time,
        &mut row.running_at,
        &mut row.end_time,
        &mut row.deleted_at,
    ] {
        at += 1;
        *time = Some(Timestamp::from_micros(at));
    }
    assert!(save(&fresh.db, &row, 1).await);
    row.version = 2;
    let found = executions::find(&mut fresh.db.read().await.expect("a reader"), &row.id).await.expect("an answer");
    assert_eq!(found, Some(row));
}

async fn progress_is_kept_beside_the_version(fresh: Fresh) {
    let mut row = execution("far");
    row.phase = Phase::Running;
    store(&fresh.db, &row).await;
    let note = |percent: f64, last: bool| {
        let (db, id) = (fresh.db.clone(), row.id.clone());
        let counters = [("Words".to_owned(), BTreeMap::from([("read".to_owned(), 7)]))].into();
        let progress = Progress { counters, ..Progress::of(percent) };
        async move {
            let write = db.write(move |conn| {
                let (id, progress) = (id.clone(), progress.clone());
                Box::pin(async move { executions::note_progress(conn, &id, &progress, last).await })
            });
            write.await.expect("noted");
        }
    };
    let found = || async {
        let mut conn = fresh.db.read().await.expect("a reader");
        executions::live(&mut conn, &row.id, false).await.expect("an answer").expect("there")
    };
    note(40.0, false).await;
    let noted = found().await;
    let progress = noted.progress.clone().expect("progress");
    assert_eq!((noted.version, noted.updated_at, progress.percent), (1, None, 40.0));
    assert_eq!(progress.counters["Words"]["read"], 7);
    // Whoever read the row before does not put it back.
    let mut settling = row.clone();
    settling.phase = Phase::Settling;
    assert!(save(&fresh.db, &settling, 1).await);
    assert_eq!(found().await.progress, Some(progress));
    note(50.0, false).await;
    assert_eq!(found().await.progress.map(|progress| progress.percent), Some(40.0), "a late write does not count");
    note(100.0, true).await;
    assert_eq!(found().await.progress.map(|progress| progress.percent), Some(100.0));
}

async fn only_the_first_of_two_writers_of_a_version_wins(fresh: Fresh) {
    let mut row = execution("raced");
    store(&fresh.db, &row).await;
    row.reason = Some("first".to_owned());
    let mut second = row.clone();
    second.reason = Some("second".to_owned());
    let (one, two) = tokio::join!(save(&fresh.db, &row, 1), save(&fresh.db, &second, 1));
    assert!(one ^ two, "exactly one wins: {one} {two}");
    assert!(!save(&fresh.db, &row, 1).await, "a version is used once");
}

async fn a_tombstone_shows_in_no_view_and_stays_with_its_owner(fresh: Fresh) {
    let mut row = execution("buried");
    row.phase = Phase::Running;
    row.place = Some("host".to_owned());
    store(&fresh.db, &row).await;
    row.deleted_at = Some(NOW);
    row.duty = Duty::StopUntilGone;
    assert!(save(&fresh.db, &row, 1).await);
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(executions::live(&mut conn, &row.id, false).await.expect("an answer").is_none());
    let page = executions::list(&mut conn, &row.project, &Default::default(), false).await.expect("an answer");
    assert!(page.items.is_empty());
    // sahara_strict shows it until it is gone.
    let strict = executions::live(&mut conn, &row.id, true).await.expect("an answer").expect("shown");
    assert_eq!(strict.status(), "TOBEKILLED");
    let busy = executions::busy(&mut conn, &row.cluster, "host").await.expect("an answer");
    let versions = executions::busy_versions(&mut conn, &row.cluster, "host").await.expect("an answer");
    assert_eq!(versions, busy.iter().map(|row| (row.id.clone(), row.version)).collect::<Vec<_>>());
    assert_eq!(busy.len(), 1);
    row.version = 2;
    row.duty = Duty::None;
    row.phase = Phase::Ended;
    row.gone_at = Some(NOW);
    assert!(save(&fresh.db, &row, 2).await);
    assert!(executions::live(&mut conn, &row.id, true).await.expect("an answer").is_none());
    let later = Timestamp::from_micros(NOW.as_micros() + 1);
    let before = executions::old_tombstones(&mut conn, &row.cluster, "host", NOW).await.expect("an answer");
    assert!(before.is_empty());
    let old = executions::old_tombstones(&mut conn, &row.cluster, "host", later).await.expect("an answer");
    assert_eq!(old.len(), 1);
}

async fn an_owner_sees_what_is_at_its_place_and_owed(fresh: Fresh) {
    let with = |name: &str, phase: Phase, duty: Duty, place: Option<&str>| {
        let mut row = execution(name);
        row.phase = phase;
        row.duty = duty;
        row.place = place.map(str::to_owned);
        row
    };
    for row in [
        with("waits", Phase::Waiting, Duty::None, None),
        with("runs", Phase::Running, Duty::None, Some("here")),
        with("elsewhere", Phase::Running, Duty::None, Some("there")),
        with("over", Phase::Ended, Duty::None, Some("here")),
        with("owed", Phase::Ended, Duty::StopUntilGone, Some("here")),
        with("stages", Phase::Staging, Duty::None, None),
    ] {
        store(&fresh.db, &row).await;
    }
    let mut conn = fresh.db.read().await.expect("a reader");
    let busy = executions::busy(&mut conn, &"c".into(), "here").await.expect("an answer");
    let mut names: Vec<&str> = busy.iter().map(|row| row.job_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["owed", "runs", "stages"]);
}

async fn waiting_rows_come_in_the_order_of_their_submit(fresh: Fresh) {
    for number in [3, 1, 2] {
        let mut row = execution(&number.to_string());
        row.created_at = Timestamp::from_micros(NOW.as_micros() + number);
        store(&fresh.db, &row).await;
    }
    let mut conn = fresh.db.read().await.expect("a reader");
    let waiting = executions::waiting(&mut conn, &"c".into(), 2).await.expect("an answer");
    let names: Vec<&str> = waiting.iter().map(|row| row.job_name.as_str()).collect();
    assert_eq!(names, ["1", "2"]);
    let (ahead, running) = executions::queue_position(&mut conn, &waiting[1]).await.expect("an answer");
    assert_eq!((ahead, running), (1, 0));
    assert_eq!(executions::count_waiting(&mut conn, &waiting[0].project).await.expect("an answer"), 3);
}

async fn removing_takes_the_events_along(fresh: Fresh) {
    let row = execution("removed");
    store(&fresh.db, &row).await;
    let id = row.id.clone();
    fresh
        .db
        .write(move |conn| {
            let id = id.clone();
            Box::pin(async move { executions::remove(conn, &id).await })
        })
        .await
        .expect("removed");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(executions::find(&mut conn, &row.id).await.expect("an answer").is_none());
    assert!(foggara_db::events::of_execution(&mut conn, &row.id).await.expect("an answer").is_empty());
}
