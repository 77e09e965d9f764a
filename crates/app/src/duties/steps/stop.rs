//! Stopping, until there is evidence that the job is gone: rule a launch out, send stops, pass a suspend on.

use std::{sync::Arc, time::Duration};

use foggara_domain::{
    Execution, Tag,
    drive::{STOPPING_DEADLINE, VoidFact},
    status::Phase,
};
use foggara_engines::{Stop, Voided, failpoint};

use super::observe::job_of;
use crate::{
    duties::{cluster::Room, live::Done},
    rows::{Changed, Edit, change},
};

/// How long the engine may take to take a stop.
const ANSWER: Duration = Duration::from_secs(20);

pub(in crate::duties) async fn void(room: Arc<Room>, row: Execution) -> Done {
    let tag = row.tag.clone().unwrap_or_else(|| Tag::of(&room.app.settings().installation, &row.id, row.attempt));
    let why = if row.deleted_at.is_some() { "deleted" } else { "cancelled" };
    match room.engine.void(job_of(&row, &tag), why).await {
        Ok(Voided::Yes) => Done { voided: Some(VoidFact::Voided), ..Done::default() },
        Ok(Voided::TooLate) => Done { voided: Some(VoidFact::TooLate), ..Done::default() },
        Err(error) => Done::trouble(error),
    }
}

/// Commits `stop_sent_at` before the first stop: from then on every end but success is KILLED (lifecycle.md).
pub(in crate::duties) async fn run(room: Arc<Room>, row: Execution, hard: bool) -> Done {
    let now = room.app.now();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.stop_sent_at.is_some() {
            return Ok(Edit::Keep);
        }
        row.stop_sent_at = Some(now);
        if matches!(row.phase, Phase::Launching | Phase::Running) {
            row.phase = Phase::Stopping;
            row.deadline = Some(now.plus(STOPPING_DEADLINE));
        }
        Ok(Edit::Record("stopping", None))
    })
    .await;
    let row = match changed {
        Ok(Changed::Saved(row) | Changed::Kept(row)) => row,
        Ok(other) => return Done::row(other),
        Err(error) => return Done::trouble(error),
    };
    failpoint::pass("stop.committed");
    let Some(tag) = row.tag.clone() else { return Done::trouble("a stop of an execution without a tag") };
    let how = if hard { Stop::Hard } else { Stop::Gently };
    let sent = tokio::time::timeout(ANSWER, room.engine.stop(job_of(&row, &tag), how)).await;
    failpoint::pass("stop.sent");
    let done = Done { row: Some(Changed::Kept(row)), ..Done::default() };
    match sent {
        Ok(Ok(())) => Done { stop_sent: true, ..done },
        Ok(Err(error)) => Done { trouble: Some(error.to_string()), ..done },
        Err(_) => Done { trouble: Some(format!("no answer to the stop within {} s", ANSWER.as_secs())), ..done },
    }
}

/// Passes the wish to suspend on and stores the engine's word for the outcome.
pub(in crate::duties) async fn suspend(room: Arc<Room>, row: Execution) -> Done {
    let Some(tag) = &row.tag else { return Done::trouble("a suspend of an execution without a tag") };
    let state = match room.engine.suspend(job_of(&row, tag)).await {
        Ok(state) => state,
        Err(error @ foggara_engines::EngineError::Unreachable(_)) => return Done::trouble(error),
        // The engine says no: the job goes on, and the user sees that.
        Err(_) => "RUNNING".to_owned(),
    };
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if !row.suspend_wanted {
            return Ok(Edit::Keep);
        }
        row.suspend_wanted = false;
        if row.phase == Phase::Running {
            row.engine_state = Some(state.clone());
        }
        Ok(Edit::Record("suspended", Some(state.clone())))
    })
    .await;
    changed.map_or_else(Done::trouble, Done::row)
}
