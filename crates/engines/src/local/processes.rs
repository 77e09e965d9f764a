//! Processes by way of /proc: who a process is, who descends from whom, who carries a tag. A pid alone is never trusted: it
//! is compared with the start time and the boot id, and signalled by a handle that was opened before the comparison.
//!
//! A look that fails (no file handles are left, say) is an error and never "there is nobody": on that word a job would be
//! called gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::OwnedFd,
    sync::OnceLock,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
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

/// A process as a look at /proc found it in this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Process id.
    pub pid: i32,
    start_time: u64,
}

/// The present boot. Read once: it cannot change, and a failure later on must not look like a restart of the host.
pub(super) fn boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT.get() {
        return Ok(id);
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| text.trim().to_owned()))
}

struct Stat {
    state: char,
    parent: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    /// A zombie only waits for its parent.
    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// The process went away between two looks, or is another user's.
fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Reads /proc/<pid>/stat; nothing when there is no such process, or none that we may see.
fn stat(pid: i32) -> io::Result<Option<Stat>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => {
            parse(&text).map(Some).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not understood")))
        }
        Err(error) if is_none_of_ours(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of the program may hold anything, so the fields are counted from its last parenthesis.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// A handle on a process, if it is the one that started then.
fn open(pid: i32, start_time: u64) -> io::Result<Option<OwnedFd>> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
    let handle = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Compared after the handle was opened: the handle stays with the process that it was opened for.
    Ok(stat(pid)?.filter(|stat| stat.start_time == start_time).map(|_| handle))
}

fn send(handle: &OwnedFd, signal: Signal) -> io::Result<bool> {
    match pidfd_send_signal(handle, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Identity {
    /// The calling process.
    pub fn of_self() -> io::Result<Self> {
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let stat = stat(pid)?.ok_or_else(|| io::Error::other("/proc does not show this process"))?;
        Ok(Self { pid, start_time: stat.start_time, boot_id: boot_id()?.to_owned() })
    }

    /// A handle on it; nothing when it is gone.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.boot_id != boot_id()? { Ok(None) } else { open(self.pid, self.start_time) }
    }

    /// Signals it; false when it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        self.open()?.map_or(Ok(false), |handle| send(&handle, signal))
    }
}

impl Found {
    /// Signals it, if it is still that process.
    fn signal(self, signal: Signal) -> io::Result<()> {
        open(self.pid, self.start_time)?.map_or(Ok(false), |handle| send(&handle, signal)).map(|_| ())
    }
}

fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// All living descendants of a process.
pub(super) fn descendants(root: i32) -> io::Result<BTreeSet<Found>> {
    let mut children: BTreeMap<i32, Vec<(Found, bool)>> = BTreeMap::new();
    for pid in pids()? {
        if let Some(stat) = stat(pid)? {
            let found = Found { pid, start_time: stat.start_time };
            children.entry(stat.parent).or_default().push((found, stat.is_alive()));
        }
    }
    let mut found = BTreeSet::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for (child, alive) in children.get(&parent).into_iter().flatten() {
            if *alive && found.insert(*child) {
                next.push(child.pid);
            }
        }
    }
    Ok(found)
}

/// Living processes that carry a tag with this prefix in their environment, by tag. The calling process is left out.
pub(crate) fn tagged(prefix: &str) -> io::Result<BTreeMap<String, BTreeSet<Found>>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let wanted = format!("{TAG_VARIABLE}={prefix}");
    let mut all: BTreeMap<String, BTreeSet<Found>> = BTreeMap::new();
    for pid in pids()?.into_iter().filter(|pid| *pid != own) {
        let environment = match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environment) => environment,
            Err(error) if is_none_of_ours(&error) => continue,
            Err(error) => return Err(error),
        };
        let variable = environment.split(|byte| *byte == 0).find(|variable| variable.starts_with(wanted.as_bytes()));
        let Some(variable) = variable else { continue };
        if let Some(stat) = stat(pid)?.filter(Stat::is_alive) {
            let tag = String::from_utf8_lossy(&variable[TAG_VARIABLE.len() + 1..]).into_owned();
            all.entry(tag).or_default().insert(Found { pid, start_time: stat.start_time });
        }
    }
    Ok(all)
}

/// What is left of a job whose supervisor is dead: whoever carries its tag, and whoever is still in its session.
pub(super) fn remains(tag: &str, supervisor: &Identity) -> io::Result<BTreeSet<Found>> {
    let mut found = tagged(tag)?.remove(tag).unwrap_or_default();
    // The number of a session is not given to a new process as long as somebody is in the session. Should the supervisor's pid
    // lead another session by now, then everybody of the old one had left.
    let reused = stat(supervisor.pid)?.is_some_and(|leader| leader.start_time != supervisor.start_time);
    // Read from /proc, not asked of getsid: in a container the leader may be outside of it, and its number is then 0, which
    // is no process id.
    let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let ours = stat(own)?.map_or(0, |stat| stat.session);
    if reused || ours == supervisor.pid {
        return Ok(found);
    }
    for pid in pids()? {
        let member = stat(pid)?.filter(|stat| {
            stat.session == supervisor.pid && stat.start_time >= supervisor.start_time && stat.is_alive()
        });
        if let Some(stat) = member {
            found.insert(Found { pid, start_time: stat.start_time });
        }
    }
    Ok(found)
}

/// Signals processes that were found this moment; one that is gone meanwhile is no trouble. The first trouble is told after
/// all were tried.
pub(crate) fn signal_all(all: &BTreeSet<Found>, signal: Signal) -> io::Result<()> {
    let mut outcome = Ok(());
    for found in all {
        outcome = outcome.and(found.signal(signal));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let me = Identity::of_self().expect("an identity");
        assert!(me.open().expect("asked").is_some());
        let other_start = Identity { start_time: me.start_time + 1, ..me.clone() };
        assert!(other_start.open().expect("asked").is_none(), "the same pid at another time is another process");
        let other_boot = Identity { boot_id: "x".to_owned(), ..me };
        assert!(other_boot.open().expect("asked").is_none());
    }

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = parse("7 (a) b) (c) S 4 5 6 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 987 0").expect("parsed");
        assert_eq!((stat.state, stat.parent, stat.session, stat.start_time), ('S', 4, 6, 987));
        assert!(parse("7 (x) S").is_none());
    }
}
