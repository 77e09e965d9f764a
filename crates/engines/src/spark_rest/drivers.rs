//! Which driver is whose. The master's list has ids and states and nothing of ours; a driver that this process neither submitted
//! nor was told of is known by the command line that its worker wrote into its log, which is read once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foggara_domain::{Tag, Timestamp};
use reqwest::Method;

use super::{
    submission::ID_KEY,
    wire::{Driver, Master, Page},
};
use crate::{
    EngineError, LogPiece, Stream,
    remote::rest::{Auth, Rest, RestSettings},
};

/// How many logs of unknown drivers one survey reads.
const LOOKS: usize = 16;
/// How much of a log holds the command line, which names every jar of Spark where its worker was started so.
const HEAD: usize = 256 * 1024;
/// How long a worker that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// By how much the master's clock may be behind ours.
const CLOCKS: Duration = Duration::from_secs(60);

/// What is known of the drivers of a master.
#[derive(Default)]
pub(super) struct Drivers {
    inner: Mutex<Inner>,
    workers: Mutex<BTreeMap<String, WorkerPage>>,
}

#[derive(Default)]
struct Inner {
    /// Whose a driver is; nothing for a stranger's.
    owners: BTreeMap<String, Option<Tag>>,
    /// The last list.
    listed: BTreeMap<String, Driver>,
    /// Where the pages of workers are, by the worker's id.
    pages: BTreeMap<String, String>,
}

/// A worker's web page.
struct WorkerPage {
    rest: std::sync::Arc<Rest>,
    /// It did not answer then.
    failed: Option<Instant>,
}

/// What the head of a log says.
enum Head {
    Owner(Option<Tag>),
    NotYet,
    NoAnswer,
}

impl Drivers {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A driver is this job's.
    pub fn own(&self, id: &str, tag: &Tag) {
        self.inner().owners.insert(id.to_owned(), Some(tag.clone()));
    }

    /// Takes in a new list. Drivers that are not known are looked at, those that are not over first.
    pub async fn take(&self, master: &Master) {
        let unknown: Vec<(Driver, bool)> = {
            let mut inner = self.inner();
            inner.pages = master.workers.iter().map(|worker| (worker.id.clone(), worker.web_ui.clone())).collect();
            let all = master.active.iter().chain(&master.completed);
            inner.listed = all.map(|driver| (driver.id.clone(), driver.clone())).collect();
            let active = master.active.iter().map(|driver| (driver, false));
            let over = master.completed.iter().rev().map(|driver| (driver, true));
            let unknown = active.chain(over).filter(|(driver, _)| !inner.owners.contains_key(&driver.id));
            unknown.map(|(driver, over)| (driver.clone(), over)).take(LOOKS).collect()
        };
        for (driver, over) in unknown {
            match self.head(&driver).await {
                Head::Owner(owner) => {
                    self.inner().owners.entry(driver.id).or_insert(owner);
                }
                // It never ran, or its worker is gone with its log: whosever it was, it is over.
                Head::NotYet if over => {
                    self.inner().owners.entry(driver.id).or_insert(None);
                }
                Head::NotYet | Head::NoAnswer => {}
            }
        }
    }

    /// Forgets whom drivers belonged to that the master no longer has. Those of a launch that is just being answered are younger
    /// than the list and stay by their place.
    pub fn prune(&self) {
        let mut inner = self.inner();
        let Some(newest) = inner.listed.values().filter_map(Driver::place).max() else { return };
        let Inner { owners, listed, .. } = &mut *inner;
        owners.retain(|id, _| {
            let place = Driver { id: id.clone(), submitted: String::new(), state: String::new(), worker: None }.place();
            listed.contains_key(id) || place.is_none_or(|place| place > newest)
        });
    }

    /// Jobs of ours with their drivers.
    pub fn jobs(&self) -> Vec<(Tag, Driver)> {
        let inner = self.inner();
        let owned = |driver: &Driver| Some((inner.owners.get(&driver.id)?.clone()?, driver.clone()));
        inner.listed.values().filter_map(owned).collect()
    }

    /// A driver in the last list.
    pub fn listed(&self, id: &str) -> Option<Driver> {
        self.inner().listed.get(id).cloned()
    }

    /// The driver of a job in the last list.
    pub fn of(&self, tag: &Tag) -> Option<Driver> {
        let inner = self.inner();
        let mut listed = inner.listed.values();
        listed.find(|driver| inner.owners.get(&driver.id).is_some_and(|owner| owner.as_ref() == Some(tag))).cloned()
    }

    /// How many drivers may be of a launch that was sent then and whose answer was lost: nobody knows whose they are.
    pub fn nobodys_since(&self, sent: Timestamp) -> usize {
        let inner = self.inner();
        let unknown = inner.listed.values().filter(|driver| !inner.owners.contains_key(&driver.id));
        unknown.filter(|driver| driver.submitted().is_none_or(|at| at.plus(CLOCKS) >= sent)).count()
    }

    /// The oldest driver that the master remembers.
    pub fn oldest(&self) -> Option<String> {
        let inner = self.inner();
        inner.listed.values().min_by_key(|driver| driver.place().unwrap_or_default()).map(|driver| driver.id.clone())
    }

    /// The page of the worker that has a driver; nothing where there is none (yet).
    fn worker(&self, driver: &Driver) -> Result<Option<std::sync::Arc<Rest>>, EngineError> {
        let Some(worker) = &driver.worker else { return Ok(None) };
        let Some(url) = self.inner().pages.get(worker).cloned() else { return Ok(None) };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = workers.get(&url) {
            return Ok(Some(std::sync::Arc::clone(&page.rest)));
        }
        let settings = RestSettings { service: "the Spark worker", urls: url.clone(), ca_file: None, auth: Auth::None };
        let rest = std::sync::Arc::new(Rest::new(settings).map_err(EngineError::Unreachable)?);
        workers.insert(url, WorkerPage { rest: std::sync::Arc::clone(&rest), failed: None });
        Ok(Some(rest))
    }

    async fn head(&self, driver: &Driver) -> Head {
        let url = driver.worker.as_ref().and_then(|worker| self.inner().pages.get(worker).cloned());
        let Some(url) = url else { return Head::NotYet };
        let rests = |workers: &BTreeMap<String, WorkerPage>| {
            workers.get(&url).and_then(|page| page.failed).is_some_and(|failed| failed.elapsed() < PAUSE)
        };
        if rests(&self.workers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Head::NoAnswer;
        }
        let answer = self.log(driver, Stream::Stderr, 0, HEAD).await;
        if let Some(page) = self.workers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&url) {
            page.failed = answer.is_err().then(Instant::now);
        }
        match answer {
            Ok(piece) if piece.bytes.is_empty() => Head::NotYet,
            Ok(piece) => Head::Owner(owner(&String::from_utf8_lossy(&piece.bytes))),
            Err(_) => Head::NoAnswer,
        }
    }

    /// Bytes of a driver's log.
    pub async fn log(
        &self,
        driver: &Driver,
        stream: Stream,
        offset: u64,
        limit: usize,
    ) -> Result<LogPiece, EngineError> {
        let nothing = LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 };
        let Some(rest) = self.worker(driver)? else { return Ok(nothing) };
        let ask = |from: u64, length: u64| {
            let path =
                format!("/log/?driverId={}&logType={}&offset={from}&byteLength={length}", driver.id, stream.name());
            let rest = &rest;
            async move { rest.send(Method::GET, &path, |request| request).await?.good() }
        };
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let answer = ask(offset, limit).await?;
        let page = Page::read(&answer)?;
        if page.text.is_empty() || page.from < offset {
            return Ok(LogPiece { size: page.size, ..nothing });
        }
        let piece = |page: &Page<'_>, back: u64| LogPiece {
            bytes: page.text.get(usize::try_from(back).unwrap_or(0)..).unwrap_or_default().to_vec(),
            next_offset: page.to,
            size: page.size,
        };
        if page.is_whole() {
            return Ok(piece(&page, 0));
        }
        // A letter of several bytes is cut at one of the ends: one to three bytes further on it is not.
        for (back, cut) in (0..=3u64).flat_map(|back| (0..=3u64).map(move |cut| (back, cut))).skip(1) {
            let (Some(from), Some(length)) = (offset.checked_sub(back), (page.to - offset + back).checked_sub(cut))
            else {
                continue;
            };
            if length <= back {
                continue;
            }
            let answer = ask(from, length).await?;
            let other = Page::read(&answer)?;
            if other.is_whole() && other.from == from {
                return Ok(piece(&other, back));
            }
        }
        // It is no text; what Spark makes of it is all there is.
        Ok(piece(&page, 0))
    }
}

/// The job that the command line at the head of a log names. What the job itself wrote begins later.
fn owner(log: &str) -> Option<Tag> {
    let line = log.strip_prefix("Launch Command: ")?;
    let (_, rest) = line.split_once(&format!("\"-D{ID_KEY}="))?;
    let (tag, _) = rest.split_once('"')?;
    Some(Tag::from(tag.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_the_owner() {
        let tag = |log: &str| owner(log).map(|tag| tag.to_string());
        let log = "Launch Command: \"java\" \"-Dspark.a=b\" \"-Dspark.foggara.id=fg-a-1\" \"x\" \"-Dspark.foggara.id=fg-b-1\"\n";
        assert_eq!(tag(log), Some("fg-a-1".to_owned()));
        assert_eq!(tag("hello \"-Dspark.foggara.id=fg-a-1\""), None);
        assert_eq!(tag("Launch Command: \"java\" \"Main\"\n"), None);
    }
}
