//! Spark on Kubernetes: the driver is a pod whose name is the tag, made by REST without a JVM on this side.
//!
//! A launch is three requests. The pod comes first, because its name makes a second one impossible; it waits for its volume.
//! Then its Secret with the settings and the small files, which the pod owns, so that neither outlives the other. Last a note on
//! the pod that the launch is whole: [`Service::is_whole`] tells those that a crash cut short, and such a launch is repeated.
//! Executors carry the labels too: a job is over when neither its driver nor an executor lives.

mod api;
mod driver;
mod files;
mod log;
mod news;
mod pods;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind, status::Outcome};
use serde_json::{Map, Value};

pub use self::api::Right;
use self::{
    api::{Api, Made},
    log::Mirrors,
    pods::{Pod, WHOLE},
    watch::{Told, Watch},
};
use crate::{
    Ability, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream,
    remote::{RemoteSettings, Seen, Service, Survey},
};

/// Where a pod finds who it is to the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The word for [`KubernetesSettings::server`] that means: where foggara itself runs.
pub const IN_CLUSTER: &str = "in-cluster";
/// The label with the tag's installation; a selector finds all of ours by it.
const INSTALLATION: &str = "foggara-installation";
/// The label with the tag.
const ID: &str = "foggara-id";
/// The driver's container, as Spark calls it too.
const CONTAINER: &str = "spark-kubernetes-driver";
/// When a pod that was deleted and is still there is deleted again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a hard stop may wait for the rest of a log.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// Pods and executors that one round removes.
const A_FEW: usize = 5;

/// A cluster of Kubernetes as a cluster of foggara.
#[derive(Clone, Debug)]
pub struct KubernetesSettings {
    /// Address of the API server, or [`IN_CLUSTER`].
    pub server: String,
    /// The CA of the API server (PEM); in the cluster the one that every pod is given.
    pub ca_file: Option<PathBuf>,
    /// A token, read anew for each request; in the cluster the one that every pod is given.
    pub token_file: Option<PathBuf>,
    /// The namespace of the jobs.
    pub namespace: String,
    /// The account of the drivers, by which they make their executors.
    pub service_account: String,
    /// Image with Spark, for driver and executors of jobs that name none.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// What the driver's pod is made of beyond ours; see [`driver::check_template`].
    pub pod_template: Map<String, Value>,
    /// Url of a store where the files of jobs are put for the pods.
    pub artifacts: Option<String>,
    /// Jobs that run at once.
    pub max_running: usize,
    /// How long the pod of an ended job stays after it was first seen so.
    pub keep_ended: Duration,
    /// How long each watch of the pods goes on before it is taken up again: so long a connection may be dead that looks alive.
    pub watch_for: Duration,
    /// What every remote engine is told.
    pub remote: RemoteSettings,
}

/// The service.
pub struct Kubernetes {
    settings: KubernetesSettings,
    api: Arc<Api>,
    watch: Watch,
    mirrors: Mirrors,
    /// When a pod that ended may go: long after this process came to know it (after a long pause nobody has read it yet), or soon again
    /// when it was released and may still be there.
    ended: Mutex<BTreeMap<String, Instant>>,
}

/// The label's value: what tags begin with, without the dash at its end, where a label may have none.
fn installation(settings: &KubernetesSettings) -> String {
    settings.remote.prefix.trim_end_matches('-').to_owned()
}

impl Kubernetes {
    /// Checks the settings; the error is for the user.
    pub fn new(settings: KubernetesSettings) -> Result<Self, String> {
        driver::check_template(&settings.pod_template)?;
        let api = Arc::new(Api::new(&settings)?);
        let watch = Watch::new(Arc::clone(&api), installation(&settings), settings.watch_for);
        let mirrors = Mirrors::new(&settings.remote);
        Ok(Self { settings, api, watch, mirrors, ended: Mutex::default() })
    }

    /// Version of the API server, which answers it to anybody.
    pub async fn version(&self) -> Result<String, EngineError> {
        self.api.version().await
    }

    /// What our account lacks of what is needed.
    pub async fn lacks(&self) -> Result<Vec<Right>, EngineError> {
        self.api.lacks().await
    }

    /// Whether a driver's pod would be taken as it is made: image, account, policies and quotas are looked at and nothing is made.
    pub async fn rehearse(&self) -> Result<(), EngineError> {
        let pod = driver::rehearsal(&self.settings, &self.installation());
        self.api.create_pod(&pod, true).await.map(|_| ())
    }

    fn installation(&self) -> String {
        installation(&self.settings)
    }

    fn reference(&self, tag: &str) -> String {
        format!("{}/{tag}", self.settings.namespace)
    }

    /// Removes what is over: pods that were seen ended for long or released, until they are gone, and executors whose driver is.
    async fn tidy(&self, drivers: &BTreeMap<String, Observed>, executors: &BTreeSet<String>) {
        let over = drivers.iter().filter(|(_, observed)| matches!(observed, Observed::Ended(_)));
        let over: BTreeSet<&str> = over.map(|(name, _)| name.as_str()).collect();
        let now = Instant::now();
        let old: Vec<String> = {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.retain(|name, _| over.contains(name.as_str()));
            for name in &over {
                ended.entry((*name).to_owned()).or_insert_with(|| now + self.settings.keep_ended);
            }
            let old = ended.iter_mut().filter(|(_, due)| **due <= now).take(A_FEW);
            old.map(|(name, due)| {
                *due = now + AGAIN;
                name.clone()
            })
            .collect()
        };
        for name in &old {
            if let Err(error) = self.api.delete_pod(name, None).await {
                tracing::warn!("the pod {name} of an ended job cannot be deleted: {error}");
            }
            self.mirrors.drop(name);
        }
        for name in executors.iter().filter(|name| over.contains(name.as_str())).take(A_FEW) {
            if let Err(error) = self.api.delete_executors(name).await {
                tracing::warn!("the executors of {name}, whose driver ended, cannot be deleted: {error}");
            }
        }
    }
}

#[async_trait]
impl Service for Kubernetes {
    fn plugin(&self) -> &'static str {
        "kubernetes"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        match kind {
            PlanKind::Spark => Ability::Yes,
            _ => Ability::Never,
        }
    }

    fn max_running(&self) -> Option<usize> {
        Some(self.settings.max_running)
    }

    fn artifacts(&self) -> Option<&str> {
        self.settings.artifacts.as_deref()
    }

    fn lags(&self) -> bool {
        true
    }

    async fn survey(&self) -> Result<Survey, EngineError> {
        let Told { life, drivers, executors } = self.watch.told().await?;
        let executors: BTreeSet<String> = executors.into_values().collect();
        self.tidy(&drivers, &executors).await;
        let mut jobs = BTreeMap::new();
        for (name, observed) in drivers {
            if !(matches!(observed, Observed::Ended(_)) && executors.contains(&name)) {
                jobs.insert(Tag::from(name.clone()), Seen { reference: self.reference(&name), observed });
            }
        }
        for tag in executors {
            let seen = || Seen { reference: self.reference(&tag), observed: executors_left() };
            jobs.entry(Tag::from(tag.clone())).or_insert_with(seen);
        }
        Ok(Survey { incarnation: life, jobs })
    }

    /// The driver first: once it is over it makes no more executors, so that the later list has all that are left. The namespace last: an
    /// absence in a new life is none in the old one.
    async fn look_for(&self, job: JobRef<'_>, survey: &Survey) -> Result<Option<Seen>, EngineError> {
        let name = job.tag.as_str();
        let pod = self.api.pod(name).await?.filter(|pod| self.is_ours(pod));
        let observed = pod.map(|pod| pod.observed());
        let observed = match observed {
            Some(Observed::Ended(_)) | None if self.has_executors(name).await? => Some(executors_left()),
            None if self.api.incarnation().await? != survey.incarnation => {
                return Err(EngineError::Unreachable("the namespace was made anew just now".to_owned()));
            }
            observed => observed,
        };
        Ok(observed.map(|observed| Seen { reference: self.reference(name), observed }))
    }

    /// News of executors may come after the news that their driver ended. One that Kubernetes killed is often why the job failed.
    async fn last_word(&self, job: JobRef<'_>, seen: &Seen) -> Result<Observed, EngineError> {
        let executors = self.api.executors(job.tag.as_str()).await?;
        if executors.iter().any(|executor| !executor.has_ended()) {
            return Ok(executors_left());
        }
        let mut observed = seen.observed.clone();
        if let Observed::Ended(ended) = &mut observed
            && ended.outcome == Outcome::Failed
            && let Some(killed) = pods::killed(&executors)
        {
            let reason = ended.reason.take().unwrap_or_default();
            ended.reason = Some(format!("{reason}; {killed}"));
        }
        Ok(observed)
    }

    fn is_whole(&self, seen: &Seen) -> bool {
        !pods::is_cut_short(&seen.observed)
    }

    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        let parts = driver::parts(&self.settings, &self.installation(), launch).map_err(EngineError::Refused)?;
        let incarnation = self.api.incarnation().await?;
        let name = launch.tag.as_str();
        let pod = match self.api.create_pod(&parts.pod, false).await? {
            Made::New(pod) => *pod,
            Made::Exists => self.taken(name).await?,
        };
        if !pod.is_whole() {
            match self.api.create_secret(&parts.secret(&pod.metadata)).await {
                Err(refused @ (EngineError::Refused(_) | EngineError::Full(_))) => {
                    // Without it the pod waits for ever.
                    self.api.delete_pod(name, None).await?;
                    return Err(refused);
                }
                other => other?,
            }
            self.api.annotate(name, WHOLE).await?;
        }
        Ok(Launched { reference: self.reference(name), incarnation, note: None })
    }

    /// Gently: a deadline that is over, which the kubelet carries out with SIGTERM, the pod's grace and SIGKILL; the pod stays
    /// with its exit code and its log. A pod that has not begun has neither and is deleted. Hard: deleted with one second
    /// of grace. None at all would take the pod out of the list before the kubelet said that it is gone.
    async fn kill(&self, job: JobRef<'_>, _: &Seen, how: Stop) -> Result<(), EngineError> {
        let name = job.tag.as_str();
        let Some(pod) = self.api.pod(name).await? else { return self.api.delete_executors(name).await };
        if pod.is_over() {
            return self.api.delete_executors(name).await;
        }
        match how {
            Stop::Gently if pod.has_begun() => {
                if !self.api.end_now(name).await? {
                    self.api.delete_pod(name, None).await?;
                }
                Ok(())
            }
            Stop::Gently => self.api.delete_pod(name, None).await,
            Stop::Hard => {
                // A kubelet that does not answer holds up no stop.
                let filled = tokio::time::timeout(LAST_LOOK, self.mirrors.fill(&self.api, name, u64::MAX)).await;
                match filled {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!("the log of {name} is not had before it is deleted: {error}"),
                    Err(_) => tracing::debug!("the log of {name} is not had whole before it is deleted"),
                }
                self.api.delete_pod(name, Some(1)).await?;
                self.api.delete_executors(name).await
            }
        }
    }

    /// Kubernetes has one log of a container: all of it is standard output here.
    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        match stream {
            Stream::Stdout => self.mirrors.read(&self.api, job.tag.as_str(), offset, limit).await,
            Stream::Stderr => Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 }),
        }
    }

    /// Deletes the pod. When that fails, a later round does it ([`Kubernetes::tidy`]).
    async fn release(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        let again = Instant::now() + AGAIN;
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(job.tag.to_string(), again);
        self.mirrors.drop(job.tag.as_str());
        self.api.delete_pod(job.tag.as_str(), None).await
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.mirrors.drop(job.tag.as_str());
        self.api.delete_pod(job.tag.as_str(), None).await
    }
}

/// How a job is whose driver is over and whose executors are not.
fn executors_left() -> Observed {
    Observed::Running { state: Some("EXECUTORS LEFT".to_owned()) }
}

impl Kubernetes {
    /// Whether a pod is found by its labels too: one that is not was never ours, or was taken from us.
    fn is_ours(&self, pod: &Pod) -> bool {
        let labels = &pod.metadata.labels;
        labels.get(ID).is_some_and(|id| id == pod.name()) && labels.get(INSTALLATION) == Some(&self.installation())
    }

    async fn has_executors(&self, tag: &str) -> Result<bool, EngineError> {
        Ok(self.api.executors(tag).await?.iter().any(|executor| !executor.has_ended()))
    }

    /// A pod that was there already: ours, or somebody's who chose the same name.
    async fn taken(&self, name: &str) -> Result<Pod, EngineError> {
        match self.api.pod(name).await? {
            Some(pod) if pod.is_being_deleted() => {
                Err(EngineError::Unreachable(format!("the pod {name} is still being deleted")))
            }
            Some(pod) if pod.metadata.labels.get(ID).is_some_and(|id| id == name) => Ok(pod),
            Some(_) => Err(EngineError::Refused(format!(
                "the namespace {} has a pod {name} that is not of foggara: delete it",
                self.settings.namespace
            ))),
            None => Err(EngineError::Unreachable(format!("the pod {name} was there and is gone"))),
        }
    }
}
