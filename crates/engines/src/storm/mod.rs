//! Storm: topologies that run until they are killed, submitted by Storm's client and looked after by the REST of Storm's UI.
//!
//! A topology's name is the job's tag. Its client is a supervised process of this host, at most one for a tag by its decision
//! file ([`crate::local`]), and Nimbus refuses a second live topology of a name: no launch makes two. A topology is gone when Nimbus
//! does not list it any more and no client of ours is on its way.

mod client;
mod workers;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind, status::Outcome};
use reqwest::Method;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use self::{
    client::Told,
    workers::{Page, Workers},
};
use crate::{
    Ability, Ended, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided,
    local::{Local, LocalSettings, read_log},
    remote::{
        Seen, Service, Survey,
        rest::{Rest, RestSettings},
    },
};

/// Nimbus keeps its topologies in ZooKeeper: a restart forgets none.
const INCARNATION: &str = "nimbus";
/// How long a client may take: it uploads the jar.
const SUBMIT: Duration = Duration::from_secs(300);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long Nimbus may work at a submission whose client lost the connection.
const LATE: Duration = Duration::from_secs(60);
/// How often the logs of a topology's workers are fetched while somebody reads them.
const FETCH: Duration = Duration::from_secs(1);
/// Bytes of the client's output that are looked through for its reason.
const OUTPUT: usize = 64 * 1024;

/// Where Storm is.
#[derive(Clone, Debug)]
pub struct StormSettings {
    /// Storm's UI.
    pub ui: RestSettings,
    /// Home of the client; nothing for STORM_HOME and PATH.
    pub home: Option<PathBuf>,
    /// Hosts of Nimbus with commas between them, where the client's own configuration does not name them.
    pub nimbus: Option<String>,
    /// Seconds that a topology has for what it began when it is stopped gently.
    pub kill_wait: u64,
    /// How many topologies run at once.
    pub max_running: usize,
}

/// The service behind [`crate::remote::Remote`].
pub struct Storm {
    ui: Rest,
    settings: StormSettings,
    /// Runs the clients.
    clients: Local,
    attempts: PathBuf,
    prefix: String,
    /// Bytes kept of the logs of a topology's workers.
    log_limit: u64,
    /// When the workers' logs of a job were fetched last; locked while they are.
    fetched: Mutex<BTreeMap<Tag, Arc<tokio::sync::Mutex<Option<Instant>>>>>,
}

/// What `/api/v1/topology/summary` answers; other members are of no interest.
#[derive(Deserialize)]
struct Summary {
    topologies: Vec<Topology>,
}

#[derive(Deserialize)]
struct Topology {
    id: String,
    name: String,
    status: String,
}

/// What an operation answers.
#[derive(Deserialize)]
struct Done {
    status: String,
}

impl Topology {
    fn seen(&self) -> Seen {
        let state = match self.status.as_str() {
            "ACTIVE" => None,
            "INACTIVE" => Some("SUSPENDED"),
            // It goes when what it began is done, or when its time for that is over.
            "KILLED" => Some("KILLING"),
            other => Some(other),
        };
        Seen { reference: self.id.clone(), observed: Observed::Running { state: state.map(str::to_owned) } }
    }
}

impl Storm {
    /// Checks the settings. `local` are those of processes of this host, with a data directory of the cluster's own; `prefix` begins
    /// every tag of this installation.
    pub fn new(settings: StormSettings, local: LocalSettings, prefix: String) -> Result<Self, String> {
        let ui = Rest::new(settings.ui.clone())?;
        let attempts = local.data_dir.join("attempts");
        let log_limit = local.log_limit;
        let clients = Local::new(LocalSettings { plugin: "storm", ..local });
        let clients = clients.map_err(|error: io::Error| format!("the clients of Storm: {error}"))?;
        Ok(Self { ui, settings, clients, attempts, prefix, log_limit, fetched: Default::default() })
    }

    /// Whether the client is there.
    pub(crate) fn ability_with(home: Option<&PathBuf>, kind: PlanKind) -> Ability {
        match kind {
            PlanKind::Storm if client::find(home.map(PathBuf::as_path)).is_some() => Ability::Yes,
            PlanKind::Storm => Ability::Lacks(client::MISSING.to_owned()),
            _ => Ability::Never,
        }
    }

    async fn topologies(&self) -> Result<Vec<Topology>, EngineError> {
        let summary: Summary = self.ui.get("/api/v1/topology/summary").await?;
        Ok(summary.topologies)
    }

    async fn topology(&self, tag: &Tag) -> Result<Option<Seen>, EngineError> {
        let all = self.topologies().await?;
        Ok(all.iter().find(|topology| topology.name == tag.as_str()).map(Topology::seen))
    }

    async fn operate(&self, id: &str, operation: &str) -> Result<(), EngineError> {
        let path = format!("/api/v1/topology/{id}/{operation}");
        let answer = self.ui.send(Method::POST, &path, |request| request).await?.good()?;
        let done: Done = answer.json()?;
        if done.status == "success" { Ok(()) } else { Err(answer.unexpected()) }
    }

    /// Waits for the end of a client.
    async fn client_ends(&self, tag: &Tag) -> Result<Ended, EngineError> {
        let deadline = Instant::now() + SUBMIT;
        loop {
            match self.clients.observe(JobRef::from(tag)).await? {
                Observed::Ended(ended) => return Ok(ended),
                _ if Instant::now() >= deadline => {
                    return Err(EngineError::Unreachable("Storm's client is still at it".to_owned()));
                }
                _ => sleep(LOOK).await,
            }
        }
    }

    /// What a client that failed said.
    async fn said(&self, tag: &Tag) -> Result<String, EngineError> {
        let mut said = String::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let end = self.clients.logs(JobRef::from(tag), stream, 0, 0).await?.size;
            let from = end.saturating_sub(OUTPUT as u64);
            let piece = self.clients.logs(JobRef::from(tag), stream, from, OUTPUT).await?;
            said.push_str(&String::from_utf8_lossy(&piece.bytes));
        }
        Ok(said)
    }

    /// A client ended and Nimbus has no topology of it.
    async fn came_to_nothing(&self, tag: &Tag, ended: &Ended) -> Result<Launched, EngineError> {
        if ended.outcome == Outcome::Succeeded {
            // It was accepted, and somebody killed it already.
            return Ok(launched(tag.as_str()));
        }
        let said = self.said(tag).await?;
        let why = reason(&said).unwrap_or_else(|| ended.reason.clone().unwrap_or_default());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let ended_at = ended.ended_at.map_or(0, |at| u128::try_from(at.as_micros()).unwrap_or(0));
        let cut_off = ended.exit_code.is_none() || said.contains("TTransportException");
        if cut_off && !said.contains("Connection refused") && now.saturating_sub(ended_at) < LATE.as_micros() {
            // Nimbus may have it and still work at it. No second client is started; if it appears it is found.
            return Err(EngineError::Unreachable(format!("Storm's client lost Nimbus in the middle: {why}")));
        }
        Err(EngineError::Refused(format!("Storm's client did not submit the topology: {why}")))
    }

    fn workers(&self, tag: &Tag) -> Workers {
        Workers::of(self.attempts.join(tag.as_str()), self.log_limit, &self.settings.ui)
    }

    /// The page of a topology by its id; nothing when it is gone.
    async fn page(&self, tag: &Tag) -> Result<Option<Page>, EngineError> {
        match self.topology(tag).await? {
            Some(seen) => Ok(Some(self.ui.get(&format!("/api/v1/topology/{}", seen.reference)).await?)),
            None => Ok(None),
        }
    }

    fn fetched(&self) -> MutexGuard<'_, BTreeMap<Tag, Arc<tokio::sync::Mutex<Option<Instant>>>>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what a topology's workers wrote, unless that was done a moment ago.
    async fn fetch_workers(&self, tag: &Tag) -> Result<(), EngineError> {
        let last = Arc::clone(self.fetched().entry(tag.clone()).or_default());
        let mut last = last.lock().await;
        if last.is_none_or(|at| at.elapsed() >= FETCH) {
            self.workers(tag).fetch(self.page(tag).await?).await?;
            *last = Some(Instant::now());
        }
        Ok(())
    }

    /// Notes which workers a topology has, before it is killed and Nimbus forgets them.
    async fn note_workers(&self, tag: &Tag) -> Result<(), EngineError> {
        let last = Arc::clone(self.fetched().entry(tag.clone()).or_default());
        let _last = last.lock().await;
        self.workers(tag).note_page(self.page(tag).await?).map(|_| ())
    }

    fn is_submitting(job: JobRef<'_>, seen: &Seen) -> bool {
        seen.reference == job.tag.as_str()
    }
}

fn launched(reference: &str) -> Launched {
    Launched { reference: reference.to_owned(), incarnation: INCARNATION.to_owned(), note: None }
}

fn submitting(tag: &Tag) -> Seen {
    let state = Some("SUBMITTING".to_owned());
    Seen { reference: tag.to_string(), observed: Observed::Queued { state } }
}

/// The line with the reason among what a client said: the last exception, else the last line.
fn reason(said: &str) -> Option<String> {
    let lines = || said.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("at "));
    let is_reason = |line: &&str| line.contains("Exception") || line.contains("Error");
    lines().find(is_reason).or_else(|| lines().next()).map(|line| line.chars().take(500).collect())
}

#[async_trait]
impl Service for Storm {
    fn plugin(&self) -> &'static str {
        "storm"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        Self::ability_with(self.settings.home.as_ref(), kind)
    }

    fn max_running(&self) -> Option<usize> {
        Some(self.settings.max_running)
    }

    fn launch_limit(&self) -> Duration {
        SUBMIT + Duration::from_secs(30)
    }

    /// Nimbus's list, and the clients of ours that are on their way to it.
    async fn survey(&self) -> Result<Survey, EngineError> {
        // In this order: a client that ends in between has its topology in the list.
        let clients = self.clients.list(&self.prefix).await?;
        let listed = self.topologies().await?;
        let ours = listed.iter().filter(|topology| topology.name.starts_with(&self.prefix));
        let mut jobs: BTreeMap<Tag, Seen> =
            ours.map(|topology| (Tag::from(topology.name.clone()), topology.seen())).collect();
        for tag in clients {
            // The clients of this cluster among the processes of this host.
            if self.attempts.join(tag.as_str()).exists() {
                let seen = submitting(&tag);
                jobs.entry(tag).or_insert(seen);
            }
        }
        Ok(Survey { incarnation: INCARNATION.to_owned(), jobs })
    }

    async fn look_for(&self, job: JobRef<'_>, _: &Survey) -> Result<Option<Seen>, EngineError> {
        match self.clients.observe(job).await? {
            Observed::Running { .. } | Observed::Queued { .. } => Ok(Some(submitting(job.tag))),
            Observed::Ended(ended) if ended.outcome == Outcome::Succeeded => {
                // Asked after the client's end: the list may be from before.
                let gone = Ended {
                    outcome: Outcome::Killed,
                    exit_code: None,
                    reason: Some("Nimbus has no topology of this name any more: it was killed".to_owned()),
                    started_at: ended.ended_at,
                    ended_at: None,
                    usage: None,
                };
                let seen = self.topology(job.tag).await?;
                if seen.is_none() {
                    // What its workers wrote last is still to be fetched.
                    self.fetched().remove(job.tag);
                }
                let reference = job.reference.unwrap_or(job.tag.as_str()).to_owned();
                Ok(Some(seen.unwrap_or(Seen { reference, observed: Observed::Ended(gone) })))
            }
            Observed::Ended(_) | Observed::Absent { .. } => Ok(None),
        }
    }

    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        let storm = client::find(self.settings.home.as_deref());
        let storm = storm.ok_or_else(|| EngineError::Refused(client::MISSING.to_owned()))?;
        let told = Told { storm: &storm, nimbus: self.settings.nimbus.as_deref() };
        let plan = client::plan(launch, &told).map_err(EngineError::Refused)?;
        let client = Launch {
            tag: launch.tag,
            job_type: launch.job_type,
            job_name: launch.job_name,
            plan: Some(&plan),
            urls: launch.urls,
            workspace: launch.workspace.clone(),
            logs: launch.logs.clone(),
            kill_grace: launch.kill_grace,
        };
        self.clients.launch(client).await?;
        let ended = self.client_ends(launch.tag).await?;
        match self.topology(launch.tag).await? {
            Some(seen) => Ok(launched(&seen.reference)),
            None => self.came_to_nothing(launch.tag, &ended).await,
        }
    }

    async fn rule_out(&self, job: JobRef<'_>, why: &str) -> Result<(), EngineError> {
        match self.clients.void(job, why).await? {
            // One that was started is found, as itself or by its topology.
            Voided::Yes | Voided::TooLate => Ok(()),
        }
    }

    async fn kill(&self, job: JobRef<'_>, seen: &Seen, how: Stop) -> Result<(), EngineError> {
        if Self::is_submitting(job, seen) {
            return self.clients.stop(job, how).await;
        }
        // What cannot be had now is no reason to let it run on.
        if let Err(error) = self.note_workers(job.tag).await {
            tracing::warn!(tag = %job.tag, "which workers it has cannot be asked: {error}");
        }
        let is_dying = seen.observed == Observed::Running { state: Some("KILLING".to_owned()) };
        match how {
            // Asked again, Nimbus would begin to wait anew.
            Stop::Gently if is_dying => Ok(()),
            Stop::Gently => self.operate(&seen.reference, &format!("kill/{}", self.settings.kill_wait)).await,
            Stop::Hard => self.operate(&seen.reference, "kill/0").await,
        }
    }

    fn suspends(&self) -> bool {
        true
    }

    async fn suspend(&self, job: JobRef<'_>, seen: &Seen) -> Result<String, EngineError> {
        if Self::is_submitting(job, seen) {
            return Err(EngineError::Unreachable("it is not submitted yet".to_owned()));
        }
        self.operate(&seen.reference, "deactivate").await?;
        Ok("SUSPENDED".to_owned())
    }

    /// What the client said; behind it, in stdout, what the topology's workers write. The client is over by then.
    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let said = self.clients.logs(job, stream, offset, limit).await?;
        let is_over = matches!(self.clients.observe(job).await?, Observed::Ended(_));
        if stream == Stream::Stderr || !is_over {
            return Ok(said);
        }
        let head = said.size;
        let file = self.workers(job.tag).file();
        let written = |offset: u64, limit: usize| {
            let piece = read_log(&file, offset, limit);
            piece.map_err(|error| EngineError::Unreachable(format!("{}: {error}", file.display())))
        };
        if offset < head {
            return Ok(LogPiece { size: head + written(0, 0)?.size, ..said });
        }
        let mut piece = written(offset - head, limit)?;
        if piece.bytes.is_empty() {
            self.fetch_workers(job.tag).await?;
            piece = written(offset - head, limit)?;
        }
        Ok(LogPiece { bytes: piece.bytes, next_offset: piece.next_offset + head, size: piece.size + head })
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.fetched().remove(job.tag);
        self.clients.forget(job).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_what_the_client_said() {
        let said = "1 [main] INFO Submitter - x\nException in thread \"main\" java.lang.ClassNotFoundException: no.Such\n\
                    \tat java.base/x\n\t... 3 more\n";
        assert!(reason(said).expect("a reason").ends_with("ClassNotFoundException: no.Such"));
        assert_eq!(reason("one\n\ntwo\n").as_deref(), Some("two"));
    }
}
