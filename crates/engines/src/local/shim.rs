//! The shim: a process of our own binary that supervises one local job and outlives the server.
//!
//! It is single-threaded and blocks its signals, so that nothing happens behind its back. It is child subreaper: whatever the
//! job forks and abandons comes back to it. SIGTERM means stop gently, and after `kill_grace` it goes on by itself; SIGUSR1
//! means stop hard now. The exit record is written only when waitpid says that no descendant is left.

use std::{
    io,
    os::{fd::AsFd, unix::process::CommandExt, unix::process::ExitStatusExt},
    path::Path,
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
    process::{Pid, Signal, WaitOptions, kill_process_group, set_child_subreaper, setsid, wait},
    time::{ClockId, clock_gettime},
};

use super::{
    attempt::{Attempt, Decision, ExitRecord, Spec},
    cgroup,
    limit::LimitedLog,
    pig,
    processes::{Identity, TAG_VARIABLE, descendants, signal_all},
    raw,
};
use crate::failpoint;

/// How often the shim looks around without a signal.
const TICK: Duration = Duration::from_millis(200);
/// How often it kills while descendants are left after a hard stop.
const KILL_TICK: Duration = Duration::from_millis(20);

/// How a shim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It supervised the job to its end.
    Done,
    /// Another shim of the attempt lives.
    NotTheFirst,
    /// The launch was ruled out, or happened before.
    Decided,
}

impl Ending {
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::NotTheFirst => 3,
            Self::Decided => 4,
        }
    }
}

/// Supervises the job of an attempt folder.
pub(super) fn run(folder: &Path) -> io::Result<Ending> {
    raw::close_inherited()?;
    // Away from the server's terminal and session; the session's number also names what is left when this process is killed.
    setsid()?;
    let attempt = Attempt::at(folder);
    let spec = attempt.spec()?.ok_or_else(|| io::Error::other("there is no launch.json"))?;
    let Some(lock) = attempt.lock()? else { return Ok(Ending::NotTheFirst) };
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let signals = blocked_signals()?;
    attempt.reserve_exit()?;
    let mut streams = [
        LimitedLog::open(&spec.logs, "stdout", spec.log_limit)?,
        LimitedLog::open(&spec.logs, "stderr", spec.log_limit)?,
    ];
    failpoint::pass("shim.before_decision");
    let me = Decision::Launch(Identity::of_self()?);
    if attempt.decide(&me)? != me {
        return Ok(Ending::Decided);
    }
    failpoint::pass("shim.after_decision");
    let started = now();
    let mut record = match spawn(folder, &spec, &streams) {
        Ok(main) => supervise(&spec, main, &signals, &mut streams)?,
        Err(error) => ExitRecord { fault: Some(format!("cannot fork: {error}")), ..ExitRecord::default() },
    };
    if let Ok(text) = std::fs::read_to_string(attempt.fault_file()) {
        record.fault = Some(text.trim_end().to_owned());
    }
    if spec.is_pig && record.exit_code.is_some_and(|code| code != 0) && record.fault.is_none() {
        record.fault = pig::reason(&spec.logs.join("stderr"));
    }
    record.started_at = Some(started);
    record.ended_at = Some(now());
    record.usage = usage();
    if let Some(group) = &spec.cgroup {
        cgroup::remove(group);
    }
    if let Err(error) = spec.clear_litter() {
        tell(&format!("what the job left unfinished cannot be removed: {error}"));
    }
    failpoint::pass("shim.before_exit_record");
    attempt.end(&record)?;
    if let Err(error) = attempt.strip(&spec) {
        tell(&format!("launch.json cannot be shortened: {error}"));
    }
    // Held until the record is in place: a free lock without a record means that the shim was killed.
    drop(lock);
    Ok(Ending::Done)
}

/// A line for the shim's own log.
fn tell(line: &str) {
    // Where it cannot be written there is nobody to tell.
    let _ = io::Write::write_all(&mut io::stderr(), format!("{line}\n").as_bytes());
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Time since boot that also counts while the host sleeps.
fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
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

/// Starts the second stage of this binary, which becomes the job (see [`super::exec`]). The link in /proc is right even when
/// the file was replaced meanwhile.
fn spawn(folder: &Path, spec: &Spec, streams: &[LimitedLog; 2]) -> io::Result<i32> {
    let child = Command::new("/proc/self/exe")
        .arg0("foggara")
        .args(["shim", "--exec"])
        .arg(folder)
        // The stage is the job's already: a look by tag finds it.
        .env(TAG_VARIABLE, &spec.tag)
        .stdin(Stdio::null())
        .stdout(streams[0].handle()?)
        .stderr(streams[1].handle()?)
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

fn supervise(spec: &Spec, main: i32, signals: &SignalFd, streams: &mut [LimitedLog; 2]) -> io::Result<ExitRecord> {
    let grace = Duration::from_millis(spec.kill_grace_ms);
    let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let mut stopping = Stopping::No;
    let mut record = ExitRecord::default();
    let mut main_status: Option<ExitStatus> = None;
    let limit = spec.limit_ms.map(Duration::from_millis);
    let began = boottime();
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
        if let Some(limit) = limit.filter(|limit| boottime().saturating_sub(began) >= *limit)
            && main_status.is_none()
            && stopping == Stopping::No
        {
            record.fault = Some(format!("stopped: it took longer than {} s", limit.as_secs()));
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
        check(streams);
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
    check(streams);
    if let Some(status) = main_status {
        record.exit_code = status.code();
        record.signal = status.signal();
    }
    Ok(record)
}

fn check(streams: &mut [LimitedLog; 2]) {
    for stream in streams {
        // A log that cannot be cut is no reason to leave the job alone.
        let _ = stream.check();
    }
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

/// A look that fails is repeated: a hard stop goes on until nobody is left, a gentle one becomes hard.
fn signal_tree(own: i32, main: i32, signal: Signal) {
    let tree = match descendants(own) {
        Ok(tree) => tree,
        Err(error) => return tell(&format!("the job's processes cannot be looked for: {error}")),
    };
    // The job leads a group of its own, whose number is its pid as long as it lives.
    if tree.iter().any(|found| found.pid == main)
        && let Some(group) = Pid::from_raw(main)
    {
        let _ = kill_process_group(group, signal);
    }
    if let Err(error) = signal_all(&tree, signal) {
        tell(&format!("a process of the job cannot be signalled: {error}"));
    }
}

fn wait_for_signal(signals: &SignalFd, longest: Duration) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(longest.subsec_nanos()) };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
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
