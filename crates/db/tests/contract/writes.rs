//! Durability, group commit, refusals in the middle of a batch, sealed columns.

use foggara_db::{Db, executions, sql};
use foggara_domain::{Code, Error};
use futures::future::join_all;

use super::fixture::{Fresh, execution, store};
use crate::on_both;

on_both! {
    a_write_is_there_after_the_database_was_opened_again
    a_refused_write_does_not_undo_the_others_of_its_batch
    a_write_that_panics_harms_no_other
    secrets_cannot_be_read_in_the_stored_bytes
    a_repeated_key_stores_nothing
}

async fn a_write_is_there_after_the_database_was_opened_again(fresh: Fresh) {
    let row = execution("durable");
    store(&fresh.db, &row).await;
    let again = Db::open(fresh.settings.clone()).await.expect("opened again");
    let found = executions::find(&mut again.read().await.expect("a reader"), &row.id).await.expect("an answer");
    assert_eq!(found, Some(row));
}

async fn a_refused_write_does_not_undo_the_others_of_its_batch(fresh: Fresh) {
    let writes = (0..40).map(|number| {
        let row = execution(&format!("number {number}"));
        let refused = number % 4 == 1;
        let db = fresh.db.clone();
        async move {
            let stored = row.clone();
            let answer: Result<(), Error> = db
                .write(move |conn| {
                    let row = stored.clone();
                    Box::pin(async move {
                        executions::insert(conn, &row).await?;
                        if refused {
                            return Err(Error::refused(Code::InvalidData, "no"));
                        }
                        // The second insert of one id breaks a constraint, which must also stay its own trouble.
                        if row.job_name == "number 2" {
                            executions::insert(conn, &row).await?;
                        }
                        Ok(())
                    })
                })
                .await;
            (row, answer)
        }
    });
    let mut conn = fresh.db.read().await.expect("a reader");
    for (row, answer) in join_all(writes).await {
        let found = executions::find(&mut conn, &row.id).await.expect("an answer").is_some();
        assert_eq!(found, answer.is_ok(), "{}: {answer:?}", row.job_name);
        let number: u32 = row.job_name.trim_start_matches("number ").parse().expect("a number");
        assert_eq!(answer.is_ok(), number % 4 != 1 && number != 2, "{answer:?}");
    }
}

async fn a_write_that_panics_harms_no_other(fresh: Fresh) {
    let panics = fresh.db.write::<(), _>(|_| Box::pin(async { panic!("as the test wants it") }));
    let row = execution("beside a panic");
    let (panicked, ()) = if fresh.db.kind() == foggara_db::Kind::Sqlite {
        tokio::join!(panics, store(&fresh.db, &row))
    } else {
        // On PostgreSQL the write runs in the caller's own task.
        let caught = tokio::spawn({
            let db = fresh.db.clone();
            async move { db.write::<(), _>(|_| Box::pin(async { panic!("as the test wants it") })).await }
        });
        let caught = caught.await.map_err(|error| Error::Internal(error.to_string())).and_then(|done| done);
        store(&fresh.db, &row).await;
        (caught, ())
    };
    assert!(panicked.is_err());
    let found = executions::find(&mut fresh.db.read().await.expect("a reader"), &row.id).await.expect("an answer");
    assert_eq!(found, Some(row));
}

async fn secrets_cannot_be_read_in_the_stored_bytes(fresh: Fresh) {
    let row = execution("sealed");
    store(&fresh.db, &row).await;
    let mut conn = fresh.db.read().await.expect("a reader");
    let stored = conn
        .first(sql("SELECT secret_configs FROM execution WHERE id = $1").bind(&row.id))
        .await
        .expect("an answer")
        .expect("a row")
        .bytes_or_null("secret_configs")
        .expect("bytes")
        .expect("not null");
    assert!(!stored.windows(9).any(|piece| piece == b"hush-hush"));
    if let Some(file) = &fresh.file {
        for file in [file.clone(), file.with_extension("sqlite-wal")] {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(9).any(|piece| piece == b"hush-hush"), "in {}", file.display());
        }
    }
    let found = executions::find(&mut conn, &row.id).await.expect("an answer").expect("a row");
    assert_eq!(found.secret_configs, row.secret_configs);
}

async fn a_repeated_key_stores_nothing(fresh: Fresh) {
    use foggara_db::once::{self, Key, Request};
    let key = Key {
        project: super::fixture::project(),
        user: "u".into(),
        method: "POST".to_owned(),
        path: "/jobs/1/execute".to_owned(),
        key: "k".to_owned(),
    };
    let send = |row: foggara_domain::Execution| {
        let request = Request::new(key.clone(), "hash".to_owned(), super::fixture::NOW);
        let db = fresh.db.clone();
        once::scope(request, async move {
            once::makes(&row.id);
            db.write(move |conn| {
                let row = row.clone();
                Box::pin(async move { executions::insert(conn, &row).await })
            })
            .await
        })
    };
    let (first, second) = (execution("first"), execution("second"));
    send(first.clone()).await.expect("stored");
    let refused = send(second.clone()).await;
    assert!(matches!(refused, Err(Error::Refused { code: Code::IdempotencyConflict, .. })), "{refused:?}");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(executions::find(&mut conn, &second.id).await.expect("an answer").is_none());
    let stored = once::find(&mut conn, &key).await.expect("an answer").expect("the key");
    assert_eq!(stored.made.as_deref(), Some(first.id.as_str()));
    assert_eq!(stored.status, None);
}
