//! Rings when a supervisor ends: a pidfd per live shim, so that the end of a job is seen at once, also of one that an earlier
//! server started. One thread waits for all of them together.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};

use foggara_domain::Tag;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
};
use tokio::sync::Notify;

use super::processes::Identity;

/// Stack of the waiting thread: it only waits.
const STACK: usize = 64 * 1024;
/// So many ends are taken at once.
const ENDS: usize = 256;
/// How long the thread may outlive its engine.
const LINGER: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The watched supervisors.
#[derive(Clone)]
pub(super) struct Watch {
    bell: Bell,
    waiting: Arc<Mutex<Option<Arc<Waiting>>>>,
}

/// What is told of an end.
#[derive(Clone)]
struct Bell {
    rings: Arc<Notify>,
    followed: Arc<Mutex<BTreeSet<Tag>>>,
}

/// What the thread waits for.
struct Waiting {
    epoll: OwnedFd,
    handles: Mutex<Handles>,
}

/// Handles by the number under which the kernel tells of them.
#[derive(Default)]
struct Handles {
    last: u64,
    of: BTreeMap<u64, (Tag, OwnedFd)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    pub fn new() -> Self {
        let bell = Bell { rings: Arc::new(Notify::new()), followed: Arc::default() };
        Self { bell, waiting: Arc::default() }
    }

    pub fn rings(&self) -> Arc<Notify> {
        Arc::clone(&self.bell.rings)
    }

    /// Rings once when the process is gone. It may be called again and again.
    pub fn follow(&self, tag: &Tag, identity: &Identity) {
        if !lock(&self.bell.followed).insert(tag.clone()) {
            return;
        }
        let watched = match identity.open() {
            Ok(Some(handle)) => self.waiting().and_then(|waiting| waiting.add(tag, handle)),
            Ok(None) => return self.bell.ring(tag),
            Err(error) => Err(error),
        };
        if let Err(error) = watched {
            tracing::warn!(%tag, "the job cannot be watched, it is polled: {error}");
            self.leave(tag);
        }
    }

    /// Nothing is expected of it any more.
    pub fn leave(&self, tag: &Tag) {
        self.bell.leave(tag);
    }

    /// Begins to wait with the first that is followed.
    fn waiting(&self) -> io::Result<Arc<Waiting>> {
        let mut place = lock(&self.waiting);
        if let Some(waiting) = &*place {
            return Ok(Arc::clone(waiting));
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waiting = Arc::new(Waiting { epoll, handles: Mutex::default() });
        let (weak, bell) = (Arc::downgrade(&waiting), self.bell.clone());
        let thread = thread::Builder::new().name("foggara-watch".to_owned()).stack_size(STACK);
        thread.spawn(move || wait(&weak, &bell))?;
        *place = Some(Arc::clone(&waiting));
        Ok(waiting)
    }
}

impl Bell {
    fn ring(&self, tag: &Tag) {
        self.leave(tag);
        self.rings.notify_one();
    }

    fn leave(&self, tag: &Tag) {
        lock(&self.followed).remove(tag);
    }
}

impl Waiting {
    fn add(&self, tag: &Tag, handle: OwnedFd) -> io::Result<()> {
        let mut handles = lock(&self.handles);
        handles.last += 1;
        let number = handles.last;
        // Readable means that the process ended.
        epoll::add(&self.epoll, &handle, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        handles.of.insert(number, (tag.clone(), handle));
        Ok(())
    }
}

/// Waits for ends until the engine is gone. The owner's poll finds what is missed after an error.
fn wait(waiting: &Weak<Waiting>, bell: &Bell) {
    let mut ends = Vec::with_capacity(ENDS);
    while let Some(waiting) = waiting.upgrade() {
        ends.clear();
        match epoll::wait(&waiting.epoll, spare_capacity(&mut ends), Some(&LINGER)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return tracing::warn!("ends of jobs are not told any more, they are polled: {error}"),
        }
        for end in &ends {
            // A handle that is closed is not waited for any more.
            if let Some((tag, _)) = lock(&waiting.handles).of.remove(&end.data.u64()) {
                bell.ring(&tag);
            }
        }
    }
}
