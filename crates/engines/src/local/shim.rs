//! The shim: a process of our own binary that supervises one local job and outlives the server.
//!
//! It is single-threaded and blocks its signals, so that nothing happens behind its back. It is child subreaper: whatever the
//! job forks and abandons comes back to it. SIGTERM means stop gently, and after `kill_grace` it goes on by itself; SIGUSR1
//! means stop hard now. The exit record is written only when waitpid says that no descendant is left.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::{
            fs::{FileExt, OpenOptionsExt},
            process::ExitStatusExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use foggara_domain::{Timestamp, execution::Usage};
use nix::sys::{
    resource::{UsageWho, getrusage},
    signal::{SigSet, Signal as NixSignal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FallocateFlags, FlockOperation, fallocate, flock},
    process::{Pid, Signal, WaitOptions, kill_process_group, set_child_subreaper, setsid, wait},
};

use super::{
    attempt::{Attempt, Decision, ExitRecord, Spec},
    cgroup, logs,
    processes::{Identity, descendants, signal_all},
};
use crate::failpoint;

/// How often the shim looks around without a signal.
const TICK: Duration = Duration::from_millis(200);
/// How often it kills while descendants are left after a hard stop.
const KILL_TICK: Duration = Duration::from_millis(20);

/// Supervises the job of an attempt folder. The exit code says whether this shim was the one (0) or not.
pub(super) fn run(folder: &Path) -> io::Result<i32> {
    let attempt = Attempt::at(folder);
    let spec = attempt.spec()?.ok_or_else(|| io::Error::other("there is no launch.json"))?;
    // Fails when it is a leader already, and then it needs none.
    let _ = setsid();
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(attempt.lock_file())?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(3);
    }
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let signals = blocked_signals()?;
    attempt.reserve_exit()?;
    let streams = [open_log(&spec, "stdout")?, open_log(&spec, "stderr")?];
    failpoint::pass("shim.before_decision");
    let me = Decision::Launch(Identity::of_self()?);
    if attempt.decide(&me)? != me {
        return Ok(4);
    }
    failpoint::pass("shim.after_decision");
    let started = now();
    let mut record = match spawn(folder, &streams) {
        Ok(main) => supervise(&spec, main, &signals, &streams)?,
        Err(error) => ExitRecord { exec_error: Some(format!("cannot fork: {error}")), ..ExitRecord::default() },
    };
    if let Ok(text) = std::fs::read_to_string(attempt.exec_error_file()) {
        record.exec_error = Some(text);
    }
    record.started_at = Some(started);
    record.ended_at = Some(now());
    record.usage = usage();
    if let Some(group) = &spec.cgroup {
        cgroup::remove(group);
    }
    failpoint::pass("shim.before_exit_record");
    attempt.end(&record)?;
    drop(lock);
    Ok(0)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn blocked_signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [
        NixSignal::SIGTERM,
        NixSignal::SIGUSR1,
        NixSignal::SIGCHLD,
        NixSignal::SIGINT,
        NixSignal::SIGHUP,
        NixSignal::SIGQUIT,
    ] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

struct LogFile {
    path: PathBuf,
    file: File,
}

fn open_log(spec: &Spec, name: &str) -> io::Result<LogFile> {
    std::fs::create_dir_all(&spec.logs)?;
    let path = spec.logs.join(name);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    Ok(LogFile { path, file })
}

/// Starts the second stage of this binary, which becomes the job (see [`super::exec`]).
fn spawn(folder: &Path, streams: &[LogFile; 2]) -> io::Result<i32> {
    let child = Command::new(std::env::current_exe()?)
        .args(["shim", "--exec"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(streams[0].file.try_clone()?)
        .stderr(streams[1].file.try_clone()?)
        .spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// How far a stop has gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    /// SIGTERM was sent; hard at this time.
    Gently(Instant),
    Hard,
}

fn supervise(spec: &Spec, main: i32, signals: &SignalFd, streams: &[LogFile; 2]) -> io::Result<ExitRecord> {
    let grace = Duration::from_millis(spec.kill_grace_ms);
    let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let mut stopping = Stopping::No;
    let mut record = ExitRecord::default();
    let mut main_status: Option<ExitStatus> = None;
    let mut limiter = streams.each_ref().map(|stream| Limiter { stream, limit: spec.log_limit, holed_to: 0 });
    loop {
        let left = reap(main, &mut main_status)?;
        if !left {
            if spec.cgroup.as_deref().is_some_and(cgroup::is_populated) {
                // Somebody escaped the tree but not the group.
                stopping = Stopping::Hard;
            } else {
                break;
            }
        }
        if left && main_status.is_some() && stopping == Stopping::No {
            // The job is over; what it left behind goes with it.
            stop_gently(own, main);
            stopping = Stopping::Gently(Instant::now() + grace);
        }
        if let Stopping::Gently(until) = stopping
            && Instant::now() >= until
        {
            stopping = Stopping::Hard;
        }
        if stopping == Stopping::Hard {
            record.killed_hard = true;
            stop_hard(own, main, spec.cgroup.as_deref());
        }
        for stream in &mut limiter {
            stream.check();
        }
        wait_for_signal(signals, if stopping == Stopping::Hard { KILL_TICK } else { TICK })?;
        while let Some(info) = signals.read_signal()? {
            match NixSignal::try_from(i32::try_from(info.ssi_signo).unwrap_or(0)) {
                Ok(NixSignal::SIGUSR1) => {
                    record.stopped |= main_status.is_none();
                    stopping = Stopping::Hard;
                }
                Ok(NixSignal::SIGTERM | NixSignal::SIGINT | NixSignal::SIGHUP | NixSignal::SIGQUIT) => {
                    record.stopped |= main_status.is_none();
                    if stopping == Stopping::No {
                        stop_gently(own, main);
                        stopping = Stopping::Gently(Instant::now() + grace);
                    }
                }
                _ => {}
            }
        }
    }
    for stream in &mut limiter {
        stream.check();
    }
    if let Some(status) = main_status {
        record.exit_code = status.code();
        record.signal = status.signal();
    }
    Ok(record)
}

/// Reaps what has ended; false when no child is left.
fn reap(main: i32, main_status: &mut Option<ExitStatus>) -> io::Result<bool> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if pid.as_raw_nonzero().get() == main {
                    *main_status = Some(ExitStatus::from_raw(status.as_raw()));
                }
            }
            Ok(None) => return Ok(true),
            Err(rustix::io::Errno::CHILD) => return Ok(false),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// SIGTERM to the job's group and to every descendant that left it; a stopped one is woken so that it can hear.
fn stop_gently(own: i32, main: i32) {
    signal_tree(own, main, Signal::TERM);
    signal_tree(own, main, Signal::CONT);
}

fn stop_hard(own: i32, main: i32, group: Option<&Path>) {
    if let Some(group) = group {
        // What this cannot do, the signals do.
        let _ = cgroup::kill(group);
    }
    signal_tree(own, main, Signal::KILL);
}

fn signal_tree(own: i32, main: i32, signal: Signal) {
    // The job is the leader of its own group; the group is ours as long as one of our descendants is in it.
    let tree = descendants(own);
    if tree.contains(&main)
        && let Some(group) = Pid::from_raw(main)
    {
        let _ = kill_process_group(group, signal);
    }
    signal_all(&tree, signal);
}

fn wait_for_signal(signals: &SignalFd, longest: Duration) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(longest.subsec_nanos()) };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps a log within its limit: the middle is cut out of the file (its blocks are given back), head and tail stay where
/// they are, so that offsets stay true.
struct Limiter<'a> {
    stream: &'a LogFile,
    limit: u64,
    holed_to: u64,
}

impl Limiter<'_> {
    fn check(&mut self) {
        let Ok(size) = self.stream.file.metadata().map(|metadata| metadata.len()) else { return };
        let half = self.limit / 2;
        let to = size.saturating_sub(half);
        // Cut only when a good piece has gathered.
        if size <= self.limit || to < self.holed_to.saturating_add(self.limit / 16) {
            return;
        }
        let hole = logs::Hole { from: half, to };
        let cut = OpenOptions::new().write(true).open(&self.stream.path).and_then(|file| {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            match fallocate(&file, flags, half, to - half) {
                Ok(()) => Ok(()),
                // A filesystem without holes: overwrite nothing, there is no way to give room back.
                Err(error) => file.write_at(&[], 0).and(Err(error.into())),
            }
        });
        if cut.is_ok() && hole.save(&self.stream.path).is_ok() {
            self.holed_to = to;
        }
    }
}

/// What all descendants together used, as far as they were waited for.
fn usage() -> Option<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    #[allow(clippy::cast_precision_loss, reason = "seconds for a person")]
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(Usage {
        user_seconds: seconds(usage.user_time()),
        system_seconds: seconds(usage.system_time()),
        max_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or(0).saturating_mul(1024),
    })
}
