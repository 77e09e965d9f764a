//! The state machine of an execution as one pure function: [`next_step`].
//!
//! It looks at the row, at what the owner knows of the world, and at the time, and says what the owner does next. It is
//! total: every combination has an answer, so a crash anywhere only means that the question is asked again. Phases,
//! duties and the order of writes are lifecycle.md's.

use std::time::Duration;

use crate::{
    Execution, Timestamp,
    execution::Usage,
    status::{Duty, Outcome, Phase, Wish},
};

/// How long staging may take before the execution ends as FAILED. A single fetch has a shorter limit of its own.
pub const STAGING_DEADLINE: Duration = Duration::from_secs(2 * 3600);
/// How long a launch may stay unanswered.
pub const LAUNCH_DEADLINE: Duration = Duration::from_secs(900);
/// How long a stop may take before the phase is given up; the duty stays open without end.
pub const STOPPING_DEADLINE: Duration = Duration::from_secs(3600);
/// After how many polls in a row without the job it counts as gone, when it was to be stopped.
pub const ABSENT_POLLS: u32 = 2;
/// What is shown as the engine's word while a ready engine does not know a job that nobody stopped.
pub const UNKNOWN: &str = "UNKNOWN";
/// How the state of a launching execution begins whose engine gives no answer.
pub const SILENT: &str = "cannot be asked";

/// What the owner of a cluster knows of an execution beside its row.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The cluster.
    pub cluster: ClusterFact,
    /// Whether one more execution may run there.
    pub slot: Slot,
    /// Whether its engine needs a workspace.
    pub stages: bool,
    /// What staging came to in this process.
    pub staged: Staged,
    /// Which call for this execution is in flight.
    pub call: Option<Call>,
    /// The engine's last word on this attempt.
    pub word: Word,
    /// Whether a launch was ruled out.
    pub voided: VoidFact,
    /// When the last stop was sent by this process, and how many it sent.
    pub stops: Option<(Timestamp, u32)>,
    /// How long a gentle stop may take.
    pub kill_grace: Duration,
    /// After how many polls in a row without the job a job that nobody stopped counts as lost, at least [`ABSENT_POLLS`]. Until
    /// then it is shown as [`UNKNOWN`].
    pub unknown_polls: u32,
}

/// State of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterFact {
    /// Jobs may start.
    Active,
    /// Not now; the text says why.
    Inactive(String),
    /// It does not exist any more.
    Gone,
}

/// Room on the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// There is room.
    Free,
    /// There is none; the text says how many run of how many.
    Full(String),
}

/// Outcome of staging in this process; after a restart it is [`Staged::Not`] again and staging is repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Staged {
    /// Not done.
    Not,
    /// Workspace and plan are ready.
    Ready,
    /// It cannot be done; the text is the reason.
    Failed(String),
}

/// Calls that the owner can have in flight for one execution; at most one at a time, except that [`Call::Void`] may join
/// a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Making the workspace.
    Stage,
    /// Finding, else launching.
    Launch,
    /// Ruling a launch out.
    Void,
    /// Asking how it is.
    Observe,
    /// Sending a stop.
    Stop,
    /// Sending a suspend.
    Suspend,
    /// Cleaning up.
    Settle,
}

/// The engine's last word.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// It was not asked yet.
    Unasked,
    /// It cannot be asked.
    Unreachable(String),
    /// It refused the launch: the job does not exist.
    Refused(String),
    /// A launch was sent whose answer was lost, and the engine neither knows jobs by their tag nor refuses a second one: another
    /// launch could make a second job, so there is none.
    LaunchUnknown(String),
    /// It accepted the job.
    Queued(Option<String>),
    /// The job runs.
    Running(Option<String>),
    /// The job ended and nothing of it is left.
    Ended(End),
    /// The engine is ready and does not know it, for so many polls in a row.
    Absent {
        /// Polls in a row with this answer.
        polls: u32,
        /// It is the incarnation that launched the job; another one may have forgotten it.
        same_incarnation: bool,
    },
}

/// The end of a job in the engine's words.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// One line for a person.
    pub reason: Option<String>,
    /// When, by the engine's clock.
    pub ended_at: Option<Timestamp>,
    /// What it used.
    pub usage: Option<Usage>,
}

/// Whether a launch can still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidFact {
    /// Nobody tried to rule it out.
    Open,
    /// It is ruled out for ever.
    Voided,
    /// It had happened already.
    TooLate,
}

/// What the owner does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing until something changes, or until the time given. The text says what it waits for.
    Wait {
        /// For `explain`.
        why: String,
        /// When to ask again at the latest.
        until: Option<Timestamp>,
    },
    /// Leave `waiting`: commit `staging` (or, where nothing is staged, go on to the launch).
    Place,
    /// Make the workspace.
    Stage,
    /// Drop the staging that is in flight; then end by [`Step::End`].
    AbandonStaging,
    /// Commit tag and `launching` if that is not done, then find, else launch.
    Launch,
    /// Rule the launch out.
    Void,
    /// Commit `running`.
    Run(Option<String>),
    /// Ask the engine.
    Observe,
    /// Commit `stop_sent_at` if that is not done, then send a stop.
    Stop {
        /// Do not be gentle.
        hard: bool,
    },
    /// Pass the wish to suspend on.
    Suspend,
    /// Commit the engine's last word (`settling`).
    Settle(End),
    /// Clean up after it and commit `ended`.
    Finish,
    /// End the phase without a word of the engine. `owed`: the duty stays (or becomes) open.
    End {
        /// How.
        outcome: Outcome,
        /// Why.
        reason: String,
        /// The engine may still have the job.
        owed: bool,
    },
    /// There is evidence that the job is gone: close the duty.
    Close(&'static str),
}

/// Evidence that a job is gone, as stored.
pub mod evidence {
    /// Nothing was ever sent to the engine.
    pub const NEVER_LAUNCHED: &str = "never launched";
    /// The launch was ruled out.
    pub const VOIDED: &str = "launch voided";
    /// The engine said that it ended.
    pub const ENDED: &str = "engine reported the end";
    /// The engine said that it refused it.
    pub const REFUSED: &str = "engine refused the launch";
    /// The engine does not know it, twice.
    pub const ABSENT: &str = "engine does not know it";
    /// Another incarnation of the engine does not know it.
    pub const FORGOTTEN: &str = "forgotten by a restarted engine";
}

/// What to do next for an execution. See the module.
pub fn next_step(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    let step = match row.phase {
        Phase::Waiting => waiting(row, facts),
        Phase::Staging => staging(row, facts, now),
        Phase::Launching => launching(row, facts, now),
        Phase::Running | Phase::Stopping => running(row, facts, now),
        Phase::Settling => Step::Finish,
        Phase::Ended => owed(row, facts, now),
    };
    one_call_at_a_time(step, row, facts)
}

/// Whether somebody wants the job stopped: cancel, delete, or a duty that was opened again.
pub fn stop_wanted(row: &Execution) -> bool {
    row.wish == Wish::Cancel || row.deleted_at.is_some() || row.duty == Duty::StopUntilGone
}

/// How an execution is shown to have ended, decided once (lifecycle.md "Who is KILLED").
pub fn decide(row: &Execution, end: &End) -> (Outcome, Option<String>) {
    if row.stop_sent_at.is_some() && end.outcome != Outcome::Succeeded {
        return (Outcome::Killed, stop_reason(row).or_else(|| end.reason.clone()));
    }
    (end.outcome, end.reason.clone())
}

/// The evidence that the job is gone, when it is known to be (lifecycle.md "Stop until gone").
pub fn evidence_of(row: &Execution, facts: &Facts) -> Option<&'static str> {
    match &facts.word {
        Word::Ended(_) => Some(evidence::ENDED),
        Word::Refused(_) => Some(evidence::REFUSED),
        Word::Absent { polls, same_incarnation } if *polls >= ABSENT_POLLS => {
            Some(if *same_incarnation { evidence::ABSENT } else { evidence::FORGOTTEN })
        }
        _ if facts.voided == VoidFact::Voided => Some(evidence::VOIDED),
        _ if row.launch_sent_at.is_none() => Some(evidence::NEVER_LAUNCHED),
        _ => None,
    }
}

fn stop_reason(row: &Execution) -> Option<String> {
    if row.reason.is_some() {
        return row.reason.clone();
    }
    match (row.wish, row.deleted_at) {
        (Wish::Cancel, _) => Some("cancelled".to_owned()),
        (Wish::Run, Some(_)) => Some("deleted".to_owned()),
        (Wish::Run, None) => None,
    }
}

fn wait(why: impl Into<String>, until: Option<Timestamp>) -> Step {
    Step::Wait { why: why.into(), until }
}

fn killed(row: &Execution) -> Step {
    let reason = stop_reason(row).unwrap_or_else(|| "cancelled".to_owned());
    Step::End { outcome: Outcome::Killed, reason, owed: false }
}

fn waiting(row: &Execution, facts: &Facts) -> Step {
    if stop_wanted(row) {
        return killed(row);
    }
    match (&facts.cluster, &facts.slot) {
        (ClusterFact::Gone, _) => {
            Step::End { outcome: Outcome::Killed, reason: "the cluster was deleted".to_owned(), owed: false }
        }
        (ClusterFact::Inactive(why), _) => wait(why.clone(), None),
        (ClusterFact::Active, Slot::Full(why)) => wait(why.clone(), None),
        (ClusterFact::Active, Slot::Free) => Step::Place,
    }
}

fn staging(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    if stop_wanted(row) {
        // No launch is possible any more: its commit asks for wish = run and no delete.
        return if facts.call == Some(Call::Stage) { Step::AbandonStaging } else { killed(row) };
    }
    if row.deadline.is_some_and(|deadline| now >= deadline) {
        return match facts.call {
            Some(Call::Stage) => Step::AbandonStaging,
            _ => Step::End {
                outcome: Outcome::Failed,
                reason: format!("staging took longer than {} s", STAGING_DEADLINE.as_secs()),
                owed: false,
            },
        };
    }
    match &facts.staged {
        _ if !facts.stages => Step::Launch,
        Staged::Not => Step::Stage,
        Staged::Ready => Step::Launch,
        Staged::Failed(reason) => Step::End { outcome: Outcome::Failed, reason: reason.clone(), owed: false },
    }
}

fn launching(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    match &facts.word {
        Word::Refused(reason) if row.stop_sent_at.is_none() && !stop_wanted(row) => {
            return Step::End { outcome: Outcome::Failed, reason: reason.clone(), owed: false };
        }
        Word::Refused(_) => return killed(row),
        Word::LaunchUnknown(why) => {
            let reason = format!("launch_unknown: {why}");
            return Step::End { outcome: Outcome::Failed, reason, owed: true };
        }
        Word::Running(state) => return Step::Run(state.clone()),
        Word::Ended(end) => return Step::Settle(end.clone()),
        _ => {}
    }
    if stop_wanted(row) {
        return match facts.voided {
            VoidFact::Open => Step::Void,
            VoidFact::Voided => killed(row),
            VoidFact::TooLate => stop(row, facts, now),
        };
    }
    if facts.voided == VoidFact::Voided {
        let reason = "the launch was ruled out before it happened".to_owned();
        return Step::End { outcome: Outcome::Failed, reason, owed: false };
    }
    if row.deadline.is_some_and(|deadline| now >= deadline) && row.engine_ref.is_none() {
        match (facts.voided, &facts.word) {
            (VoidFact::Open, _) => return Step::Void,
            // It was sent, and nobody can say what became of it.
            (_, Word::Unreachable(why)) => {
                let reason =
                    format!("the engine did not answer the launch within {} s: {why}", LAUNCH_DEADLINE.as_secs());
                return Step::End { outcome: Outcome::Failed, reason, owed: true };
            }
            _ => {}
        }
    }
    match facts.word {
        _ if row.engine_ref.is_none() => Step::Launch,
        Word::Absent { polls, .. } if polls >= facts.unknown_polls.max(ABSENT_POLLS) => lost(facts),
        _ => Step::Observe,
    }
}

fn running(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    match &facts.word {
        Word::Ended(end) => return Step::Settle(end.clone()),
        Word::Absent { polls, .. } if *polls >= ABSENT_POLLS && row.stop_sent_at.is_some() => {
            return gone_after_stop(row, facts);
        }
        Word::Absent { polls, .. } if *polls >= facts.unknown_polls.max(ABSENT_POLLS) && row.stop_sent_at.is_none() => {
            return lost(facts);
        }
        Word::Absent { .. }
            if row.phase == Phase::Running && !stop_wanted(row) && row.engine_state.as_deref() != Some(UNKNOWN) =>
        {
            return Step::Run(Some(UNKNOWN.to_owned()));
        }
        Word::Running(state) if *state != row.engine_state && row.phase == Phase::Running => {
            return Step::Run(state.clone());
        }
        _ => {}
    }
    if stop_wanted(row) || row.phase == Phase::Stopping {
        if row.phase == Phase::Stopping && row.deadline.is_some_and(|deadline| now >= deadline) {
            let reason = format!(
                "the engine did not confirm the stop within {} s; it is still being stopped",
                STOPPING_DEADLINE.as_secs()
            );
            return Step::End { outcome: Outcome::Failed, reason, owed: true };
        }
        return stop(row, facts, now);
    }
    if row.suspend_wanted {
        return Step::Suspend;
    }
    Step::Observe
}

/// The phase is over; only a duty may be left.
fn owed(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    if row.duty == Duty::None {
        return wait("ended", None);
    }
    if let Some(evidence) = evidence_of(row, facts) {
        return Step::Close(evidence);
    }
    match facts.voided {
        VoidFact::Open if row.engine_ref.is_none() => Step::Void,
        _ => stop(row, facts, now),
    }
}

fn lost(facts: &Facts) -> Step {
    let reason = match facts.word {
        Word::Absent { same_incarnation: false, .. } => "lost: the engine was restarted and does not know the job",
        _ => "lost: the engine does not know the job any more",
    };
    Step::End { outcome: Outcome::Failed, reason: reason.to_owned(), owed: false }
}

fn gone_after_stop(row: &Execution, facts: &Facts) -> Step {
    match facts.word {
        Word::Absent { same_incarnation: true, .. } => killed(row),
        _ => match killed(row) {
            Step::End { outcome, reason, .. } => {
                Step::End { outcome, reason: format!("{reason} ({})", evidence::FORGOTTEN), owed: false }
            }
            other => other,
        },
    }
}

/// Stops at once, then asks between repeated stops whose distance grows to a minute and never ends.
fn stop(row: &Execution, facts: &Facts, now: Timestamp) -> Step {
    let Some((last, count)) = facts.stops else {
        let hard = row.stop_sent_at.is_some_and(|sent| now.since(sent) > facts.kill_grace);
        return Step::Stop { hard };
    };
    let past_grace = row.stop_sent_at.is_some_and(|sent| now.since(sent) >= facts.kill_grace);
    let distance = match (past_grace, count) {
        (false, _) => facts.kill_grace,
        (true, 0..=3) => Duration::from_secs(1),
        (true, n) => Duration::from_secs(u64::from(1u32 << (n - 3).min(6))).min(Duration::from_secs(60)),
    };
    if now.since(last) >= distance { Step::Stop { hard: past_grace } } else { Step::Observe }
}

/// Holds a step back while a call for the same execution is in flight.
fn one_call_at_a_time(step: Step, row: &Execution, facts: &Facts) -> Step {
    let Some(call) = facts.call else { return step };
    let free = match step {
        // Ends of phases and commits of known facts need no call; they wait for calls whose effect they would overtake.
        Step::AbandonStaging | Step::Wait { .. } => true,
        Step::Void => call == Call::Launch,
        Step::Run(_) => call != Call::Launch,
        _ => false,
    };
    if free {
        return step;
    }
    wait(format!("{} in progress", call_name(call)), row.deadline)
}

fn call_name(call: Call) -> &'static str {
    match call {
        Call::Stage => "staging",
        Call::Launch => "launch",
        Call::Void => "ruling out of the launch",
        Call::Observe => "look at the engine",
        Call::Stop => "stop",
        Call::Suspend => "suspend",
        Call::Settle => "clean-up",
    }
}
