//! Spark standalone in cluster mode: drivers are submitted to the master over its REST submission protocol and run on a worker. No
//! JVM and no process is needed on this side.
//!
//! The protocol has no key by which a second submission would be refused and no look-up by a name: a submission whose answer was
//! lost is not repeated (lifecycle.md's launch table), and is found later by the driver's log (`drivers`).

mod drivers;
mod remains;
mod submission;
mod token;
mod wire;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind};
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};

pub use self::token::{new_secret, token};
use self::{
    drivers::Drivers,
    remains::Remains,
    wire::{Answered, Driver, Master, observed},
};
use crate::{
    Ability, Ended, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream,
    remote::{
        Seen, Service, Survey,
        rest::{Answer, Auth, Rest, RestSettings},
    },
};

const SUBMISSIONS: &str = "/v1/submissions";
/// How much of the end of a failed driver's log is searched for the reason.
const TAIL: u64 = 16 * 1024;
/// The reason's length.
const REASON: usize = 300;

/// A cluster.
#[derive(Clone, Debug)]
pub struct SparkRestSettings {
    /// `spark://host:port`: where drivers find the master.
    pub master: String,
    /// Addresses of the submission server, `http://host:6066`, with commas between them.
    pub rest: String,
    /// Addresses of the master's web page, `http://host:8080`, with commas between them.
    pub web_ui: String,
    /// Who we are to the submission server.
    pub auth: Auth,
    /// How a job's files come to the workers.
    pub files: Files,
    /// Drivers run on this host, so that their processes are seen and ended from here.
    pub is_here: bool,
    /// Python of the drivers; nothing for the one that the workers have.
    pub python: Option<PathBuf>,
    /// Settings of jobs that say nothing else.
    pub defaults: BTreeMap<String, String>,
    /// Jobs that run at once.
    pub max_running: usize,
}

/// How a job's files come to the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// The workers see the files of this server by the same paths.
    Shared,
    /// They fetch them from this place of a store.
    Artifacts(String),
}

/// See the module.
pub struct SparkRest {
    settings: SparkRestSettings,
    submissions: Vec<Rest>,
    pages: Vec<Rest>,
    active_page: AtomicUsize,
    drivers: Drivers,
}

impl SparkRest {
    /// Checks the addresses; the error is for the user.
    pub fn new(settings: SparkRestSettings) -> Result<Self, String> {
        let all = |service, urls: &str, auth: &Auth| {
            // One client for each address: who is no leader says so with status 200, which a client for several takes for an answer.
            let one = |url: &str| {
                Rest::new(RestSettings { service, urls: url.to_owned(), ca_file: None, auth: auth.clone() })
            };
            let urls: Vec<&str> = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
            if urls.is_empty() {
                return Err(format!("no address of {service} is given; it looks like http://host:port"));
            }
            urls.into_iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            submissions: all("the Spark master's submission server", &settings.rest, &settings.auth)?,
            pages: all("the Spark master", &settings.web_ui, &Auth::None)?,
            active_page: AtomicUsize::new(0),
            drivers: Drivers::default(),
            settings,
        })
    }

    /// The list of the master that leads. A master that is recovering has not yet heard of all drivers.
    async fn master(&self) -> Result<Master, EngineError> {
        let first = self.active_page.load(Ordering::Relaxed);
        let mut trouble = EngineError::NotSent("the Spark master has no address".to_owned());
        for step in 0..self.pages.len() {
            let index = (first + step) % self.pages.len();
            match self.pages[index].get::<Master>("/json/").await {
                Ok(master) if master.status == "ALIVE" => {
                    self.active_page.store(index, Ordering::Relaxed);
                    return Ok(master);
                }
                Ok(master) => {
                    let words = format!("the Spark master is {} and not ALIVE: it is waited for", master.status);
                    trouble = EngineError::Unreachable(words);
                }
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    /// Asks the submission servers in turn until one that leads answers.
    async fn ask(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<Answered, EngineError> {
        let mut trouble = EngineError::NotSent("the submission server has no address".to_owned());
        for rest in &self.submissions {
            let answer = rest.send(method.clone(), path, |request| {
                let request = request.header(CONTENT_TYPE, "application/json;charset=UTF-8");
                request.body(body.unwrap_or_default().to_vec())
            });
            match answer.await.and_then(|answer| read(&answer)) {
                Ok(answered) if !answered.success && is_no_leader(&answered) => {
                    trouble =
                        EngineError::NotSent(format!("the Spark master takes no drivers yet: {}", answered.words()));
                }
                Err(error @ EngineError::NotSent(_)) => trouble = error,
                other => return other,
            }
        }
        Err(trouble)
    }

    async fn status(&self, id: &str) -> Result<Answered, EngineError> {
        self.ask(Method::GET, &format!("{SUBMISSIONS}/status/{id}"), None).await
    }

    /// How a driver of ours is, seen together with what lives of it on this host.
    fn seen(tag: &Tag, driver: &Driver, remains: &Remains) -> Seen {
        let mut now = observed(&driver.state, driver.submitted());
        if matches!(now, Observed::Ended(_)) && remains.has(tag) {
            remains.kill(tag);
            now =
                Observed::Running { state: Some(format!("{}, and what it left behind is being ended", driver.state)) };
        }
        Seen { reference: driver.id.clone(), observed: now }
    }

    async fn remains(&self) -> Result<Remains, EngineError> {
        if self.settings.is_here { Remains::look().await } else { Ok(Remains::default()) }
    }

    /// The last exception in a driver's log.
    async fn exception(&self, job: JobRef<'_>) -> Option<String> {
        let driver = self.drivers.of(job.tag)?;
        let size = self.drivers.log(&driver, Stream::Stderr, u64::MAX >> 1, 1).await.ok()?.size;
        let from = size.saturating_sub(TAIL);
        let piece = self.drivers.log(&driver, Stream::Stderr, from, usize::try_from(TAIL).ok()?).await.ok()?;
        exception(&String::from_utf8_lossy(&piece.bytes))
    }
}

/// What a cluster that is used so runs.
pub(crate) fn ability(kind: PlanKind) -> Ability {
    match kind {
        PlanKind::Spark => Ability::Yes,
        PlanKind::Program | PlanKind::Sql | PlanKind::Presto | PlanKind::DistCp => Ability::Lacks(
            "a Spark cluster with spark.deploy = rest runs Spark jobs only: use one with spark.deploy = client"
                .to_owned(),
        ),
        _ => Ability::Never,
    }
}

/// An answer of the submission server; what it refuses for what it is, and not for what it is about, had no effect.
fn read(answer: &Answer) -> Result<Answered, EngineError> {
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(EngineError::NotSent(format!(
            "{} does not let us in ({} answered {}): the credential is missing or wrong; set spark.secret_file to the file with the \
             secretKey of its JWSFilter",
            answer.service, answer.asked, answer.status
        ))),
        // 468: another version of the protocol.
        status if status.is_client_error() => match answer.json::<Answered>() {
            Ok(answered) => Err(EngineError::Refused(format!(
                "{} refused the request ({status}): {}",
                answer.service,
                answered.words().lines().next().unwrap_or_default()
            ))),
            Err(_) => Err(EngineError::NotSent(format!(
                "no submission server answers at {} ({status}): is its address right, and spark.master.rest.enabled on the master?",
                answer.asked
            ))),
        },
        status if status.is_success() => answer.json(),
        _ => Err(answer.unexpected()),
    }
}

/// "Current state is not alive: RECOVERING", or STANDBY: a no that a later question need not get.
fn is_no_leader(answered: &Answered) -> bool {
    let words = answered.message.as_deref().unwrap_or_default();
    words.contains("not alive") || words.contains("STANDBY") || words.contains("RECOVERING")
}

/// The last line of a log that names what went wrong.
fn exception(log: &str) -> Option<String> {
    let tells = |line: &&str| {
        let name = line.split([':', ' ']).next().unwrap_or_default();
        line.starts_with("Exception in thread")
            || line.starts_with("Caused by: ")
            || ((name.ends_with("Exception") || name.ends_with("Error")) && !line.starts_with(' '))
    };
    let line = log.lines().rfind(tells)?;
    Some(line.trim_start_matches("Caused by: ").chars().take(REASON).collect())
}

#[async_trait]
impl Service for SparkRest {
    fn plugin(&self) -> &'static str {
        "spark"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        ability(kind)
    }

    fn max_running(&self) -> Option<usize> {
        Some(self.settings.max_running)
    }

    /// Nothing refuses a second driver, and one that waits for a worker cannot be told from others.
    fn repeats(&self) -> bool {
        false
    }

    fn artifacts(&self) -> Option<&str> {
        match &self.settings.files {
            Files::Shared => None,
            Files::Artifacts(url) => Some(url),
        }
    }

    fn opens_urls(&self) -> bool {
        self.artifacts().is_some()
    }

    async fn survey(&self) -> Result<Survey, EngineError> {
        let master = self.master().await?;
        self.drivers.take(&master).await;
        // Looked at after the list: what was started in between is not taken for something left behind.
        let remains = self.remains().await?;
        let mut jobs: BTreeMap<Tag, Seen> = BTreeMap::new();
        for (tag, driver) in self.drivers.jobs() {
            let seen = Self::seen(&tag, &driver, &remains);
            // Should there be two after all, the job is as the one that lives.
            match jobs.entry(tag) {
                Entry::Vacant(free) => {
                    free.insert(seen);
                }
                Entry::Occupied(mut known) if matches!(known.get().observed, Observed::Ended(_)) => {
                    known.insert(seen);
                }
                Entry::Occupied(_) => {}
            }
        }
        self.drivers.prune();
        // No answer of a master names its life. Its oldest driver does: a restart forgets those that are over, and without a
        // recovery mode all. It also changes when 200 others have ended, and then says less than is known, never more.
        let incarnation = self.drivers.oldest().unwrap_or_else(|| "no driver yet".to_owned());
        Ok(Survey { incarnation, jobs })
    }

    async fn look_for(&self, job: JobRef<'_>, _: &Survey) -> Result<Option<Seen>, EngineError> {
        let Some(id) = job.reference else {
            let nobodys = job.sent_at.map_or(0, |sent| self.drivers.nobodys_since(sent));
            if nobodys == 0 {
                return Ok(None);
            }
            return Err(EngineError::Unreachable(format!(
                "the Spark master has {nobodys} drivers that nobody can tell apart before their workers have written their logs and \
                 show them: one may be this job"
            )));
        };
        self.drivers.own(id, job.tag);
        let remains = self.remains().await?;
        if let Some(driver) = self.drivers.listed(id) {
            return Ok(Some(Self::seen(job.tag, &driver, &remains)));
        }
        let answered = self.status(id).await?;
        if answered.success {
            let state = answered.driver_state.unwrap_or_default();
            let driver = Driver { id: id.to_owned(), submitted: String::new(), state, worker: None };
            return Ok(Some(Self::seen(job.tag, &driver, &remains)));
        }
        if remains.has(job.tag) {
            let state = Some("forgotten by the master, and its processes live".to_owned());
            return Ok(Some(Seen { reference: id.to_owned(), observed: Observed::Running { state } }));
        }
        Ok(None)
    }

    async fn last_word(&self, job: JobRef<'_>, seen: &Seen) -> Result<Observed, EngineError> {
        let Observed::Ended(ended) = &seen.observed else { return Ok(seen.observed.clone()) };
        let reason = match ended.reason.as_deref() {
            Some(words) if words.ends_with("FAILED") => {
                let told = self.exception(job).await.map(|line| format!(": {line}")).unwrap_or_default();
                Some(format!("the driver failed{told} (Spark does not give the exit code; its log says more)"))
            }
            Some(words) if words.ends_with("ERROR") => {
                let told = self.status(&seen.reference).await.ok().and_then(|answered| answered.message);
                let told = told.unwrap_or_else(|| "its worker was lost, or the master was restarted".to_owned());
                let told: String = told.lines().take(2).collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
                Some(format!("Spark could not run the driver: {told}"))
            }
            other => other.map(str::to_owned),
        };
        Ok(Observed::Ended(Ended { reason, ..ended.clone() }))
    }

    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        let request = submission::of(launch, &self.settings).map_err(EngineError::Refused)?;
        let body = serde_json::to_vec(&request).map_err(|error| EngineError::Refused(error.to_string()))?;
        let answered = self.ask(Method::POST, &format!("{SUBMISSIONS}/create"), Some(&body)).await?;
        match answered.submission_id {
            Some(id) if answered.success => {
                self.drivers.own(&id, launch.tag);
                let incarnation = self.drivers.oldest().unwrap_or_else(|| id.clone());
                Ok(Launched { reference: id, incarnation, note: None })
            }
            _ => Err(EngineError::Refused(format!("the Spark master refused the driver: {}", answered.words()))),
        }
    }

    async fn kill(&self, job: JobRef<'_>, seen: &Seen, _: Stop) -> Result<(), EngineError> {
        let answered = self.ask(Method::POST, &format!("{SUBMISSIONS}/kill/{}", seen.reference), None).await?;
        if !answered.success {
            // It is over or forgotten: what is left is what lives of it here.
            self.remains().await?.kill(job.tag);
        }
        Ok(())
    }

    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let listed = job.reference.and_then(|id| self.drivers.listed(id)).or_else(|| self.drivers.of(job.tag));
        match listed {
            Some(driver) => self.drivers.log(&driver, stream, offset, limit).await,
            None => Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_is_the_reason() {
        let log = "x\nException in thread \"main\" java.lang.Error: a\n\tat b\nCaused by: java.lang.ClassNotFoundException: Nope\n\tat c\n";
        assert_eq!(exception(log).as_deref(), Some("java.lang.ClassNotFoundException: Nope"));
        assert_eq!(exception("Traceback\n  File\nValueError: bad\n").as_deref(), Some("ValueError: bad"));
        assert_eq!(exception("all well"), None);
    }
}
