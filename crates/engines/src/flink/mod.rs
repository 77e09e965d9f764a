//! Engine `flink`: jobs on a session cluster by the REST of its JobManager. The id of a job is made from its tag, and Flink
//! refuses an id twice (docs/decisions/0009-flink.md).

mod archive;
pub mod home;
mod ids;
mod jars;
mod jobs;
mod logs;
mod program;
mod refusal;
mod submit;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind, status::Outcome};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::ids::job_id;
use self::{ids::Ids, jars::Jars, jobs::Overview, logs::Spools};
use crate::{
    Ability, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream,
    remote::{Seen, Service, Survey, rest::Rest},
};

/// How long a launch may take: the jar goes over the wire, and the program's main runs before Flink answers.
const LAUNCH: Duration = Duration::from_secs(600);
/// Where the JobManager keeps its web pages: a folder with a new name in each life of its process.
const LIFE: &str = "web.tmpdir";
/// How the cluster was deployed.
const TARGET: &str = "execution.target";
/// These start a TaskManager when a job needs one and have none before.
const ON_DEMAND: [&str; 2] = ["kubernetes-session", "yarn-session"];

/// What is told of the JobManager's settings.
#[derive(Deserialize)]
struct Item {
    key: String,
    value: String,
}

/// What the engine is told.
#[derive(Clone, Debug)]
pub struct FlinkSettings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Bytes kept of each log of a job.
    pub log_limit: u64,
    /// How many jobs may run at once; nothing for no cap. What has no slot waits in Flink.
    pub max_running: Option<usize>,
    /// A gentle stop takes a savepoint below this url.
    pub stop_with_savepoint: Option<String>,
    /// Whether the output of the TaskManagers is shown to users: it is that of all jobs on them.
    pub shows_stdout: bool,
    /// The Python that has `apache-flink` where the JobManager and its TaskManagers run; nothing: programs in Python are refused.
    pub python: Option<PathBuf>,
}

/// The service.
pub struct Flink {
    rest: Rest,
    settings: FlinkSettings,
    ids: Ids,
    jars: Jars,
    spools: Spools,
    /// The last list by the ids of its jobs, also those whose tag it does not tell.
    last: Mutex<BTreeMap<String, Seen>>,
    /// Savepoints that stops asked for, by job.
    savepoints: Mutex<BTreeMap<String, String>>,
}

impl Flink {
    /// The JobManager that this client talks to.
    pub fn new(rest: Rest, settings: FlinkSettings) -> Self {
        Self {
            rest,
            ids: Ids::new(settings.data_dir.join("flink")),
            jars: Jars::default(),
            spools: Spools::new(settings.data_dir.join("logs"), settings.log_limit),
            settings,
            last: Mutex::default(),
            savepoints: Mutex::default(),
        }
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn savepoints(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.savepoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn config(&self) -> Result<Vec<Item>, EngineError> {
        self.rest.get("/jobmanager/config").await
    }

    /// Whether what the JobManager does not know is gone: one that was just started may not have heard of the TaskManagers yet on
    /// which a job of its life before still runs.
    async fn is_ready(&self) -> Result<bool, EngineError> {
        #[derive(Deserialize)]
        struct Overview {
            taskmanagers: u64,
        }
        let overview: Overview = self.rest.get("/overview").await?;
        if overview.taskmanagers > 0 {
            return Ok(true);
        }
        let config = self.config().await?;
        Ok(config.iter().any(|item| item.key == TARGET && ON_DEMAND.contains(&item.value.as_str())))
    }

    /// What tells this life of the JobManager from others.
    async fn life(&self) -> Result<String, EngineError> {
        let items = self.config().await?;
        let life = items.into_iter().find(|item| item.key == LIFE).map(|item| item.value);
        life.ok_or_else(|| EngineError::Unreachable(format!("the Flink JobManager does not tell its {LIFE}")))
    }

    /// The tag of a job that is not known here. A program can replace its parameters and its name; what is read counts only
    /// when the job's id is made from it.
    async fn ask_tag(&self, id: &str, name: &str) -> Result<Option<Tag>, EngineError> {
        let answer = self.rest.send(Method::GET, &format!("/jobs/{id}/config"), |request| request).await?;
        let Some(answer) = answer.found()? else { return Ok(None) };
        let config: Value = answer.json()?;
        let told = config.pointer("/execution-config/user-config").and_then(|user| user.get(submit::TAG));
        let candidates = told.and_then(Value::as_str).into_iter().chain([name]);
        Ok(candidates.map(|text| Tag::from(text.to_owned())).find(|tag| job_id(tag) == id))
    }

    /// Stops with a savepoint. False: it cannot be taken, so the job has to be cancelled.
    async fn stop_with_savepoint(&self, id: &str, target: &str) -> Result<bool, EngineError> {
        let asked = self.savepoints().get(id).cloned();
        if let Some(asked) = asked {
            let answer =
                self.rest.send(Method::GET, &format!("/jobs/{id}/savepoints/{asked}"), |request| request).await?;
            let Some(answer) = answer.found()? else { return Ok(false) };
            let state: Value = answer.json()?;
            return Ok(state.pointer("/operation/failure-cause").is_none());
        }
        let body = json!({"drain": false, "targetDirectory": target});
        let answer = self.rest.send(Method::POST, &format!("/jobs/{id}/stop"), |request| request.json(&body)).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Ok(false);
        }
        let state: Value = answer.json()?;
        let Some(request) = state.get("request-id").and_then(Value::as_str) else { return Ok(false) };
        self.savepoints().insert(id.to_owned(), request.to_owned());
        Ok(true)
    }

    /// Where a stopped job left its savepoint.
    async fn savepoint_of(&self, id: &str) -> Result<Option<String>, EngineError> {
        let answer = self.rest.send(Method::GET, &format!("/jobs/{id}/checkpoints"), |request| request).await?;
        let Some(answer) = answer.found()? else { return Ok(None) };
        let state: Value = answer.json()?;
        Ok(state.pointer("/latest/savepoint/external_path").and_then(Value::as_str).map(str::to_owned))
    }

    /// The failures of a job, the first line of its root cause among them.
    async fn failures(&self, id: &str) -> Result<Vec<String>, EngineError> {
        let answer = self.rest.send(Method::GET, &format!("/jobs/{id}/exceptions"), |request| request).await?;
        let Some(answer) = answer.found()? else { return Ok(Vec::new()) };
        let told: Value = answer.json()?;
        let entries = told.pointer("/exceptionHistory/entries").and_then(Value::as_array);
        let traces = entries.into_iter().flatten().filter_map(|entry| entry.get("stacktrace")?.as_str());
        Ok(traces.map(str::to_owned).collect())
    }
}

#[async_trait]
impl Service for Flink {
    fn plugin(&self) -> &'static str {
        "flink"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        if kind == PlanKind::Flink { Ability::Yes } else { Ability::Never }
    }

    fn max_running(&self) -> Option<usize> {
        self.settings.max_running
    }

    fn launch_limit(&self) -> Duration {
        LAUNCH
    }

    /// The list first: what a restarted JobManager lacks is then never said to be absent in the life before.
    async fn survey(&self) -> Result<Survey, EngineError> {
        let overview: Overview = self.rest.get("/jobs/overview").await?;
        let incarnation = self.life().await?;
        self.jars.collect(&self.rest).await;
        let mut unknown = ids::Budget::default();
        let mut jobs = BTreeMap::new();
        let mut all = BTreeMap::new();
        for job in overview.jobs {
            let seen = Seen { reference: job.jid.clone(), observed: job.observed() };
            let live = !matches!(seen.observed, Observed::Ended(_));
            let tag = match self.ids.tag(&job.jid) {
                Some(known) => known,
                None if live && unknown.take() => {
                    let tag = self.ask_tag(&job.jid, &job.name).await?;
                    self.ids.learn(&job.jid, tag.clone());
                    tag
                }
                None => None,
            };
            if let Some(tag) = tag {
                jobs.insert(tag, seen.clone());
            }
            all.insert(job.jid, seen);
        }
        self.ids.retain(|id| all.contains_key(id));
        self.savepoints().retain(|id, _| all.contains_key(id));
        *self.last() = all;
        Ok(Survey { incarnation, jobs })
    }

    /// The list has it by its id, whether or not its tag could be read there.
    async fn look_for(&self, job: JobRef<'_>, _: &Survey) -> Result<Option<Seen>, EngineError> {
        let id = job_id(job.tag);
        let seen = self.last().get(&id).cloned();
        if seen.is_some() {
            self.ids.learn(&id, Some(job.tag.clone()));
        } else if job.sent_at.is_some() && !self.is_ready().await? {
            return Err(EngineError::Unreachable(
                "the Flink JobManager has no TaskManager yet, and until then does not know what still runs".to_owned(),
            ));
        }
        Ok(seen)
    }

    async fn last_word(&self, _: JobRef<'_>, seen: &Seen) -> Result<Observed, EngineError> {
        let Observed::Ended(ended) = &seen.observed else { return Ok(seen.observed.clone()) };
        let mut ended = ended.clone();
        match ended.outcome {
            Outcome::Failed => {
                // A job has ended although nobody can say why.
                let failures = match self.failures(&seen.reference).await {
                    Err(error @ EngineError::NotSent(_)) => return Err(error),
                    failures => failures.unwrap_or_default(),
                };
                ended.reason = failures.first().and_then(|trace| refusal::root_cause(trace));
            }
            Outcome::Succeeded if self.settings.stop_with_savepoint.is_some() => {
                let savepoint = self.savepoint_of(&seen.reference).await?;
                ended.reason = savepoint.map(|path| format!("its last savepoint is {path}"));
            }
            _ => {}
        }
        Ok(Observed::Ended(ended))
    }

    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        self.submit_job(launch).await
    }

    async fn kill(&self, _: JobRef<'_>, seen: &Seen, how: Stop) -> Result<(), EngineError> {
        let id = &seen.reference;
        if let (Stop::Gently, Some(target)) = (how, &self.settings.stop_with_savepoint)
            && self.stop_with_savepoint(id, target).await?
        {
            return Ok(());
        }
        let path = format!("/jobs/{id}?mode=cancel");
        let answer = self.rest.send(Method::PATCH, &path, |request| request).await?;
        match answer.status {
            // It ended, or is unknown, since the list was made.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(()),
            _ => answer.good().map(|_| ()),
        }
    }

    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let id = job_id(job.tag);
        let ended = matches!(self.last().get(&id).map(|seen| &seen.observed), Some(Observed::Ended(_)));
        match stream {
            Stream::Stdout => self.spools.stdout(&self.rest, job.tag, ended, offset, limit).await,
            Stream::Stderr => {
                let failures = if ended { self.failures(&id).await? } else { Vec::new() };
                logs::stderr(&self.rest, &id, &failures, offset, limit).await
            }
        }
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.ids.forget(job.tag).map_err(EngineError::Unreachable)
    }
}
