//! What nobody waits for: transient clusters whose jobs are done, trusts of jobs that have ended, keys of repeated requests whose time is over, uploads that broke off, and on PostgreSQL the public
//! positions of events.

use std::time::Duration;

use foggara_db::{Kind, clusters, events, internal_binaries, trusts};
use foggara_domain::{Error, Result, Timestamp, cluster::ClusterStatus};
use foggara_identity::keystone::TrustError;
use tokio_util::sync::CancellationToken;

use crate::{App, ops::idempotency};

/// Every how many rounds trusts are given back.
const TRUSTS: u64 = 5;
/// How long a trust may wait for its execution: longer than any request takes.
const UNUSED: Duration = Duration::from_secs(600);

/// How often events are numbered.
const NUMBER: Duration = Duration::from_secs(1);
/// Every how many rounds the rest is done.
const REST: u64 = 600;
/// How long an upload may take before its pieces count as left.
const UPLOAD: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(NUMBER);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if app.db().kind() == Kind::Postgres
            && let Err(error) = events::number(app.db()).await
        {
            tracing::debug!("events are not numbered at the moment: {error}");
        }
        if let Err(error) = end_transient_clusters(&app).await {
            tracing::warn!("transient clusters whose jobs are done have to wait: {error}");
        }
        if round.is_multiple_of(TRUSTS)
            && let Err(error) = give_trusts_back(&app).await
        {
            tracing::warn!("trusts have to wait: {error}");
        }
        if round.is_multiple_of(REST)
            && let Err(error) = rest(&app).await
        {
            tracing::warn!("housekeeping has to wait: {error}");
        }
        round += 1;
    }
}

/// Deletes transient clusters whose jobs are done. A job that is submitted meanwhile is seen by the transaction, or finds the
/// cluster being deleted.
async fn end_transient_clusters(app: &App) -> Result<()> {
    if clusters::done_transient(&mut app.db().read().await?).await?.is_empty() {
        return Ok(());
    }
    let now = app.now();
    let ended = app
        .db()
        .write(move |conn| {
            Box::pin(async move {
                let done = clusters::done_transient(conn).await?;
                for id in &done {
                    clusters::set_status(conn, id, None, ClusterStatus::Deleting, "its jobs are done", now).await?;
                }
                Ok::<_, Error>(done)
            })
        })
        .await?;
    for id in ended {
        tracing::info!(cluster = %id, "it is transient and its jobs are done: it is being deleted");
    }
    app.wake();
    Ok(())
}

/// Ends the trusts of executions that have ended or never came to be. One that the identity service will not let go is dropped:
/// its user was disabled, and it gives no rights any more.
async fn give_trusts_back(app: &App) -> Result<()> {
    let Some(service) = app.trusts() else { return Ok(()) };
    let patience = i64::try_from(UNUSED.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(app.now().as_micros().saturating_sub(patience));
    let due = trusts::due(&mut app.db().read().await?, before).await?;
    for id in due {
        match service.delete_trust(&id).await {
            Ok(()) | Err(TrustError::Gone) => {}
            Err(TrustError::Refused(why)) => tracing::warn!("a trust cannot be given back: {why}"),
            Err(TrustError::Unavailable(why)) => return Err(Error::unavailable(why)),
        }
        app.db()
            .write(move |conn| {
                let id = id.clone();
                Box::pin(async move { trusts::delete(conn, &id).await })
            })
            .await?;
    }
    Ok(())
}

async fn rest(app: &App) -> Result<()> {
    let keys = idempotency::sweep(app).await?;
    let patience = i64::try_from(UPLOAD.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(app.now().as_micros().saturating_sub(patience));
    let uploads =
        app.db().write_part(move |conn| Box::pin(async move { internal_binaries::sweep(conn, before).await }));
    let uploads = uploads.await?;
    if keys + uploads > 0 {
        tracing::info!(keys, uploads, "old keys and broken uploads removed");
    }
    Ok(())
}
