//! The end of an execution: the outcome is decided once, from the row as it is in that transaction; then the workspace goes,
//! then the execution is ended. Each part may be repeated.

use std::{io, path::Path, sync::Arc};

use foggara_db::executions;
use foggara_domain::{
    Execution, Result, Tag, Timestamp,
    drive::{End, Word, decide, evidence},
    status::{Duty, Outcome, Phase},
};
use foggara_engines::failpoint;

use super::{
    artifacts, data, job_log,
    observe::{ask, job_of, progress},
    publish::Unpublished,
    stage::{logs_folder, workspace_folder},
};
use crate::{
    duties::{cluster::Room, live::Done},
    rows::{Changed, Edit, change},
};

/// The reason of an execution that was stopped while its output or its logs were put where they belong.
const STOPPED: &str = "stopped while its output was written";

/// Commits the engine's last word, then finishes.
pub(in crate::duties) async fn run(room: Arc<Room>, row: Execution, end: End) -> Done {
    // Before the outcome is decided, since it depends on this; a crash in between does it again.
    let unpublished = match data::publish(&room, &row, end.outcome).await {
        Ok(()) => job_log::publish(&room, &row).await.err(),
        Err(why) => Some(why),
    };
    failpoint::pass("settle.published");
    let word = end.clone();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.phase >= Phase::Settling {
            return Ok(Edit::Keep);
        }
        let (outcome, reason) = match (decide(row, &word), &unpublished) {
            ((Outcome::Succeeded, _), Some(Unpublished::Failed(why))) => (Outcome::Failed, Some(why.clone())),
            // Its output is not there: whoever stopped it has stopped it.
            ((Outcome::Succeeded, _), Some(Unpublished::Stopped)) => (Outcome::Killed, Some(STOPPED.to_owned())),
            (decided, _) => decided,
        };
        row.phase = Phase::Settling;
        row.outcome = Some(outcome);
        row.reason = reason;
        row.return_code = word.exit_code.map(|code| code.to_string());
        row.usage.clone_from(&word.usage);
        Ok(Edit::Quietly)
    })
    .await;
    failpoint::pass("settle.committed");
    match changed {
        Ok(Changed::Saved(row) | Changed::Kept(row)) if row.phase == Phase::Settling => {
            finish(room, *row, end.ended_at).await
        }
        Ok(other) => Done::row(other),
        Err(error) => Done::trouble(error),
    }
}

/// Cleans up and commits `ended`. `ended_at` is the engine's time of the end; after a crash the engine is asked again.
pub(in crate::duties) async fn finish(room: Arc<Room>, row: Execution, ended_at: Option<Timestamp>) -> Done {
    let ended_at = match (ended_at, &row.tag) {
        (Some(at), _) => Some(at),
        (None, Some(tag)) => match ask(room.engine.as_ref(), job_of(&row, tag), &Word::Unasked, None).await {
            Word::Ended(end) => end.ended_at,
            _ => None,
        },
        (None, None) => None,
    };
    if let Err(error) = note_last(&room, &row).await {
        return Done::trouble(error);
    }
    clean(&room, &row).await;
    failpoint::pass("settle.cleaned");
    let now = room.app.now();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.phase != Phase::Settling {
            return Ok(Edit::Keep);
        }
        row.phase = Phase::Ended;
        // By the engine's clock, but never before the start that we recorded.
        row.end_time = Some(ended_at.unwrap_or(now).max(row.start_time.unwrap_or(now)));
        gone(row, evidence::ENDED, now);
        Ok(Edit::Record("ended", row.reason.clone()))
    })
    .await;
    failpoint::pass("settle.ended");
    released(&room, changed).await
}

/// Keeps what the engine counted at last. The row is settling already, so that no earlier progress comes after it.
async fn note_last(room: &Room, row: &Execution) -> Result<()> {
    let Some(tag) = &row.tag else { return Ok(()) };
    let Some(progress) = progress(room.engine.as_ref(), job_of(row, tag)).await else { return Ok(()) };
    let id = row.id.clone();
    let write = room.app.db().write(move |conn| {
        let (id, progress) = (id.clone(), progress.clone());
        Box::pin(async move { executions::note_progress(conn, &id, &progress, true).await })
    });
    write.await
}

/// Ends the phase without a word of the engine; see [`foggara_domain::drive::Step::End`].
pub(in crate::duties) async fn end(
    room: Arc<Room>,
    row: Execution,
    outcome: Outcome,
    reason: String,
    owed: bool,
    evidence: Option<&'static str>,
) -> Done {
    // What may still run keeps its workspace until the duty is closed.
    if !owed {
        clean(&room, &row).await;
    }
    let now = room.app.now();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.phase == Phase::Ended {
            return Ok(Edit::Keep);
        }
        row.phase = Phase::Ended;
        row.outcome = Some(outcome);
        row.reason = Some(reason.clone());
        row.start_time.get_or_insert(now);
        row.end_time = Some(now);
        match evidence {
            Some(evidence) if !owed => gone(row, evidence, now),
            // No evidence that it is gone: somebody has to go on stopping it.
            _ => row.duty = Duty::StopUntilGone,
        }
        Ok(Edit::Record("ended", Some(reason.clone())))
    })
    .await;
    changed.map_or_else(Done::trouble, Done::row)
}

/// Closes a duty on evidence that the job is gone.
pub(in crate::duties) async fn close(room: Arc<Room>, row: Execution, evidence: &'static str) -> Done {
    clean(&room, &row).await;
    let now = room.app.now();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.duty == Duty::None {
            return Ok(Edit::Keep);
        }
        gone(row, evidence, now);
        Ok(Edit::Record("gone", Some(evidence.to_owned())))
    })
    .await;
    released(&room, changed).await
}

/// Tells the engine that the end of a stopped job is stored. One that ended by itself stays there for whoever wants to see why.
async fn released(room: &Room, changed: Result<Changed>) -> Done {
    if let Ok(Changed::Saved(row)) = &changed
        && let Some(tag) = &row.tag
        && row.stop_sent_at.is_some()
        && let Err(error) = room.engine.release(job_of(row, tag), row.deleted_at.is_none()).await
    {
        tracing::debug!(execution = %row.id, "the engine keeps what it has of a stopped job: {error}");
    }
    changed.map_or_else(Done::trouble, Done::row)
}

fn gone(row: &mut Execution, evidence: &str, now: Timestamp) {
    row.duty = Duty::None;
    row.gone_at = Some(now);
    row.gone_evidence = Some(evidence.to_owned());
    row.deadline = None;
    row.suspend_wanted = false;
}

/// Removes the workspace, and the logs of a deleted execution: nobody can read them any more. What cannot be removed now is
/// no reason to keep the execution from its end; the sweep tries again.
async fn clean(room: &Room, row: &Execution) {
    let app = &room.app;
    let tag = row.tag.clone().unwrap_or_else(|| Tag::of(&app.settings().installation, &row.id, row.attempt));
    let mut folders = vec![workspace_folder(app, &tag)];
    if row.deleted_at.is_some() {
        folders.push(logs_folder(app, &tag));
    }
    if let Some(base) = room.engine.artifacts()
        && let Err(error) = artifacts::release(app.stores(), base, &tag).await
    {
        tracing::warn!(execution = %row.id, "{error}; its files stay in the store of artifacts");
    }
    for folder in folders {
        if let Err(error) = remove(&folder).await {
            tracing::warn!(execution = %row.id, "{error}; the sweep tries again");
        }
    }
}

/// Removes a folder that may be gone already.
pub(in crate::duties) async fn remove(folder: &Path) -> Result<(), String> {
    match tokio::fs::remove_dir_all(folder).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot remove {}: {error}", folder.display())),
    }
}
