//! The copying itself: several files at once, progress and counters on stdout.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foggara_domain::{execution::Progress, plan::CopyOptions};
use foggara_engines::local::tell_progress;
use futures::{StreamExt, stream};
use tokio::{
    sync::Semaphore,
    time::{Instant, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    Fault, GIVE_UP, Places,
    file::Copying,
    layout::{Item, Layout},
    shown,
};
use crate::cmd::print;

/// More files than these are not copied at once, whatever `-m` says: each takes handles and memory of this host.
const MOST_AT_ONCE: usize = 64;
/// Name of the counters, as Hadoop prints it.
const COUNTERS: &str = "DistCp Counters";
/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// What was done, as Hadoop counts it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of all files so far, of unfinished ones too.
    pub moved: Arc<AtomicU64>,
    /// Bytes of finished files.
    pub bytes: AtomicU64,
    pub copied: AtomicU64,
    skipped: u64,
    bytes_skipped: u64,
    failed: u64,
    deleted: u64,
}

impl Counters {
    /// The counters by Hadoop's names, in its order.
    fn named(&self, expected: u64) -> [(&'static str, u64); 7] {
        [
            ("Bytes Copied", self.bytes.load(Ordering::Relaxed)),
            ("Bytes Expected", expected),
            ("Bytes Skipped", self.bytes_skipped),
            ("Files Copied", self.copied.load(Ordering::Relaxed)),
            ("Files Skipped", self.skipped),
            ("Files Failed", self.failed),
            ("Files Deleted", self.deleted),
        ]
    }

    /// How far it is: by bytes, and by files where all are empty.
    fn progress(&self, expected: u64, files: usize, is_over: bool) -> Progress {
        let part = match (expected, files) {
            _ if is_over => 1.0,
            (0, 0) => 0.0,
            (0, files) => self.copied.load(Ordering::Relaxed) as f64 / files as f64,
            (expected, _) => self.moved.load(Ordering::Relaxed) as f64 / expected as f64,
        };
        let counted = |(name, value): (&str, u64)| (name.to_owned(), i64::try_from(value).unwrap_or(i64::MAX));
        let counters = [(COUNTERS.to_owned(), self.named(expected).map(counted).into())].into();
        Progress { counters, ..Progress::of(100.0 * part) }
    }
}

pub(super) fn tell(line: &str) -> Result<(), Fault> {
    print(&format!("{line}\n")).map_err(|error| format!("the output cannot be written: {error:#}"))
}

/// Copies what is not skipped, then removes the surplus. The error is the first failure.
pub(super) async fn run(
    places: &Places,
    layout: Layout,
    options: CopyOptions,
    stop: &CancellationToken,
    told: &Path,
) -> Result<(), Fault> {
    let (skipped, items): (Vec<Item>, Vec<Item>) = layout.items.into_iter().partition(|item| item.skipped);
    for folder in &layout.folders {
        let made = places.store(folder)?.make_folder(folder, &places.access()).await;
        made.map_err(|error| format!("cannot make the folder {}: {error}", shown(folder)))?;
    }
    for item in &skipped {
        places.remove_parts(&item.parts).await;
    }
    let size = |items: &[Item]| items.iter().map(|item| item.size).sum::<u64>();
    let (files, expected) = (items.len(), size(&items));
    tell(&format!("{files} files to copy, {}; {} are there already", readable(expected), skipped.len()))?;
    let mut counters = Counters {
        skipped: u64::try_from(skipped.len()).unwrap_or(u64::MAX),
        bytes_skipped: size(&skipped),
        ..Counters::default()
    };
    let failures = copy_all(places, &items, options, &counters, stop, &|counters| {
        // Not worth a failure of the copy.
        let _ = tell_progress(told, &counters.progress(expected, files, false));
    })
    .await?;
    counters.failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
    let mut fault = failures.into_iter().next().filter(|_| !options.ignore_failures);
    if stop.is_cancelled() && fault.is_none() {
        fault = Some("stopped".to_owned());
    }
    if fault.is_none() {
        match remove(places, &layout.surplus).await {
            Ok(deleted) => counters.deleted = deleted,
            Err(why) => fault = Some(why),
        }
        places.remove_parts(&layout.surplus_parts).await;
    }
    let _ = tell_progress(told, &counters.progress(expected, files, fault.is_none()));
    let mut lines = format!("{}\n{COUNTERS}", progress(&counters, &counters.bytes, files));
    for (name, value) in counters.named(expected) {
        lines.push_str(&format!("\n\t{name}={value}"));
    }
    tell(&lines)?;
    fault.map_or(Ok(()), Err)
}

/// Copies files, several at once. Gives what failed; without `-i` the first failure makes the others give up.
#[allow(clippy::print_stderr, reason = "stderr is the job's log")]
async fn copy_all(
    places: &Places,
    items: &[Item],
    options: CopyOptions,
    counters: &Counters,
    stop: &CancellationToken,
    each_second: &(dyn Fn(&Counters) + Sync),
) -> Result<Vec<Fault>, Fault> {
    let at_once = usize::try_from(options.at_once).unwrap_or(MOST_AT_ONCE).clamp(1, MOST_AT_ONCE);
    let give_up = stop.child_token();
    let streams = Semaphore::new(at_once);
    let copying = Copying { places, options, counters, streams, stop, give_up: give_up.clone() };
    let running = items.iter().map(|item| copying.copy(item));
    let mut running = stream::iter(running).buffer_unordered(at_once);
    let mut failures = Vec::new();
    let mut clock = interval(TELL);
    clock.tick().await;
    let mut last = String::new();
    // Set when the rest is given up.
    let mut until: Option<Instant> = None;
    loop {
        let next = async {
            match until {
                Some(until) => timeout_at(until, running.next()).await.unwrap_or(None),
                None => running.next().await,
            }
        };
        tokio::select! {
            done = next => match done {
                Some(Ok(())) => {}
                // What was given up is not what went wrong.
                Some(Err(_)) if give_up.is_cancelled() => {}
                Some(Err(fault)) => {
                    if options.ignore_failures {
                        eprintln!("{fault}");
                    } else {
                        give_up.cancel();
                        until = Some(Instant::now() + GIVE_UP);
                    }
                    failures.push(fault);
                }
                None => return Ok(failures),
            },
            _ = clock.tick() => {
                let now = progress(counters, &counters.moved, items.len());
                each_second(counters);
                if now != last {
                    tell(&now)?;
                    last = now;
                }
            }
        }
    }
}

fn progress(counters: &Counters, bytes: &AtomicU64, files: usize) -> String {
    let copied = counters.copied.load(Ordering::Relaxed);
    format!("{copied} of {files} files, {}", readable(bytes.load(Ordering::Relaxed)))
}

/// Removes files at the destination; gives how many.
async fn remove(places: &Places, surplus: &[Url]) -> Result<u64, Fault> {
    let mut removed = 0;
    for url in surplus {
        let done = places.store(url)?.delete(url, &places.access()).await;
        done.map_err(|error| format!("cannot remove {}: {error}", shown(url)))?;
        removed += 1;
    }
    Ok(removed)
}

/// Bytes for a reader: `512 B`, `3.4 MB`.
fn readable(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "rounded to one digit anyway")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        let of = |bytes| readable(bytes);
        assert_eq!((of(0), of(999), of(1000)), ("0 B".to_owned(), "999 B".to_owned(), "1.0 KB".to_owned()));
        assert_eq!((of(3_412_345), of(999_950_000)), ("3.4 MB".to_owned(), "1.0 GB".to_owned()));
    }
}
