//! Named places where a test makes the program kill itself with SIGKILL; empty unless the feature `failpoints` is on.
//!
//! A test sets `FOGGARA_FAILPOINT=<name>[:<n>]` (die at the n-th passing, default 1) and `FOGGARA_FAILPOINT_MARK=<file>`;
//! the file is written before the end, so that the test can assert that its point was reached.

/// Passes the named point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_name: &str) {}

/// Passes the named point: the process ends here when the environment asks for it.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("FOGGARA_FAILPOINT") else { return };
    let (point, count) = wanted.split_once(':').map_or((wanted.as_str(), 1), |(p, n)| (p, n.parse().unwrap_or(1)));
    if point != name || PASSED.fetch_add(1, Ordering::SeqCst) + 1 != count {
        return;
    }
    if let Ok(mark) = std::env::var("FOGGARA_FAILPOINT_MARK") {
        let _ = std::fs::write(mark, name);
    }
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
