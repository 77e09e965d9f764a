//! Jobs whose supervisor was killed. Its direct child died with it (PDEATHSIG); whatever else the job forked is found by its
//! tag, or by its control group, and stopped: first gently, then hard, until two looks in a row find nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use foggara_domain::Tag;
use rustix::process::Signal;

use super::{
    cgroup,
    processes::{signal_all, tagged},
};
use crate::Stop;

/// How far the pursuit of one job has come.
#[derive(Debug, Default)]
pub(super) struct Lost {
    first_stop: Option<Instant>,
    empty_looks: u32,
}

impl Lost {
    /// One step; true when nothing is left.
    pub fn pursue(&mut self, tag: &Tag, group: Option<&Path>, grace: Duration, how: Option<Stop>) -> bool {
        let left = tagged(tag.as_str()).remove(tag.as_str()).unwrap_or_default();
        if left.is_empty() && !group.is_some_and(cgroup::is_populated) {
            self.empty_looks += 1;
            if self.empty_looks >= 2 {
                if let Some(group) = group {
                    cgroup::remove(group);
                }
                return true;
            }
            return false;
        }
        self.empty_looks = 0;
        let now = Instant::now();
        let first = *self.first_stop.get_or_insert(now);
        if how == Some(Stop::Hard) || now.duration_since(first) >= grace {
            if let Some(group) = group {
                // What this cannot do, the signals do.
                let _ = cgroup::kill(group);
            }
            signal_all(&left, Signal::KILL);
        } else {
            signal_all(&left, Signal::TERM);
        }
        false
    }
}
