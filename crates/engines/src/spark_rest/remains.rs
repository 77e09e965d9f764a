//! Processes that a driver leaves on this host: Spark kills the driver's JVM, and calls the driver ended, whatever it started.

use std::{collections::BTreeMap, collections::BTreeSet, io};

use foggara_domain::Tag;
use rustix::process::Signal;

use crate::{
    EngineError,
    local::{Found, signal_all, tagged},
};

/// Processes of this host by the job whose tag they carry.
#[derive(Default)]
pub(super) struct Remains(BTreeMap<String, BTreeSet<Found>>);

impl Remains {
    /// Looks at all processes.
    pub async fn look() -> Result<Self, EngineError> {
        let found = tokio::task::spawn_blocking(|| tagged("")).await;
        let found = found.map_err(io::Error::other).and_then(|found| found);
        found.map(Self).map_err(|error| EngineError::Unreachable(format!("/proc: {error}")))
    }

    /// Whether something of a job lives.
    pub fn has(&self, tag: &Tag) -> bool {
        self.0.contains_key(tag.as_str())
    }

    /// Ends what lives of a job. What cannot be ended is there at the next look.
    pub fn kill(&self, tag: &Tag) {
        if let Some(found) = self.0.get(tag.as_str())
            && let Err(error) = signal_all(found, Signal::KILL)
        {
            tracing::warn!(%tag, "what a driver left behind cannot be killed: {error}");
        }
    }
}
