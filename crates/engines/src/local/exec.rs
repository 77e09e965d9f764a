//! The second stage of the shim: a process that prepares itself and then becomes the job. Everything here is ordinary safe
//! code because the preparation happens before exec in a process of its own, not between fork and exec.

use std::{fs, io, os::unix::process::CommandExt, path::Path, process::Command};

use nix::sys::signal::SigSet;
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setpgid, setrlimit,
};

use super::{
    attempt::{Attempt, Spec},
    cgroup,
    processes::TAG_VARIABLE,
};

/// How much sooner the kernel should take a job than the service when memory runs out.
const OOM_SCORE: &str = "300";

/// Becomes the job of an attempt folder; returns only when that fails, with the exit code to end with.
pub(super) fn run(folder: &Path) -> i32 {
    let attempt = Attempt::at(folder);
    let failed = match attempt.spec() {
        Ok(Some(spec)) => become_job(&spec),
        Ok(None) => io::Error::other("there is no launch.json"),
        Err(error) => error,
    };
    let code = if failed.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    // The shim puts it into the exit record.
    let _ = fs::write(attempt.exec_error_file(), failed.to_string());
    code
}

fn become_job(spec: &Spec) -> io::Error {
    if let Err(error) = prepare(spec) {
        return error;
    }
    let Some((program, args)) = spec.argv.split_first() else { return io::Error::other("there is no program to run") };
    let failed = Command::new(program)
        .args(args)
        .env_clear()
        .envs(&spec.env)
        .env(TAG_VARIABLE, &spec.tag)
        .current_dir(&spec.cwd)
        .exec();
    io::Error::new(failed.kind(), format!("cannot run {program}: {failed}"))
}

fn prepare(spec: &Spec) -> io::Result<()> {
    // The shim blocks its signals, and a mask goes through exec.
    SigSet::all().thread_unblock()?;
    setpgid(None, None)?;
    // When the shim is killed, so is the job itself; what it forked is found by its tag.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() == 1) {
        return Err(io::Error::other("the supervisor is gone"));
    }
    // Best effort: a container may forbid it.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    // No core dumps of other people's data.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum })?;
    if let Some(group) = &spec.cgroup {
        cgroup::enter(group)?;
    }
    Ok(())
}
