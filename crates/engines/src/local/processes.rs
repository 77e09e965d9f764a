//! Processes by way of /proc: who a process is, who descends from whom, who carries a tag. A pid alone is never trusted: it
//! is compared with start time and boot id.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::OwnedFd,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// Variable that every process of a job carries.
pub(super) const TAG_VARIABLE: &str = "FOGGARA_TAG";

/// A process beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of its stat).
    pub start_time: u64,
    /// Which boot.
    pub boot_id: String,
}

/// The present boot.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

struct Stat {
    state: char,
    parent: i32,
    start_time: u64,
}

/// Reads /proc/<pid>/stat. The name of the program may hold anything, so the fields are counted from its last parenthesis.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

impl Identity {
    /// The calling process.
    pub fn of_self() -> io::Result<Self> {
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let start_time = stat(pid).ok_or_else(|| io::Error::other("/proc/self/stat cannot be read"))?.start_time;
        Ok(Self { pid, start_time, boot_id: boot_id() })
    }

    /// A handle on it, if it is still that process.
    pub fn open(&self) -> Option<OwnedFd> {
        if self.boot_id != boot_id() {
            return None;
        }
        let fd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Compared after the handle was opened: the handle stays with the process that it was opened for.
        (stat(self.pid)?.start_time == self.start_time).then_some(fd)
    }

    /// Signals it; false when it is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        self.open().is_some_and(|fd| pidfd_send_signal(fd, signal).is_ok())
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All living descendants of a process; zombies, which only wait for their parent, are left out.
pub(super) fn descendants(root: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<(i32, char)>> = BTreeMap::new();
    for pid in pids() {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push((pid, stat.state));
        }
    }
    let mut found = BTreeSet::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for (pid, state) in children.get(&parent).into_iter().flatten() {
            if !matches!(state, 'Z' | 'X') && found.insert(*pid) {
                next.push(*pid);
            }
        }
    }
    found
}

/// Living processes that carry a tag with this prefix in their environment, by tag. The calling process is left out.
pub(super) fn tagged(prefix: &str) -> BTreeMap<String, BTreeSet<i32>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let wanted = format!("{TAG_VARIABLE}={prefix}");
    let mut found: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for pid in pids().filter(|pid| *pid != own) {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let variable = environment.split(|byte| *byte == 0).find(|variable| variable.starts_with(wanted.as_bytes()));
        let Some(variable) = variable else { continue };
        if stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X')) {
            continue;
        }
        let tag = String::from_utf8_lossy(&variable[TAG_VARIABLE.len() + 1..]).into_owned();
        found.entry(tag).or_default().insert(pid);
    }
    found
}

/// Signals processes that were found this moment; one that is gone meanwhile is no trouble.
pub(super) fn signal_all(pids: &BTreeSet<i32>, signal: Signal) {
    for pid in pids {
        if let Some(pid) = Pid::from_raw(*pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let me = Identity::of_self().expect("an identity");
        assert!(me.open().is_some());
        let other_start = Identity { start_time: me.start_time + 1, ..me.clone() };
        assert!(other_start.open().is_none(), "the same pid at another time is another process");
        let other_boot = Identity { boot_id: "x".to_owned(), ..me };
        assert!(other_boot.open().is_none());
    }
}
