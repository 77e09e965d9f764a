//! The simulated engine: it runs nothing and plays the states that a control file names (contract.md section 4, decision 19).
//! It exists for users who test their clients and for our own replay and fault tests, and is off unless it is configured.
//!
//! The control file is JSON and is read at launch; what it said is kept for that job: `run` (state after the launch, default
//! SUCCEEDED after `run_ms`), `status` (state at each look from then on), `cancel` (state after a stop, default KILLED),
//! `suspend` (state after a suspend), `run_error` (the launch fails with this text).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use foggara_domain::{Tag, Timestamp, plan::PlanKind, status::Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{Ability, Ended, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided};

/// Configuration of the simulated engine, `[sim]`.
#[derive(Clone, Debug)]
pub struct SimSettings {
    /// Where it keeps its jobs, so that a restart of the server forgets none.
    pub dir: PathBuf,
    /// The control file.
    pub control_file: Option<PathBuf>,
    /// How long a job runs without a control file.
    pub run: Duration,
}

/// The engine.
pub struct Sim {
    settings: SimSettings,
    changed: Arc<Notify>,
}

/// What the control file says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Control {
    run: Option<String>,
    status: Option<String>,
    cancel: Option<String>,
    suspend: Option<String>,
    run_error: Option<String>,
}

/// A job, as kept in its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    control: Control,
    launched_ms: u64,
    ends_ms: Option<u64>,
    /// When it was stopped or suspended.
    changed_ms: Option<u64>,
    cancelled: bool,
    suspended: Option<String>,
    void: bool,
}

const INCARNATION: &str = "sim";

impl Sim {
    /// Makes its folder.
    pub fn new(settings: SimSettings) -> io::Result<Self> {
        fs::create_dir_all(&settings.dir)?;
        Ok(Self { settings, changed: Arc::new(Notify::new()) })
    }

    fn file(&self, tag: &Tag) -> PathBuf {
        self.settings.dir.join(format!("{tag}.json"))
    }

    fn load(&self, tag: &Tag) -> Result<Option<Job>, EngineError> {
        match fs::read_to_string(self.file(tag)) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| broken(&self.file(tag), &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(&self.file(tag), &error)),
        }
    }

    fn save(&self, tag: &Tag, job: &Job) -> Result<(), EngineError> {
        let path = self.file(tag);
        let new = path.with_extension("new");
        let text = serde_json::to_string(job).map_err(|error| broken(&path, &error))?;
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(|error| broken(&path, &error))
    }

    fn control(&self) -> Result<Control, EngineError> {
        let Some(path) = &self.settings.control_file else { return Ok(Control::default()) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Control::default()),
            Err(error) => return Err(broken(path, &error)),
        };
        serde_json::from_str(&text).map_err(|error| broken(path, &error))
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Unreachable(format!("{}: {error}", path.display()))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A word of the control file as an observation.
fn observed(word: &str, ended_ms: u64) -> Observed {
    if let Some(outcome) = Outcome::parse(word) {
        return Observed::Ended(Ended {
            outcome,
            exit_code: None,
            reason: None,
            started_at: None,
            ended_at: i64::try_from(ended_ms).ok().map(|ms| Timestamp::from_micros(ms.saturating_mul(1000))),
            usage: None,
        });
    }
    match word {
        "PREP" | "PENDING" | "READYTORUN" => Observed::Queued { state: Some(word.to_owned()) },
        "RUNNING" => Observed::Running { state: None },
        other => Observed::Running { state: Some(other.to_owned()) },
    }
}

#[async_trait]
impl Engine for Sim {
    fn plugin(&self) -> &'static str {
        "sim"
    }

    fn ability(&self, _kind: PlanKind) -> Ability {
        Ability::Yes
    }

    fn stages(&self) -> bool {
        false
    }

    fn max_running(&self) -> Option<usize> {
        None
    }

    fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    async fn find(&self, asked: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        let job = self.load(asked.tag)?.filter(|job| !job.void);
        Ok(job.map(|_| Launched { reference: asked.tag.to_string(), incarnation: INCARNATION.to_owned(), note: None }))
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        if let Some(job) = self.load(launch.tag)? {
            return if job.void {
                Err(EngineError::Voided)
            } else {
                Ok(Launched { reference: launch.tag.to_string(), incarnation: INCARNATION.to_owned(), note: None })
            };
        }
        let control = self.control()?;
        if let Some(text) = &control.run_error {
            return Err(EngineError::Refused(text.clone()));
        }
        let launched_ms = now_ms();
        let run_ms = u64::try_from(self.settings.run.as_millis()).unwrap_or(u64::MAX);
        let ends_ms = control.run.is_none().then(|| launched_ms.saturating_add(run_ms));
        let job =
            Job { control, launched_ms, ends_ms, changed_ms: None, cancelled: false, suspended: None, void: false };
        self.save(launch.tag, &job)?;
        if ends_ms.is_some() {
            let (changed, run) = (Arc::clone(&self.changed), self.settings.run);
            tokio::spawn(async move {
                tokio::time::sleep(run).await;
                changed.notify_one();
            });
        }
        Ok(Launched { reference: launch.tag.to_string(), incarnation: INCARNATION.to_owned(), note: None })
    }

    async fn void(&self, asked: JobRef<'_>, _why: &str) -> Result<Voided, EngineError> {
        match self.load(asked.tag)? {
            Some(job) if job.void => Ok(Voided::Yes),
            Some(_) => Ok(Voided::TooLate),
            None => {
                let job = Job {
                    control: Control::default(),
                    launched_ms: now_ms(),
                    ends_ms: None,
                    changed_ms: None,
                    cancelled: true,
                    suspended: None,
                    void: true,
                };
                self.save(asked.tag, &job)?;
                Ok(Voided::Yes)
            }
        }
    }

    async fn observe(&self, asked: JobRef<'_>) -> Result<Observed, EngineError> {
        let Some(job) = self.load(asked.tag)?.filter(|job| !job.void) else {
            return Ok(Observed::Absent { incarnation: INCARNATION.to_owned() });
        };
        let changed_ms = job.changed_ms.unwrap_or(job.launched_ms);
        if job.cancelled {
            return Ok(observed(job.control.cancel.as_deref().unwrap_or("KILLED"), changed_ms));
        }
        if let Some(word) = &job.suspended {
            return Ok(observed(word, changed_ms));
        }
        if let Some(word) = job.control.status.as_ref().or(job.control.run.as_ref()) {
            return Ok(observed(word, job.launched_ms));
        }
        match job.ends_ms {
            Some(ends) if now_ms() >= ends => Ok(observed("SUCCEEDED", ends)),
            _ => Ok(Observed::Running { state: None }),
        }
    }

    async fn stop(&self, asked: JobRef<'_>, _how: Stop) -> Result<(), EngineError> {
        if let Some(mut job) = self.load(asked.tag)?.filter(|job| !job.cancelled) {
            job.cancelled = true;
            job.changed_ms = Some(now_ms());
            self.save(asked.tag, &job)?;
        }
        self.changed.notify_one();
        Ok(())
    }

    fn suspends(&self) -> bool {
        true
    }

    async fn suspend(&self, asked: JobRef<'_>) -> Result<String, EngineError> {
        let Some(mut job) = self.load(asked.tag)? else { return Err(EngineError::Refused("no such job".to_owned())) };
        let word = job.control.suspend.clone().unwrap_or_else(|| "SUSPENDED".to_owned());
        job.suspended = Some(word.clone());
        job.changed_ms = Some(now_ms());
        self.save(asked.tag, &job)?;
        Ok(word)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        let entries = fs::read_dir(&self.settings.dir).map_err(|error| broken(&self.settings.dir, &error))?;
        let mut tags = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(tag) = name.strip_suffix(".json").filter(|tag| tag.starts_with(prefix)) else { continue };
            let tag = Tag::from(tag.to_owned());
            if matches!(self.observe(JobRef::from(&tag)).await?, Observed::Running { .. } | Observed::Queued { .. }) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    async fn logs(
        &self,
        _job: JobRef<'_>,
        _stream: Stream,
        offset: u64,
        _limit: usize,
    ) -> Result<LogPiece, EngineError> {
        Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 })
    }

    async fn forget(&self, asked: JobRef<'_>) -> Result<(), EngineError> {
        match fs::remove_file(self.file(asked.tag)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(broken(&self.file(asked.tag), &error)),
            _ => Ok(()),
        }
    }
}
