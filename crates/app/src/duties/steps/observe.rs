//! Asking the engine how a job is. Nothing is written while the answer stays the same.

use std::{sync::Arc, time::Duration};

use foggara_db::{executions, ownership};
use foggara_domain::{
    Execution, ExecutionId, Tag,
    drive::{End, Word},
    execution::Progress,
    status::Phase,
};
use foggara_engines::{Engine, EngineError, JobRef, Observed, failpoint};

use super::ticket;
use crate::{
    duties::{cluster::Room, live::Done},
    rows::{Edit, change},
};

/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

pub(in crate::duties) async fn run(room: Arc<Room>, row: Execution, before: Word) -> Done {
    let Some(tag) = &row.tag else { return Done::trouble("a launched execution without a tag") };
    let word = ask(room.engine.as_ref(), job_of(&row, tag), &before, row.incarnation.as_deref()).await;
    failpoint::pass("observe.asked");
    ticket::renew(&room, &row).await;
    if let Word::Unreachable(why) = &word
        && !matches!(before, Word::Unreachable(_))
    {
        tracing::warn!(execution = %row.id, "engine cannot be asked: {why}");
    }
    let goes_on = matches!(word, Word::Queued(_) | Word::Running(_));
    let progress = if goes_on { progress(room.engine.as_ref(), job_of(&row, tag)).await } else { None };
    Done { word: Some(word), progress, ..Done::default() }
}

/// How far a job is; nothing where the engine does not know, or takes long to say.
pub(super) async fn progress(engine: &dyn Engine, job: JobRef<'_>) -> Option<Progress> {
    tokio::time::timeout(ANSWER, engine.progress(job)).await.ok().flatten()
}

/// Keeps how far jobs are: all of a cluster in one transaction, not more often than the loop has it done, and without an event
/// (lifecycle.md: what the engine can repeat is written lazily). What is lost is told again.
pub(in crate::duties) async fn note_progress(room: Arc<Room>, told: Vec<(ExecutionId, Progress)>) {
    let own = room.own.clone();
    let noted = room.app.db().write(move |conn| {
        let (own, told) = (own.clone(), told.clone());
        Box::pin(async move {
            if ownership::fence(conn, &own.cluster, &own.place, own.epoch).await? {
                for (id, progress) in &told {
                    executions::note_progress(conn, id, progress, false).await?;
                }
            }
            Ok(())
        })
    });
    if let Err(error) = noted.await {
        tracing::warn!("the progress of jobs cannot be kept: {error}");
    }
}

/// The job of a row, as its engine is asked about it.
pub(super) fn job_of<'a>(row: &'a Execution, tag: &'a Tag) -> JobRef<'a> {
    JobRef { tag, reference: row.engine_ref.as_deref(), sent_at: row.launch_sent_at }
}

/// One question to the engine.
pub(super) async fn ask(engine: &dyn Engine, job: JobRef<'_>, before: &Word, incarnation: Option<&str>) -> Word {
    let answer = tokio::time::timeout(ANSWER, engine.observe(job)).await;
    let answer =
        answer.unwrap_or_else(|_| Err(EngineError::Unreachable(format!("no answer within {} s", ANSWER.as_secs()))));
    word_of(answer, before, incarnation)
}

/// The engine's answer in words of the domain. `before` is the last word, to count polls in a row without the job;
/// `launched_by` is the incarnation that launched it.
pub(super) fn word_of(answer: Result<Observed, EngineError>, before: &Word, launched_by: Option<&str>) -> Word {
    match answer {
        Ok(Observed::Queued { state }) => Word::Queued(state),
        Ok(Observed::Running { state }) => Word::Running(state),
        Ok(Observed::Ended(ended)) => Word::Ended(End {
            outcome: ended.outcome,
            exit_code: ended.exit_code,
            reason: ended.reason,
            ended_at: ended.ended_at,
            usage: ended.usage,
        }),
        Ok(Observed::Absent { incarnation }) => {
            let same_incarnation = launched_by.is_none_or(|launched_by| launched_by == incarnation);
            let polls = match before {
                Word::Absent { polls, same_incarnation: same } if *same == same_incarnation => polls.saturating_add(1),
                _ => 1,
            };
            Word::Absent { polls, same_incarnation }
        }
        Err(error) => Word::Unreachable(error.to_string()),
    }
}

/// Commits that the job runs, and the engine's finer word for it.
pub(in crate::duties) async fn note_running(room: Arc<Room>, row: Execution, state: Option<String>) -> Done {
    let now = room.app.now();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        let first = row.phase == Phase::Launching;
        if !first && (row.phase != Phase::Running || row.engine_state == state) {
            return Ok(Edit::Keep);
        }
        row.phase = Phase::Running;
        row.engine_state.clone_from(&state);
        if first {
            row.running_at = Some(now);
            row.deadline = None;
        }
        Ok(Edit::Record("running", state.clone()))
    })
    .await;
    changed.map_or_else(Done::trouble, Done::row)
}
