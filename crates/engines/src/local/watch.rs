//! Rings when a supervisor ends: a pidfd per live shim, so that the end of a job is seen at once, also of one that an earlier
//! server started. Each is waited for by a thread of its own; there are as many as jobs run.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use foggara_domain::Tag;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::Notify;

use super::processes::Identity;

/// Stack of a watching thread: it only waits.
const STACK: usize = 64 * 1024;

/// The watched supervisors.
#[derive(Clone)]
pub(super) struct Watch {
    rings: Arc<Notify>,
    followed: Arc<Mutex<BTreeSet<Tag>>>,
}

impl Watch {
    pub fn new() -> Self {
        Self { rings: Arc::new(Notify::new()), followed: Arc::default() }
    }

    pub fn rings(&self) -> Arc<Notify> {
        Arc::clone(&self.rings)
    }

    /// Rings once when the process is gone. It may be called again and again.
    pub fn follow(&self, tag: &Tag, identity: &Identity) {
        if !self.followed.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.clone()) {
            return;
        }
        let fd = match identity.open() {
            Ok(Some(fd)) => fd,
            Ok(None) => return self.ring(tag),
            Err(error) => {
                tracing::warn!(%tag, "no handle to watch the job, it is polled: {error}");
                return self.leave(tag);
            }
        };
        let (watch, key) = (self.clone(), tag.clone());
        let waiting = thread::Builder::new().name("foggara-watch".to_owned()).stack_size(STACK).spawn(move || {
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            // Readable means that the process ended. Interrupted: again; another error: the poll of the owner finds out.
            while matches!(poll(&mut fds, None), Err(rustix::io::Errno::INTR)) {}
            watch.ring(&key);
        });
        if let Err(error) = waiting {
            tracing::warn!(%tag, "no thread to watch the job, it is polled: {error}");
            self.leave(tag);
        }
    }

    fn ring(&self, tag: &Tag) {
        self.leave(tag);
        self.rings.notify_one();
    }

    /// Nothing is expected of it any more.
    pub fn leave(&self, tag: &Tag) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(tag);
    }
}
