//! The sweep: whatever the engine has under our prefix must be wanted by a row or owed to one; all else is stopped. It runs
//! for ever, so a launch that came late by any way is found (lifecycle.md "The sweep"). It also removes what nobody needs:
//! workspaces without an execution, tombstones whose time is over.

use std::{collections::BTreeSet, sync::Arc};

use foggara_db::executions;
use foggara_domain::{
    Execution, Result, Tag, Timestamp,
    status::{Duty, Phase},
};
use foggara_engines::{EngineError, JobRef, Stop, Voided};

use super::{
    cluster::Room,
    steps::{self, settle::remove, stage},
};
use crate::rows::{Edit, change};

/// One round. `busy` are the tags that the owner works on at the moment; they need no look.
pub(super) async fn run(room: &Arc<Room>, busy: BTreeSet<Tag>) {
    if let Err(error) = jobs(room, &busy).await {
        tracing::warn!(cluster = %room.own.cluster, "the sweep could not look for stray jobs: {error}");
    }
    if let Err(error) = workspaces(room, &busy).await {
        tracing::warn!(cluster = %room.own.cluster, "the sweep could not look for left workspaces: {error}");
    }
    if let Some(base) = room.engine.artifacts()
        && room.collecting()
        && let Err(error) = steps::artifacts::collect(room.app.stores(), base).await
    {
        tracing::warn!(cluster = %room.own.cluster, "the sweep could not look for unused artifacts: {error}");
    }
    if let Err(error) = tombstones(room).await {
        tracing::warn!(cluster = %room.own.cluster, "the sweep could not remove old tombstones: {error}");
    }
}

/// What the sweep does about a tag that the engine has.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Its row wants it or is at work on it.
    Fine,
    /// No row names it, or a later attempt does: stop it.
    Stray,
    /// Its row is through with it, but it lives: owe it again.
    Reopen,
}

fn judge(row: Option<&Execution>, attempt: u32) -> Verdict {
    match row {
        None => Verdict::Stray,
        Some(row) if row.attempt > attempt => Verdict::Stray,
        Some(row) if row.phase == Phase::Ended && row.duty == Duty::None => Verdict::Reopen,
        Some(_) => Verdict::Fine,
    }
}

/// The engine is listed first and the database read after it: a launch that is under way has its row already.
async fn jobs(room: &Room, busy: &BTreeSet<Tag>) -> Result<(), String> {
    let installation = &room.app.settings().installation;
    let tags = room.engine.list(&Tag::prefix(installation)).await.map_err(|error| error.to_string())?;
    for tag in tags.into_iter().filter(|tag| !busy.contains(tag)) {
        let Some((id, attempt)) = tag.parse(installation) else { continue };
        let row = find(room, &id).await.map_err(|error| error.to_string())?;
        if row.as_ref().is_some_and(|row| row.cluster != room.own.cluster) {
            continue;
        }
        match judge(row.as_ref(), attempt) {
            Verdict::Fine => {}
            Verdict::Stray => {
                tracing::warn!(%tag, "a job that no execution wants is being stopped");
                stop_stray(room, &tag).await.map_err(|error| error.to_string())?;
            }
            Verdict::Reopen => {
                tracing::warn!(%tag, "a job lives although its execution is over; it is being stopped");
                reopen(room, &id).await.map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

async fn find(room: &Room, id: &foggara_domain::ExecutionId) -> Result<Option<Execution>> {
    executions::find(&mut room.app.db().read().await?, id).await
}

async fn stop_stray(room: &Room, tag: &Tag) -> Result<(), EngineError> {
    if room.engine.void(JobRef::from(tag), "no execution wants it").await? == Voided::TooLate {
        room.engine.stop(JobRef::from(tag), Stop::Gently).await?;
    }
    Ok(())
}

async fn reopen(room: &Room, id: &foggara_domain::ExecutionId) -> Result<()> {
    change(&room.app, Some(&room.own), id, |row| {
        if row.phase != Phase::Ended || row.duty != Duty::None {
            return Ok(Edit::Keep);
        }
        row.duty = Duty::StopUntilGone;
        row.gone_at = None;
        row.gone_evidence = None;
        Ok(Edit::Record("reopened", Some("its job was found alive after the end".to_owned())))
    })
    .await?;
    room.app.wake();
    Ok(())
}

/// Folders of workspaces whose execution is over: a crash came between the end and the removal, or staging was given up.
async fn workspaces(room: &Room, busy: &BTreeSet<Tag>) -> Result<(), String> {
    if !room.engine.stages() {
        return Ok(());
    }
    let root = stage::workspaces_root(&room.app);
    let Ok(mut folders) = tokio::fs::read_dir(&root).await else { return Ok(()) };
    while let Ok(Some(folder)) = folders.next_entry().await {
        let tag = Tag::from(folder.file_name().to_string_lossy().into_owned());
        let Some((id, attempt)) = tag.parse(&room.app.settings().installation) else { continue };
        if busy.contains(&tag) {
            continue;
        }
        let row = find(room, &id).await.map_err(|error| error.to_string())?;
        let over = row.is_none_or(|row| row.attempt > attempt || row.is_finished());
        if over {
            remove(&folder.path()).await?;
        }
    }
    Ok(())
}

/// Tombstones are kept for a while after the evidence that the job is gone; one with an open duty never goes by age.
async fn tombstones(room: &Room) -> Result<(), String> {
    let settings = room.app.settings();
    let keep = i64::try_from(settings.tombstone_keep.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(room.app.now().as_micros().saturating_sub(keep));
    let old = {
        let mut conn = room.app.db().read().await.map_err(|error| error.to_string())?;
        executions::old_tombstones(&mut conn, &room.own.cluster, &room.own.place, before)
            .await
            .map_err(|error| error.to_string())?
    };
    for row in old {
        if let Some(tag) = &row.tag {
            room.engine.forget(JobRef::from(tag)).await.map_err(|error| error.to_string())?;
            remove(&stage::logs_folder(&room.app, tag)).await?;
        }
        let id = row.id.clone();
        room.app
            .db()
            .write(move |conn| {
                let id = id.clone();
                Box::pin(async move { executions::remove(conn, &id).await })
            })
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
