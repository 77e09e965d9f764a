//! Engines that are services elsewhere: [`Remote`] makes an [`Engine`] of what a service's API can do.
//!
//! What all of them share is here: one list of all jobs per period instead of a question per job, launches that are ruled out,
//! and logs that are kept when the job is over, since the service forgets them. What is their own is a [`Service`]: how the list
//! is read, how a job is submitted so that it is found by its tag, how it is killed.

pub(crate) mod reach;
pub mod rest;
pub mod speech;
pub mod spnego;
mod survey;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foggara_domain::{Tag, execution::Progress, plan::PlanKind};
use tokio::sync::Notify;

use self::survey::Surveys;
pub use self::survey::{Seen, Survey};
use crate::{
    Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided, jars,
    local::read_log,
};

/// How old a list may be to answer how a job is. The owner asks every second; together a change is noticed within two.
const PERIOD: Duration = Duration::from_millis(500);
/// How much of a log is fetched at once when it is kept.
const PIECE: usize = 1 << 20;
/// How long the copying of logs may hold up an end. What is not had by then is read from the service, as long as that has it.
const KEEPING: Duration = Duration::from_secs(10);
/// Says beside a job's logs that they are whole.
const KEPT: &str = ".kept";

/// What a service elsewhere can do. Errors: [`EngineError::Unreachable`] when nothing is known, [`EngineError::NotSent`] when no
/// connection came about, [`EngineError::Refused`] when it said no to a submission, [`EngineError::Full`] when it had no room for one.
#[async_trait]
pub trait Service: Send + Sync {
    /// Name of the plugin.
    fn plugin(&self) -> &'static str;

    /// Whether it runs this kind of plan.
    fn ability(&self, kind: PlanKind) -> Ability;

    /// See [`Engine::max_running`].
    fn max_running(&self) -> Option<usize>;

    /// See [`Engine::launch_limit`].
    fn launch_limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// See [`Engine::repeats`].
    fn repeats(&self) -> bool {
        true
    }

    /// See [`Engine::artifacts`].
    fn artifacts(&self) -> Option<&str> {
        None
    }

    /// See [`Engine::opens_urls`].
    fn opens_urls(&self) -> bool {
        true
    }

    /// Whether a survey may lag behind the service by a moment: it is kept by a watch. Then [`Service::look_for`] reads what the service
    /// has now, and decides alone about launches and stops, also of jobs that the survey has; and [`Service::last_word`] makes sure
    /// that an end is one.
    fn lags(&self) -> bool {
        false
    }

    /// All jobs of this installation that the service has, also ended ones that it still knows, in as few requests as it takes and
    /// never one per job. It fails unless the service is ready: what is missing in a list of a service that is still starting is
    /// not gone.
    async fn survey(&self) -> Result<Survey, EngineError>;

    /// A job that is not in the list, for services that can be asked for it in another way or that have a word to say before they
    /// call it absent. Asked for jobs only that were launched, and whose absence somebody wants to know.
    async fn look_for(&self, job: JobRef<'_>, survey: &Survey) -> Result<Option<Seen>, EngineError> {
        let _ = (job, survey);
        Ok(None)
    }

    /// More about a job that the list shows as ended: the reason, which the list may lack, or that something of it is left. Asked once
    /// or a few times per job.
    async fn last_word(&self, job: JobRef<'_>, seen: &Seen) -> Result<Observed, EngineError> {
        let _ = job;
        Ok(seen.observed.clone())
    }

    /// How far a job is: what the last list said of it, or a file of this host. No request.
    fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        let _ = job;
        None
    }

    /// Submits a job so that it is found by its tag. It was looked for before and was not there.
    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError>;

    /// Whether a job in the list was launched completely. [`Engine::find`] does not know one that was not, so that its launch is
    /// repeated; a stop and the sweep do.
    fn is_whole(&self, seen: &Seen) -> bool {
        let _ = seen;
        true
    }

    /// Keeps whatever a submission left behind on this side from having an effect later (a client process that still runs). Done
    /// before the service is asked whether it has the job, and also while [`Service::submit`] is under way.
    async fn rule_out(&self, job: JobRef<'_>, why: &str) -> Result<(), EngineError> {
        let _ = (job, why);
        Ok(())
    }

    /// Sends a stop to a job that the list shows as not ended.
    async fn kill(&self, job: JobRef<'_>, seen: &Seen, how: Stop) -> Result<(), EngineError>;

    /// See [`Engine::suspends`].
    fn suspends(&self) -> bool {
        false
    }

    /// Suspends a job that the list shows as not ended, and gives the word for it. Called only where [`Service::suspends`] says so.
    async fn suspend(&self, job: JobRef<'_>, seen: &Seen) -> Result<String, EngineError> {
        let _ = (job, seen);
        Err(EngineError::Unsupported(format!("plugin '{}' cannot suspend jobs", self.plugin())))
    }

    /// Bytes of a log from an offset on, as long as the service has it; empty where there is none (yet).
    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError>;

    /// The end of a job that was stopped is stored and so are its logs, if anybody may read them: the service need not have it any more.
    async fn release(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        let _ = job;
        Ok(())
    }

    /// Removes what this side keeps of a job.
    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        let _ = job;
        Ok(())
    }
}

/// What every remote engine is told.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// What every tag of this installation begins with ([`Tag::prefix`]).
    pub prefix: String,
    /// The data directory: kept logs lie in `logs/<tag>` below it, where the application also removes them.
    pub data_dir: PathBuf,
    /// Bytes kept of each log of a job.
    pub log_limit: u64,
}

/// The engine of a service.
pub struct Remote<S> {
    service: S,
    settings: RemoteSettings,
    surveys: Surveys,
    launches: Mutex<Launches>,
    changed: Arc<Notify>,
}

/// What this process knows of launches; the database and the service know the rest.
#[derive(Default)]
struct Launches {
    /// Being submitted.
    under_way: BTreeSet<Tag>,
    /// Ruled out.
    void: BTreeSet<Tag>,
    /// Answered at this time: a list that was begun earlier need not hold them.
    known: BTreeMap<Tag, Instant>,
}

/// A launch under way, until it is dropped, also with the task that waited for it.
struct UnderWay<'a> {
    launches: &'a Mutex<Launches>,
    tag: &'a Tag,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut launches = self.launches.lock().unwrap_or_else(PoisonError::into_inner);
        launches.under_way.remove(self.tag);
        // Whether it had an effect or not: no list from before may answer for it.
        launches.known.insert(self.tag.clone(), Instant::now());
    }
}

impl<S: Service> Remote<S> {
    /// The engine of a service.
    pub fn new(service: S, settings: RemoteSettings) -> Self {
        Self {
            service,
            settings,
            surveys: Surveys::default(),
            launches: Mutex::default(),
            changed: Arc::new(Notify::new()),
        }
    }

    fn launches(&self) -> std::sync::MutexGuard<'_, Launches> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list that was begun now or later.
    async fn fresh(&self) -> Result<Arc<Survey>, EngineError> {
        self.surveys.since(Instant::now(), &self.service).await
    }

    /// A list that is new enough to say how a job is.
    async fn recent(&self, tag: &Tag) -> Result<Arc<Survey>, EngineError> {
        let known = self.launches().known.get(tag).copied();
        let survey = self.surveys.recent(PERIOD, known, &self.service).await?;
        // Whatever list there is from now on was begun later.
        let mut launches = self.launches();
        if launches.known.get(tag).copied() == known {
            launches.known.remove(tag);
        }
        drop(launches);
        Ok(survey)
    }

    async fn seen(&self, job: JobRef<'_>, survey: &Survey) -> Result<Option<Seen>, EngineError> {
        match survey.jobs.get(job.tag) {
            Some(seen) => Ok(Some(seen.clone())),
            None => self.service.look_for(job, survey).await,
        }
    }

    /// How a job is now, where a launch or a stop depends on it.
    async fn now(&self, job: JobRef<'_>, survey: &Survey) -> Result<Option<Seen>, EngineError> {
        if self.service.lags() { self.service.look_for(job, survey).await } else { self.seen(job, survey).await }
    }

    fn logs_folder(&self, tag: &Tag) -> PathBuf {
        self.settings.data_dir.join("logs").join(tag.as_str())
    }

    /// Copies the logs of an ended job, while the service has them. What cannot be had does not keep the job from its end.
    async fn keep_logs(&self, job: JobRef<'_>) {
        let folder = self.logs_folder(job.tag);
        if folder.join(KEPT).exists() {
            return;
        }
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let kept = async {
            fs::create_dir_all(&folder).map_err(failed)?;
            for stream in [Stream::Stdout, Stream::Stderr] {
                self.keep_log(job, stream, &folder).await?;
            }
            fs::write(folder.join(KEPT), "").map_err(failed)
        };
        let kept: Result<(), String> = kept.await;
        if let Err(why) = kept {
            tracing::warn!(tag = %job.tag, "the log of an ended job cannot be kept: {why}");
        }
    }

    async fn keep_log(&self, job: JobRef<'_>, stream: Stream, folder: &Path) -> Result<(), String> {
        use std::io::Write;
        let part = folder.join(format!(".{}.part", stream.name()));
        let failed = |error: std::io::Error| format!("{}: {error}", part.display());
        let mut file = fs::File::create(&part).map_err(failed)?;
        let mut offset = 0;
        loop {
            let piece = self.service.log(job, stream, offset, PIECE).await.map_err(|error| error.to_string())?;
            if piece.bytes.is_empty() {
                break;
            }
            file.write_all(&piece.bytes).map_err(failed)?;
            offset = piece.next_offset;
            if offset >= self.settings.log_limit {
                let words = b"\n[... the rest of this log was left out: it is over its limit ...]\n";
                file.write_all(words).map_err(failed)?;
                break;
            }
        }
        fs::rename(&part, folder.join(stream.name())).map_err(failed)
    }
}

#[async_trait]
impl<S: Service> Engine for Remote<S> {
    fn plugin(&self) -> &'static str {
        self.service.plugin()
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        self.service.ability(kind)
    }

    fn max_running(&self) -> Option<usize> {
        self.service.max_running()
    }

    fn launch_limit(&self) -> Duration {
        self.service.launch_limit()
    }

    fn repeats(&self) -> bool {
        self.service.repeats()
    }

    fn artifacts(&self) -> Option<&str> {
        self.service.artifacts()
    }

    fn opens_urls(&self) -> bool {
        self.service.opens_urls()
    }

    fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        let survey = self.fresh().await?;
        let seen = self.now(job, &survey).await?.filter(|seen| self.service.is_whole(seen));
        Ok(seen.map(|seen| Launched { reference: seen.reference, incarnation: survey.incarnation.clone(), note: None }))
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        launch.plan.map_or(Ok(()), jars::check).map_err(EngineError::Refused)?;
        let _under_way = {
            let mut launches = self.launches();
            if launches.void.contains(launch.tag) {
                return Err(EngineError::Voided);
            }
            if !launches.under_way.insert(launch.tag.clone()) {
                return Err(EngineError::Unreachable("its launch is under way already".to_owned()));
            }
            UnderWay { launches: &self.launches, tag: launch.tag }
        };
        self.service.submit(&launch).await
    }

    /// Waits for nothing: while the launch is under way nobody can say, and the caller asks again (lifecycle.md "Stop until gone").
    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError> {
        self.launches().void.insert(job.tag.clone());
        // Also while the launch is under way: a client process need not run to its end.
        self.service.rule_out(job, why).await?;
        if self.launches().under_way.contains(job.tag) {
            return Err(EngineError::Unreachable("its launch is under way; the answer is awaited".to_owned()));
        }
        // Also one that is not whole yet: it is there, and has to go.
        let survey = self.fresh().await?;
        let found = self.now(job, &survey).await?;
        // Where a lost launch may have had an effect that cannot be found, only stopping it is safe.
        let may_be_there = !self.service.repeats() && job.sent_at.is_some();
        Ok(if found.is_some() || may_be_there { Voided::TooLate } else { Voided::Yes })
    }

    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError> {
        let survey = self.recent(job.tag).await?;
        let Some(seen) = self.seen(job, &survey).await? else {
            return Ok(Observed::Absent { incarnation: survey.incarnation.clone() });
        };
        if !matches!(seen.observed, Observed::Ended(_)) {
            return Ok(seen.observed);
        }
        let last = self.service.last_word(job, &seen).await?;
        if matches!(last, Observed::Ended(_)) && tokio::time::timeout(KEEPING, self.keep_logs(job)).await.is_err() {
            tracing::warn!(tag = %job.tag, "the log of an ended job takes too long to copy: it stays with the service");
        }
        Ok(last)
    }

    async fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        self.service.progress(job)
    }

    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError> {
        let survey = self.recent(job.tag).await?;
        match self.now(job, &survey).await? {
            Some(seen) if !matches!(seen.observed, Observed::Ended(_)) => self.service.kill(job, &seen, how).await,
            _ => Ok(()),
        }
    }

    fn suspends(&self) -> bool {
        self.service.suspends()
    }

    async fn suspend(&self, job: JobRef<'_>) -> Result<String, EngineError> {
        let survey = self.recent(job.tag).await?;
        match self.now(job, &survey).await? {
            Some(seen) if !matches!(seen.observed, Observed::Ended(_)) => self.service.suspend(job, &seen).await,
            _ => Err(EngineError::Refused("it runs no more".to_owned())),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        let survey = self.fresh().await?;
        let live = survey.jobs.iter().filter(|(_, seen)| !matches!(seen.observed, Observed::Ended(_)));
        Ok(live.map(|(tag, _)| tag.clone()).filter(|tag| tag.as_str().starts_with(prefix)).collect())
    }

    async fn logs(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let folder = self.logs_folder(job.tag);
        if !folder.join(KEPT).exists() {
            return self.service.log(job, stream, offset, limit).await;
        }
        let file = folder.join(stream.name());
        read_log(&file, offset, limit).map_err(|error| EngineError::Unreachable(format!("{}: {error}", file.display())))
    }

    /// A log that could not be kept is still read from the service, which then keeps the job as long as one that ended by itself.
    async fn release(&self, job: JobRef<'_>, logs: bool) -> Result<(), EngineError> {
        if logs && !self.logs_folder(job.tag).join(KEPT).exists() {
            return Ok(());
        }
        self.service.release(job).await
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.service.forget(job).await?;
        let mut launches = self.launches();
        launches.void.remove(job.tag);
        launches.known.remove(job.tag);
        Ok(())
    }
}
