//! The second stage of the shim: a process that prepares itself and then becomes the job. The preparation happens in a process
//! of its own after exec, not between fork and exec, so it is ordinary code.

use std::{
    convert::Infallible,
    env,
    ffi::CString,
    fs,
    io::{self, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::signal::SigSet, unistd::execve};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setpgid, setrlimit,
};

use super::{
    attempt::{Attempt, Decision, Spec},
    cgroup,
    processes::TAG_VARIABLE,
    raw,
};

/// How much sooner the kernel should take a job than the service when memory runs out.
const OOM_SCORE: &str = "300";
/// How long a program's file may still be held open for writing.
const BUSY_FOR: Duration = Duration::from_secs(2);

/// Becomes the job of an attempt folder; returns only when that fails, with the exit code to end with.
pub(super) fn run(folder: &Path) -> i32 {
    let attempt = Attempt::at(folder);
    let failed = match become_job(&attempt) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // The shim puts it into the exit record; the job's own log has it too.
    let _ = fs::write(attempt.fault_file(), failed.to_string());
    let _ = writeln!(io::stderr(), "{failed}");
    // As shells do: 127 when it is not there, 126 when it is and cannot be run.
    if failed.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

fn become_job(attempt: &Attempt) -> io::Result<Infallible> {
    let spec = attempt.spec()?.ok_or_else(|| io::Error::other("there is no launch.json"))?;
    prepare(attempt, &spec)?;
    let program = spec.argv.first().ok_or_else(|| io::Error::other("there is no program to run"))?;
    let words = |words: &mut dyn Iterator<Item = String>| -> io::Result<Vec<CString>> {
        words.map(|word| CString::new(word).map_err(io::Error::from)).collect()
    };
    let path = CString::new(program.as_str())?;
    let args = words(&mut spec.argv.iter().cloned())?;
    let tag = [(TAG_VARIABLE, &spec.tag)];
    let pairs = spec.env.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| *key != TAG_VARIABLE);
    let env = words(&mut pairs.chain(tag).map(|(key, value)| format!("{key}={value}")))?;
    raw::signals_as_usual()?;
    let began = Instant::now();
    loop {
        let Err(failed) = execve(&path, &args, &env);
        // A process that the server forked while the file was written may not have closed it yet.
        if failed == Errno::ETXTBSY && began.elapsed() < BUSY_FOR {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        let failed = io::Error::from(failed);
        return Err(io::Error::new(failed.kind(), format!("cannot run {program}: {failed}")));
    }
}

fn prepare(attempt: &Attempt, spec: &Spec) -> io::Result<()> {
    // The shim blocks its signals, and a mask goes through exec.
    SigSet::all().thread_unblock()?;
    setpgid(None, None)?;
    // When the shim is killed, so is the job itself; what it forked is found by its tag.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Asked for after that, since the shim may have been killed before.
    let parent = getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
    if !matches!(attempt.decision()?, Some(Decision::Launch(shim)) if shim.pid == parent) {
        return Err(io::Error::other("the supervisor is gone"));
    }
    // Best effort: a container may forbid it.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    // No core dumps of other people's data.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum })?;
    if let Some(mb) = spec.memory_mb {
        // Data and private mappings: what a process can fill. Reserved address space, of which a JVM takes much, does not count.
        let bytes = Some(mb.saturating_mul(1024 * 1024));
        setrlimit(Resource::Data, Rlimit { current: bytes, maximum: bytes })?;
    }
    if let Some(group) = &spec.cgroup {
        // Best effort too: the job can be stopped without it.
        let _ = cgroup::enter(group);
    }
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", spec.cwd.display()));
    env::set_current_dir(&spec.cwd).map_err(failed)
}
