//! What an owner remembers of an execution between two looks at the database: an index, never the truth. After a restart
//! it is empty and everything is asked again.

use std::time::Duration;

use foggara_domain::{
    Execution, Timestamp,
    drive::{Call, ClusterFact, Facts, Slot, Staged, VoidFact, Word},
    execution::Progress,
};
use tokio::{task::AbortHandle, time::Instant};

use super::steps::stage::Prepared;
use crate::{Settings, rows::Changed};

/// An execution that its owner works on.
pub(super) struct Live {
    /// The row as last read or written.
    pub row: Execution,
    /// What staging came to.
    pub staged: Option<Result<Prepared, String>>,
    /// The engine's last word.
    pub word: Word,
    /// How far the engine says it is.
    pub progress: Option<Progress>,
    /// Whether the launch was ruled out.
    pub voided: VoidFact,
    /// When the last stop was sent, and how many.
    pub stops: Option<(Timestamp, u32)>,
    /// A launch came to nothing before anything was sent.
    pub unsent: bool,
    /// The call in flight.
    pub call: Option<InFlight>,
    /// A void that joined a launch.
    pub joined_void: Option<InFlight>,
    /// The engine has to be asked: a poll is due, or it rang.
    pub poll_due: bool,
    /// Nothing is tried before, after trouble.
    pub retry_at: Option<Instant>,
    /// How often in a row there was trouble.
    pub troubles: u32,
}

/// A call in flight.
pub(super) struct InFlight {
    /// Which.
    pub call: Call,
    /// Its number in this loop: a report with another number is of a call that was given up.
    pub number: u64,
    /// To give it up.
    pub task: AbortHandle,
}

/// What came of a call.
#[derive(Default)]
pub(super) struct Done {
    /// The row after a commit.
    pub row: Option<Changed>,
    /// Staging's outcome.
    pub staged: Option<Result<Prepared, String>>,
    /// A new word of the engine.
    pub word: Option<Word>,
    /// How far the job is.
    pub progress: Option<Progress>,
    /// A new fact about the launch.
    pub voided: Option<VoidFact>,
    /// A stop was sent.
    pub stop_sent: bool,
    /// A launch came to nothing before anything was sent to the engine.
    pub unsent: bool,
    /// It could not be done now; the text goes to the log.
    pub trouble: Option<String>,
}

impl Done {
    /// It could not be done now.
    pub fn trouble(error: impl ToString) -> Self {
        Self { trouble: Some(error.to_string()), ..Self::default() }
    }

    /// Only a commit.
    pub fn row(changed: Changed) -> Self {
        Self { row: Some(changed), ..Self::default() }
    }
}

impl Live {
    /// Nothing is known but the row.
    pub fn new(row: Execution) -> Self {
        Self {
            row,
            staged: None,
            word: Word::Unasked,
            progress: None,
            voided: VoidFact::Open,
            stops: None,
            unsent: false,
            call: None,
            joined_void: None,
            poll_due: true,
            retry_at: None,
            troubles: 0,
        }
    }

    /// The facts for the state machine.
    pub fn facts(&self, cluster: ClusterFact, slot: Slot, stages: bool, settings: &Settings) -> Facts {
        Facts {
            cluster,
            slot,
            stages,
            staged: match &self.staged {
                None => Staged::Not,
                Some(Ok(_)) => Staged::Ready,
                Some(Err(reason)) => Staged::Failed(reason.clone()),
            },
            call: match &self.call {
                _ if self.joined_void.is_some() => Some(Call::Void),
                call => call.as_ref().map(|flight| flight.call),
            },
            word: self.word.clone(),
            voided: self.voided,
            stops: self.stops,
            kill_grace: settings.kill_grace,
            // The engine is asked once a second.
            unknown_polls: u32::try_from(settings.unknown_for.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Takes in what came of a call; nothing when the call was given up meanwhile.
    pub fn absorb(&mut self, number: u64, done: Done, now: Timestamp) {
        let is_it = |flight: &mut InFlight| flight.number == number;
        let Some(InFlight { call, .. }) = self.joined_void.take_if(is_it).or_else(|| self.call.take_if(is_it)) else {
            return;
        };
        if call == Call::Launch {
            self.unsent = done.unsent;
        }
        if let Some(Changed::Saved(row) | Changed::Kept(row)) = done.row {
            self.take_row(*row);
        }
        if done.staged.is_some() {
            self.staged = done.staged;
        }
        if let Some(voided) = done.voided {
            self.voided = voided;
        }
        if let Some(word) = done.word {
            self.word = word;
        }
        if done.progress.is_some() {
            self.progress = done.progress;
        }
        if done.stop_sent {
            let count = self.stops.map_or(0, |(_, count)| count);
            self.stops = Some((now, count.saturating_add(1)));
            // The answer to a stop is the job's end: look for it at once.
            self.poll_due = true;
        }
        if let Some(trouble) = done.trouble {
            self.troubles = self.troubles.saturating_add(1);
            let pause =
                Duration::from_millis(200 * u64::from(1u32 << self.troubles.min(8))).min(Duration::from_secs(30));
            self.retry_at = Some(Instant::now() + pause);
            tracing::warn!(execution = %self.row.id, ?call, again_in_ms = pause.as_millis() as u64, "{trouble}");
        } else {
            self.troubles = 0;
            self.retry_at = None;
        }
    }

    /// Takes a row that is not older than the one it has.
    pub fn take_row(&mut self, row: Execution) {
        if row.version >= self.row.version {
            if row.attempt != self.row.attempt {
                *self = Self::new(row);
                return;
            }
            // Somebody changed it: a cancel does not wait out a pause after trouble.
            if row.version > self.row.version {
                self.retry_at = None;
            }
            self.row = row;
        }
    }

    /// Whether trouble keeps it back at the moment.
    pub fn held_back(&self) -> bool {
        self.retry_at.is_some_and(|at| Instant::now() < at)
    }
}
