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
mod pods;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind};
use serde_json::{Map, Value};

pub use self::api::Right;
use self::{
    api::{Api, Made},
    log::Mirrors,
    pods::{Pod, WHOLE},
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
    /// What every remote engine is told.
    pub remote: RemoteSettings,
}

/// The service.
pub struct Kubernetes {
    settings: KubernetesSettings,
    api: Api,
    mirrors: Mirrors,
    /// Since when this process knows that a pod ended. Not when it ended: after a long pause nobody has read it yet.
    ended: Mutex<BTreeMap<String, Instant>>,
}

impl Kubernetes {
    /// Checks the settings; the error is for the user.
    pub fn new(settings: KubernetesSettings) -> Result<Self, String> {
        driver::check_template(&settings.pod_template)?;
        let api = Api::new(&settings)?;
        let mirrors = Mirrors::new(&settings.remote);
        Ok(Self { settings, api, mirrors, ended: Mutex::default() })
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

    /// The label's value: what tags begin with, without the dash at its end, where a label may have none.
    fn installation(&self) -> String {
        self.settings.remote.prefix.trim_end_matches('-').to_owned()
    }

    fn reference(&self, tag: &str) -> String {
        format!("{}/{tag}", self.settings.namespace)
    }

    /// Removes what is over: pods that were seen ended for long, and executors whose driver is.
    async fn tidy(&self, drivers: &[Pod], executors: &BTreeSet<String>) {
        let over: BTreeSet<&str> = drivers.iter().filter(|pod| pod.is_over()).map(Pod::name).collect();
        let old: Vec<String> = {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.retain(|name, _| over.contains(name.as_str()));
            for name in &over {
                ended.entry((*name).to_owned()).or_insert_with(Instant::now);
            }
            let old = ended.iter().filter(|(_, since)| since.elapsed() >= self.settings.keep_ended);
            old.map(|(name, _)| name.clone()).take(A_FEW).collect()
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

    /// Drivers first: once a driver is over it makes no more executors, so that the later list has all that are left. The
    /// namespace last: jobs of an old life with a new life's name are harmless, the other way round they would be called gone.
    async fn survey(&self) -> Result<Survey, EngineError> {
        let installation = self.installation();
        let drivers = self.api.drivers(&installation).await?;
        let executors = self.api.living_executors(&installation).await?;
        let incarnation = self.api.incarnation().await?;
        let mut jobs = BTreeMap::new();
        for tag in &executors {
            let observed = Observed::Running { state: Some("EXECUTORS LEFT".to_owned()) };
            jobs.insert(Tag::from(tag.clone()), Seen { reference: self.reference(tag), observed });
        }
        for pod in &drivers {
            let observed = pod.observed();
            if matches!(observed, Observed::Ended(_)) && executors.contains(pod.name()) {
                continue;
            }
            jobs.insert(Tag::from(pod.name().to_owned()), Seen { reference: self.reference(pod.name()), observed });
        }
        self.tidy(&drivers, &executors).await;
        Ok(Survey { incarnation, jobs })
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
                Err(refused @ EngineError::Refused(_)) => {
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
                if let Err(error) = self.mirrors.fill(&self.api, name, u64::MAX).await {
                    tracing::debug!("the log of {name} is not had before it is deleted: {error}");
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

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.mirrors.drop(job.tag.as_str());
        self.api.delete_pod(job.tag.as_str(), None).await
    }
}

impl Kubernetes {
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
