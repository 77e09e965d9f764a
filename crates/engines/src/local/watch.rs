//! Rings when a supervisor ends: a pidfd per live shim, so that the end of a job is seen at once, also of one that an earlier
//! server started.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use foggara_domain::Tag;
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::processes::Identity;

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
        let Some(fd) = identity.open() else {
            self.leave(tag);
            self.rings.notify_one();
            return;
        };
        let (watch, tag) = (self.clone(), tag.clone());
        tokio::spawn(async move {
            if let Ok(fd) = AsyncFd::register_with_interest(fd, Interest::READABLE) {
                // Readable means that the process ended; an error means that the poll has to find out.
                let _ = fd.readable().await;
            }
            watch.leave(&tag);
            watch.rings.notify_one();
        });
    }

    /// Nothing is expected of it any more.
    pub fn leave(&self, tag: &Tag) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(tag);
    }
}
