//! Launch without doubles (lifecycle.md): commit tag and `launching`; find; only if nothing is found, launch; commit the
//! reference. After a crash it begins again at "find" with the same tag.

use std::{collections::BTreeMap, sync::Arc};

use foggara_domain::{
    Execution, Tag,
    drive::{LAUNCH_DEADLINE, SILENT, VoidFact, Word},
    status::{Duty, Phase, Wish},
};
use foggara_engines::{EngineError, JobRef, Launch, Launched, Voided, failpoint};

use super::{
    observe::{ask, job_of, word_of},
    stage::{Prepared, logs_folder, prepare},
};
use crate::{
    duties::{cluster::Room, live::Done},
    rows::{Changed, Edit, change},
};

/// `unsent`: this process knows that no launch of this attempt was sent yet.
pub(in crate::duties) async fn run(room: Arc<Room>, row: Execution, prepared: Option<Prepared>, unsent: bool) -> Done {
    let (row, first) = match commit(&room, &row, prepared.as_ref()).await {
        Ok(Changed::Saved(row)) => (*row, true),
        Ok(Changed::Kept(row)) => (*row, false),
        Ok(other) => return Done::row(other),
        Err(error) => return Done::trouble(error),
    };
    let Some(tag) = row.tag.clone().filter(|_| may_launch(&row)) else {
        // A cancel or delete was quicker; the next step sees it in the row.
        return Done::row(Changed::Kept(Box::new(row)));
    };
    failpoint::pass("launch.committed");
    let launched = match find_or_launch(&room, &row, &tag, prepared, first || unsent).await {
        Ok(launched) => launched,
        // The row as committed, so that a restart of the steps does not count as the first.
        Err(mut done) => {
            if let Some(Word::Unreachable(why)) = &done.word
                && let Ok(changed) = note_silence(&room, &row, why).await
            {
                done.row.get_or_insert(changed);
            }
            done.row.get_or_insert_with(|| Changed::Kept(Box::new(row)));
            return done;
        }
    };
    failpoint::pass("launch.sent");
    let job = JobRef { reference: Some(&launched.reference), ..job_of(&row, &tag) };
    let word = ask(room.engine.as_ref(), job, &Word::Unasked, Some(&launched.incarnation)).await;
    let changed = note(&room, &row, launched, &word).await;
    failpoint::pass("launch.noted");
    match changed {
        Ok(changed) => Done { row: Some(changed), word: Some(word), ..Done::default() },
        Err(error) => Done::trouble(error),
    }
}

/// Whether a launch may go out for this row. Once it is committed with `launch_sent_at` the duty of a delete covers it.
fn may_launch(row: &Execution) -> bool {
    row.phase == Phase::Launching
        && row.wish == Wish::Run
        && row.deleted_at.is_none()
        && row.duty == Duty::None
        && row.engine_ref.is_none()
}

async fn commit(room: &Room, row: &Execution, prepared: Option<&Prepared>) -> foggara_domain::Result<Changed> {
    let now = room.app.now();
    let tag = Tag::of(&room.app.settings().installation, &row.id, row.attempt);
    let place = room.own.place.clone();
    let urls = prepared.map(|prepared| prepared.data_source_urls.clone());
    change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.wish != Wish::Run || row.deleted_at.is_some() || row.phase >= Phase::Launching {
            return Ok(Edit::Keep);
        }
        row.phase = Phase::Launching;
        row.place = Some(place.clone());
        row.tag = Some(tag.clone());
        row.launch_sent_at = Some(now);
        row.staged_at = Some(now);
        row.start_time = Some(now);
        row.deadline = Some(now.plus(LAUNCH_DEADLINE));
        if urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
            row.data_source_urls.clone_from(&urls);
        }
        Ok(Edit::Record("launching", None))
    })
    .await
}

async fn find_or_launch(
    room: &Room,
    row: &Execution,
    tag: &Tag,
    prepared: Option<Prepared>,
    unsent: bool,
) -> Result<Launched, Done> {
    match room.engine.find(job_of(row, tag)).await {
        Ok(Some(found)) => return Ok(found),
        Ok(None) if unsent || room.engine.repeats() => {}
        Ok(None) => {
            let why = "the launch was sent and its answer was lost; the engine cannot tell whether it took the job, which is being \
                       looked for and stopped";
            return Err(Done { word: Some(Word::LaunchUnknown(why.to_owned())), ..Done::default() });
        }
        Err(error) => return Err(Done { unsent, ..trouble(error) }),
    }
    let prepared = match prepared {
        Some(prepared) => Some(prepared),
        None if room.engine.stages() => match prepare(room, row).await {
            Ok(prepared) => Some(prepared),
            Err(reason) => return Err(give_up(room, tag, reason).await),
        },
        None => None,
    };
    let no_urls = BTreeMap::new();
    let launch = Launch {
        tag,
        job_type: &row.job_type,
        job_name: &row.job_name,
        plan: prepared.as_ref().map(|prepared| &prepared.plan),
        urls: prepared.as_ref().map_or(&no_urls, |prepared| &prepared.urls),
        workspace: prepared.as_ref().map(|prepared| prepared.workspace.clone()).unwrap_or_default(),
        logs: logs_folder(&room.app, tag),
        kill_grace: room.app.settings().kill_grace,
    };
    let limit = room.engine.launch_limit();
    match tokio::time::timeout(limit, room.engine.launch(launch)).await {
        Ok(Ok(launched)) => Ok(launched),
        Ok(Err(EngineError::Refused(reason) | EngineError::Unsupported(reason))) => {
            Err(Done { word: Some(Word::Refused(reason)), ..Done::default() })
        }
        Ok(Err(EngineError::Full(why))) => Err(wait_for_room(room, row, why).await),
        Ok(Err(EngineError::Voided)) => Err(Done { voided: Some(VoidFact::Voided), ..Done::default() }),
        Ok(Err(error)) => Err(Done { unsent: matches!(error, EngineError::NotSent(_)), ..trouble(error) }),
        Err(_) => Err(Done::trouble(format!("no answer to the launch within {} s", limit.as_secs()))),
    }
}

/// The files cannot be had again after a restart. The launch is ruled out before the execution ends, so that nothing that
/// was sent before the restart can still start.
async fn give_up(room: &Room, tag: &Tag, reason: String) -> Done {
    match room.engine.void(JobRef::from(tag), "staging failed").await {
        Ok(Voided::Yes) => Done { word: Some(Word::Refused(reason)), ..Done::default() },
        Ok(Voided::TooLate) => Done { voided: Some(VoidFact::TooLate), ..Done::default() },
        Err(error) => trouble(error),
    }
}

/// The engine has no room: the execution waits where it is and shows why, and is tried again. Such an answer is an answer, so that
/// the time for a launch begins anew with it; it is stored seldom, since the answer may stay the same for days.
async fn wait_for_room(room: &Room, row: &Execution, why: String) -> Done {
    let now = room.app.now();
    let state = why.clone();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        let first = row.engine_state.as_ref().is_none_or(|state| state.starts_with(SILENT));
        let is_late = row.deadline.is_some_and(|deadline| deadline < now.plus(LAUNCH_DEADLINE / 2));
        if row.phase != Phase::Launching || row.engine_ref.is_some() || !(first || is_late) {
            return Ok(Edit::Keep);
        }
        row.engine_state = Some(state.clone());
        row.deadline = Some(now.plus(LAUNCH_DEADLINE));
        Ok(if first { Edit::Record("launching", Some(state.clone())) } else { Edit::Quietly })
    })
    .await;
    match changed {
        Ok(changed) => Done { row: Some(changed), word: Some(Word::Unasked), unsent: true, ..Done::trouble(why) },
        Err(error) => Done { unsent: true, ..Done::trouble(error) },
    }
}

/// An engine that cannot be asked may be so for as long as a launch may take: whoever waits is told why, once.
async fn note_silence(room: &Room, row: &Execution, why: &str) -> foggara_domain::Result<Changed> {
    if row.engine_state.is_some() {
        return Ok(Changed::Kept(Box::new(row.clone())));
    }
    let state = format!("{SILENT}: {why}");
    change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.phase != Phase::Launching || row.engine_ref.is_some() || row.engine_state.is_some() {
            return Ok(Edit::Keep);
        }
        row.engine_state = Some(state.clone());
        Ok(Edit::Record("launching", Some(state.clone())))
    })
    .await
}

fn trouble(error: EngineError) -> Done {
    Done { word: Some(word_of(Err(error.clone()), &Word::Unasked, None)), ..Done::trouble(error) }
}

/// Stores the reference, also when the user changed their mind meanwhile: the stop needs it.
async fn note(room: &Room, row: &Execution, launched: Launched, word: &Word) -> foggara_domain::Result<Changed> {
    let now = room.app.now();
    let state = match word {
        Word::Queued(state) | Word::Running(state) => state.clone(),
        _ => None,
    };
    let queued = matches!(word, Word::Queued(_));
    change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.engine_ref.is_some() {
            return Ok(Edit::Keep);
        }
        row.engine_ref = Some(launched.reference.clone());
        row.incarnation = Some(launched.incarnation.clone());
        row.engine_state.clone_from(&state);
        if row.phase != Phase::Launching || queued {
            return Ok(Edit::Quietly);
        }
        row.phase = Phase::Running;
        row.running_at = Some(now);
        row.deadline = None;
        Ok(Edit::Record("running", launched.note.clone()))
    })
    .await
}
