//! YARN: applications of a ResourceManager, asked and stopped by its REST, submitted by programs of this host (docs/engines/yarn.md).
//!
//! A Spark job is handed over by spark-submit in cluster mode, whose supervisor's decision file keeps a second one from being started;
//! afterwards it is the application with its tag. All other jobs are a client on this host together with the applications that it
//! starts: they run as long as either of them, and end as the client ended.

mod apps;
mod logs;
mod statements;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use foggara_domain::{Tag, Timestamp, execution::Progress, plan::PlanKind};
use reqwest::Method;
use serde_json::json;
use url::form_urlencoded;

use self::apps::{App, AppAnswer, AppsAnswer, Info, InfoAnswer, best};
pub(crate) use self::statements::WithStatements;
use crate::{
    Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided,
    local::{ClientState, Local, LocalSettings, Role, YarnClients, ability_on_yarn},
    remote::{
        Seen, Service, Survey,
        rest::{Auth, Rest, RestSettings},
        spnego::Spnego,
    },
};

/// How long after the end of a submitter that was cut off its request may still take effect.
pub(crate) const MARGIN: Duration = Duration::from_secs(30);
/// How often a submitter is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long the end of a killed submitter is waited for.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// How ids of applications begin.
const APPLICATION: &str = "application_";

/// Settings of a cluster.
pub(crate) struct YarnSettings {
    /// The ResourceManager.
    pub resource_manager: RestSettings,
    /// Who has the logs when an application is over.
    pub history_server: Option<RestSettings>,
    /// How long a submission that was cut off may still take effect.
    pub margin: Duration,
    /// The log-in, where it is by Kerberos.
    pub spnego: Option<Arc<Spnego>>,
    /// The user for whom we act, where that is not who we are.
    pub acts_for: Option<String>,
    /// Jobs that run at once.
    pub max_running: Option<usize>,
    /// What every tag of this installation begins with.
    pub prefix: String,
    /// What is started on this host.
    pub clients: YarnClients,
}

/// The service.
pub(crate) struct Yarn {
    rest: Rest,
    history: Option<Rest>,
    local: Local,
    local_settings: LocalSettings,
    settings: YarnSettings,
    /// What the local attempt of a tag is; it never changes.
    roles: Mutex<BTreeMap<Tag, Option<Role>>>,
    /// How far the jobs of the last list are.
    progress: Mutex<BTreeMap<Tag, Progress>>,
    /// Clients of NodeManagers by their address.
    nodes: Mutex<BTreeMap<String, Arc<Rest>>>,
}

impl Yarn {
    /// The error is for the user.
    pub fn new(settings: YarnSettings, local_settings: LocalSettings) -> Result<Self, String> {
        let rest = Rest::new(settings.resource_manager.clone())?;
        let history = settings.history_server.clone().map(Rest::new).transpose()?;
        let local = Local::new(local_settings.clone()).map_err(|error| format!("the local engine: {error}"))?;
        let (roles, progress, nodes) = Default::default();
        Ok(Self { rest, history, local, local_settings, settings, roles, progress, nodes })
    }

    /// A path with the user for whom we act.
    fn path(&self, path: &str) -> String {
        let Some(user) = &self.settings.acts_for else { return path.to_owned() };
        let user: String = form_urlencoded::byte_serialize(user.as_bytes()).collect();
        format!("{path}{}doAs={user}", if path.contains('?') { '&' } else { '?' })
    }

    /// The ResourceManager that is asked, if it is ready. One that stands by answers this itself, so that something else is asked
    /// for before, which finds the active one.
    async fn info(&self) -> Result<Info, EngineError> {
        let answer: InfoAnswer = self.rest.get(&self.path("/ws/v1/cluster/info")).await?;
        match answer.info.trouble() {
            Some(why) => Err(EngineError::NotSent(why)),
            None => Ok(answer.info),
        }
    }

    /// The version and the state of the ResourceManager, for a look at the cluster.
    pub async fn described(&self) -> Result<String, EngineError> {
        self.tagged(&self.settings.clients.installation).await?;
        let info = self.info().await?;
        Ok(format!("the ResourceManager {} is {}", info.resource_manager_version, info.ha_state))
    }

    /// The applications with a tag.
    async fn tagged(&self, tag: &str) -> Result<Vec<App>, EngineError> {
        let tag: String = form_urlencoded::byte_serialize(tag.as_bytes()).collect();
        let path = format!("/ws/v1/cluster/apps?applicationTags={tag}&deSelects=resourceRequests");
        Ok(self.rest.get::<AppsAnswer>(&self.path(&path)).await?.into_apps())
    }

    /// One application; nothing when the ResourceManager does not know it (any more).
    async fn application(&self, id: &str) -> Result<Option<App>, EngineError> {
        let path = self.path(&format!("/ws/v1/cluster/apps/{id}"));
        let answer = self.rest.send(Method::GET, &path, |request| request).await?.found()?;
        answer.map(|answer| answer.json::<AppAnswer>().map(|answer| answer.app)).transpose()
    }

    fn roles(&self) -> std::sync::MutexGuard<'_, BTreeMap<Tag, Option<Role>>> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the local attempt of a tag is; read once, since a tag has one attempt.
    fn role(&self, tag: &Tag) -> Result<Option<Role>, EngineError> {
        if let Some(role) = self.roles().get(tag) {
            return Ok(*role);
        }
        let role = self.local.client(tag)?.map(|client| client.role);
        self.roles().insert(tag.clone(), role);
        Ok(role)
    }

    /// How a job is that has these applications.
    fn seen(&self, tag: &Tag, apps: &[App]) -> Result<Option<Seen>, EngineError> {
        if self.role(tag)? == Some(Role::Client)
            && let Some(client) = self.local.client(tag)?
        {
            return Ok(Some(of_client(tag, &client, apps)));
        }
        Ok(best(apps).map(|app| Seen { reference: app.id.clone(), observed: app.observed() }))
    }

    /// Whether what a submitter sent before it was cut off may still take effect.
    fn may_come(&self, job: JobRef<'_>, submitter: &ClientState) -> bool {
        // Where nobody saw its end, it was over at the latest when its time was.
        let sent = || job.sent_at.map(|sent| sent.plus(self.settings.clients.submit_timeout));
        let ended = submitter.ended_at.or_else(sent);
        submitter.cut_off && ended.is_some_and(|ended| now() < ended.plus(self.settings.margin))
    }

    /// Waits for the end of a submitter. The caller has a time limit of its own.
    async fn submitted(&self, tag: &Tag) -> Result<ClientState, EngineError> {
        loop {
            match self.local.client(tag)? {
                Some(client) if matches!(client.observed, Observed::Ended(_)) => return Ok(client),
                Some(_) => tokio::time::sleep(LOOK).await,
                None => return Err(EngineError::Unreachable("the attempt of this host is gone".to_owned())),
            }
        }
    }

    /// What became of a submission: the application, or why there is none.
    async fn outcome(&self, job: JobRef<'_>, was_over: bool) -> Result<App, EngineError> {
        let submitter = self.submitted(job.tag).await?;
        if let Some(app) = best(&self.tagged(job.tag.as_str()).await?) {
            return Ok(app.clone());
        }
        let Observed::Ended(ended) = &submitter.observed else {
            return Err(EngineError::Unreachable("the submission has not ended".to_owned()));
        };
        if submitter.cut_off {
            while self.may_come(job, &submitter) {
                tokio::time::sleep(LOOK).await;
            }
            if let Some(app) = best(&self.tagged(job.tag.as_str()).await?) {
                return Ok(app.clone());
            }
            let why = ended.reason.clone().unwrap_or_default();
            // Whoever saw it being cut off does not say no: that is for the next look.
            return Err(if was_over {
                EngineError::Refused(format!("spark-submit was cut off ({why}), and no application came of it"))
            } else {
                EngineError::Unreachable(format!("spark-submit was cut off ({why}) before YARN had the application"))
            });
        }
        if ended.exit_code == Some(0) {
            let why = "spark-submit ended well, and the ResourceManager shows no application with its tag yet";
            return Err(EngineError::Unreachable(why.to_owned()));
        }
        let words = self.local.last_words(job.tag).await.unwrap_or_else(|| "it said nothing".to_owned());
        let how = ended.reason.clone().unwrap_or_else(|| "it failed".to_owned());
        Err(EngineError::Refused(format!("spark-submit could not submit the job to YARN ({how}): {words}")))
    }

    async fn kill_application(&self, app: &App) -> Result<(), EngineError> {
        let path = self.path(&format!("/ws/v1/cluster/apps/{}/state", app.id));
        let fill = |request: reqwest::RequestBuilder| {
            // Clusters that guard against forged requests of browsers want any such header.
            request.header("X-XSRF-Header", "foggara").json(&json!({"state": "KILLED"}))
        };
        // 202: it is being killed; 200: it is; 404: it is forgotten, and so over.
        self.rest.send(Method::PUT, &path, fill).await?.found().map(|_| ())
    }

    fn node(&self, address: &str) -> Result<Arc<Rest>, EngineError> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        let of_manager = &self.settings.resource_manager;
        // A token is for the gateway that it was given for, and not for whichever address stands in an answer.
        let auth = match &of_manager.auth {
            Auth::TokenFile(_) | Auth::Bearer(_) => Auth::None,
            auth => auth.clone(),
        };
        let settings =
            RestSettings { service: "the NodeManager", urls: address.to_owned(), auth, ..of_manager.clone() };
        let node = Arc::new(Rest::new(settings).map_err(EngineError::Unreachable)?);
        nodes.insert(address.to_owned(), Arc::clone(&node));
        Ok(node)
    }
}

/// The present time.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// How a job of a client and these applications is.
fn of_client(tag: &Tag, client: &ClientState, apps: &[App]) -> Seen {
    let live = best(apps).filter(|app| !app.is_over());
    let observed = match (&client.observed, live) {
        (Observed::Ended(_), Some(app)) => {
            Observed::Running { state: Some(format!("its client is over, {} is {}", app.id, app.state)) }
        }
        (ended @ Observed::Ended(_), None) => ended.clone(),
        (_, Some(app)) => match app.observed() {
            Observed::Queued { state } | Observed::Running { state } => Observed::Running { state },
            _ => Observed::Running { state: None },
        },
        (_, None) => Observed::Running { state: None },
    };
    Seen { reference: tag.to_string(), observed }
}

#[async_trait]
impl Service for Yarn {
    fn plugin(&self) -> &'static str {
        "yarn"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        ability_on_yarn(kind, &self.local_settings, &self.settings.clients)
    }

    fn max_running(&self) -> Option<usize> {
        self.settings.max_running
    }

    /// A submission, and what it may still do after it was cut off.
    fn launch_limit(&self) -> Duration {
        self.settings.clients.submit_timeout + self.settings.margin + KILLED_WITHIN
    }

    async fn survey(&self) -> Result<Survey, EngineError> {
        let mut by_tag: BTreeMap<Tag, Vec<App>> = BTreeMap::new();
        let (prefix, installation) = (&self.settings.prefix, &self.settings.clients.installation);
        for app in self.tagged(installation).await? {
            if let Some(tag) = app.tag(prefix, installation) {
                by_tag.entry(tag).or_default().push(app);
            }
        }
        let info = self.info().await?;
        for tag in self.local.list(prefix).await? {
            if self.role(&tag)? == Some(Role::Client) {
                by_tag.entry(tag).or_default();
            }
        }
        self.roles().retain(|tag, _| by_tag.contains_key(tag));
        let (mut jobs, mut progress) = (BTreeMap::new(), BTreeMap::new());
        for (tag, apps) in by_tag {
            progress.extend(best(&apps).map(|app| (tag.clone(), Progress::of(app.progress))));
            if let Some(seen) = self.seen(&tag, &apps)? {
                jobs.insert(tag, seen);
            }
        }
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        if let Some(spnego) = &self.settings.spnego {
            // Clients that run for long read the ticket from the cache that they were started with. As long as our cookie holds,
            // the list is good without a new one; that there is none stands in our log, and in the answer to the next launch.
            let _ = spnego.keep_ticket().await;
        }
        Ok(Survey { incarnation: info.id.to_string(), jobs })
    }

    /// An application that the list left out or that was forgotten; a client whose applications are not (or no longer) there; a
    /// submitter that may still bring one.
    async fn look_for(&self, job: JobRef<'_>, _: &Survey) -> Result<Option<Seen>, EngineError> {
        let client = self.local.client(job.tag)?;
        match &client {
            Some(client) if client.role == Role::Client => return Ok(Some(of_client(job.tag, client, &[]))),
            Some(submitter) if !matches!(submitter.observed, Observed::Ended(_)) => {
                return Err(EngineError::Unreachable("spark-submit is still at handing it over to YARN".to_owned()));
            }
            _ => {}
        }
        if let Some(id) = job.reference.filter(|reference| reference.starts_with(APPLICATION)) {
            let app = self.application(id).await?;
            return Ok(app.map(|app| Seen { observed: app.observed(), reference: app.id }));
        }
        if client.is_some_and(|submitter| self.may_come(job, &submitter)) {
            let why = "spark-submit was cut off a moment ago, and YARN may still take the application";
            return Err(EngineError::Unreachable(why.to_owned()));
        }
        Ok(None)
    }

    /// What a client of ours tells has counters too; of all others it is what the list says.
    fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        let listed = || self.progress.lock().unwrap_or_else(PoisonError::into_inner).get(job.tag).cloned();
        self.local.told_progress(job.tag).or_else(listed)
    }

    async fn submit(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        let job = JobRef { sent_at: Some(now()), ..JobRef::from(launch.tag) };
        // Asked for before anything is started: a client of a ResourceManager that is away would wait for it for minutes.
        self.tagged(launch.tag.as_str()).await?;
        let incarnation = self.info().await?.id.to_string();
        if let Some(spnego) = &self.settings.spnego {
            spnego.keep_ticket().await.map_err(EngineError::NotSent)?;
        }
        let before = self.local.client(launch.tag)?;
        let was_over = before.is_some_and(|client| matches!(client.observed, Observed::Ended(_)));
        let started = self.local.start_on_yarn(launch, &self.settings.clients).await?;
        self.roles().remove(launch.tag);
        if self.role(launch.tag)? == Some(Role::Client) {
            return Ok(Launched { reference: started.reference, incarnation, note: None });
        }
        let app = self.outcome(job, was_over).await?;
        Ok(Launched { reference: app.id, incarnation, note: None })
    }

    /// No submitter is started for it any more, and one that runs is killed. A client is a part of the job: it is stopped with it.
    async fn rule_out(&self, job: JobRef<'_>, why: &str) -> Result<(), EngineError> {
        if self.local.void(job, why).await? == Voided::Yes {
            return Ok(());
        }
        let runs = |client: &ClientState| !matches!(client.observed, Observed::Ended(_));
        match self.local.client(job.tag)? {
            Some(client) if client.role == Role::Submitter && runs(&client) => {}
            _ => return Ok(()),
        }
        self.local.stop(job, Stop::Hard).await?;
        let ended = tokio::time::timeout(KILLED_WITHIN, self.submitted(job.tag)).await;
        ended
            .map_err(|_| EngineError::Unreachable("spark-submit was killed and is not gone yet".to_owned()))?
            .map(|_| ())
    }

    async fn kill(&self, job: JobRef<'_>, seen: &Seen, how: Stop) -> Result<(), EngineError> {
        if self.role(job.tag)? == Some(Role::Client) {
            // First, so that it starts no further application.
            self.local.stop(job, how).await?;
        }
        let mut apps = self.tagged(job.tag.as_str()).await?;
        if !apps.iter().any(|app| app.id == seen.reference) && seen.reference.starts_with(APPLICATION) {
            apps.extend(self.application(&seen.reference).await?);
        }
        for app in apps.iter().filter(|app| !app.is_over()) {
            self.kill_application(app).await?;
        }
        Ok(())
    }

    async fn log(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let app = match job.reference.filter(|reference| reference.starts_with(APPLICATION)) {
            Some(id) => self.application(id).await?,
            None if self.role(job.tag)? == Some(Role::Client) => None,
            None => best(&self.tagged(job.tag.as_str()).await?).cloned(),
        };
        // A client's own words; of a submission those that tell why there is no application.
        let Some(app) = app else { return self.local.logs(job, stream, offset, limit).await };
        let empty = LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 };
        let Some((address, container)) = app.container() else { return Ok(empty) };
        let which = (container.as_str(), stream.name());
        let node = self.node(&address)?;
        let of_node = logs::piece(&node, |path| self.path(path), "/ws/v1/node", which, offset, limit).await;
        match (of_node, &self.history) {
            (Ok(Some(piece)), _) => Ok(piece),
            (Ok(None), None) => Ok(empty),
            (Err(error), None) => Err(error),
            (_, Some(history)) => {
                let piece =
                    logs::piece(history, |path| self.path(path), "/ws/v1/history", which, offset, limit).await?;
                match piece {
                    Some(piece) => Ok(piece),
                    None if app.is_over() => Err(EngineError::Unreachable(format!(
                        "the logs of {} are not collected yet: neither {address} nor the history server has them",
                        app.id
                    ))),
                    None => Ok(empty),
                }
            }
        }
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.roles().remove(job.tag);
        self.local.forget(job).await
    }
}
