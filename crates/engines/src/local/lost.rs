//! Jobs whose supervisor was killed. Its direct child died with it (PDEATHSIG); whatever else the job forked is found by its
//! tag, its session or its control group, and stopped: first gently, then hard, until two looks in a row find nothing.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    cgroup,
    processes::{Identity, remains, signal_all},
};
use crate::Stop;

/// How far the pursuit of one job has come.
#[derive(Debug, Default)]
pub(super) struct Lost {
    first_stop: Option<Instant>,
    empty_looks: u32,
    /// Somebody asked for a stop meanwhile, and how.
    pub asked: Option<Stop>,
}

impl Lost {
    /// One step; true when nothing is left. A look that fails says nothing.
    pub fn pursue(
        &mut self,
        tag: &str,
        supervisor: &Identity,
        group: Option<&Path>,
        grace: Duration,
    ) -> io::Result<bool> {
        let left = remains(tag, supervisor)?;
        if left.is_empty() && !group.is_some_and(cgroup::is_populated) {
            self.empty_looks += 1;
            if self.empty_looks >= 2 {
                if let Some(group) = group {
                    cgroup::remove(group);
                }
                return Ok(true);
            }
            return Ok(false);
        }
        self.empty_looks = 0;
        let now = Instant::now();
        let first = *self.first_stop.get_or_insert(now);
        if self.asked == Some(Stop::Hard) || now.duration_since(first) >= grace {
            if let Some(group) = group {
                // What this cannot do, the signals do.
                let _ = cgroup::kill(group);
            }
            signal_all(&left, Signal::KILL)?;
        } else {
            signal_all(&left, Signal::TERM)?;
            signal_all(&left, Signal::CONT)?;
        }
        Ok(false)
    }
}
