//! What the safe interfaces do not offer: giving up what the process got from whoever started it.
#![allow(
    unsafe_code,
    reason = "closing inherited file handles and resetting signals are unsafe calls; they are only here"
)]

use std::{
    fs, io,
    os::fd::{FromRawFd, OwnedFd},
};

use nix::sys::signal::{SigHandler, Signal, signal};

/// Closes every file handle but stdin, stdout and stderr. A job must not hold what the server's starter had open: a lock, or
/// the pipe whose end somebody waits for. To be called first, when this process has opened nothing.
pub(super) fn close_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        if let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) {
            open.push(fd);
        }
    }
    // The folder itself was among them, and is closed by now.
    for fd in open.into_iter().filter(|fd| *fd > 2 && fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok()) {
        // SAFETY: it is open, and nobody in this process knows it: the process has only begun.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    Ok(())
}

/// Gives every signal its usual effect, as programs expect it: the runtime of this one ignores SIGPIPE, and whoever started the
/// server may have ignored others (`nohup`); that goes through exec.
pub(super) fn signals_as_usual() -> io::Result<()> {
    for one in Signal::iterator().filter(|one| !matches!(one, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: no handler function is installed.
        unsafe { signal(one, SigHandler::SigDfl) }?;
    }
    Ok(())
}
