//! Statements on a HiveServer2 or on Spark's Thrift server that somebody else runs.
//!
//! A job is a supervised process of this host ([`run`]), launched, found and stopped as every job of [`crate::local`]: at most one by
//! its decision file. What it runs at the server lives in a session, whose name the process notes in the attempt's folder before the
//! first statement, and removes when the session is closed. As long as the note is there the job has not ended, however its process
//! ended: the engine closes the session itself, and says "ended" when the server answers that it is closed or unknown.

mod address;
mod connection;
mod http;
mod note;
mod run;
pub(crate) mod script;
mod session;
mod tls;
mod wire;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use foggara_domain::{
    Secret, Tag,
    plan::{Plan, PlanKind, SqlScript},
    sql::SqlDialect,
};
use tokio::sync::Notify;

pub(crate) use self::address::Address;
use self::{
    address::Login,
    note::{NOTE, Note},
    session::Trouble,
};
use crate::{
    Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Results, Stop, Stream, Voided,
    local::{Command, Local, LocalSettings, TIME_LIMIT, private, results_folder, time_limit},
};

/// How long the server may take to close a session of a job whose process is gone.
const CLOSE: Duration = Duration::from_secs(15);

/// Where statements go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiveSettings {
    pub(crate) address: Address,
    /// Name at the server.
    pub(crate) user: String,
    /// A file with the password.
    pub(crate) password_file: Option<PathBuf>,
    /// Whether it is Spark's Thrift server, which understands Spark's words too.
    pub(crate) is_spark: bool,
}

impl HiveSettings {
    /// Spark's Thrift server at an address, without a password.
    pub fn of_spark(url: &str) -> Result<Self, String> {
        Ok(Self { address: Address::parse(url)?, user: "foggara".to_owned(), password_file: None, is_spark: true })
    }

    /// The same, with certificates (PEM) that are trusted beside the system's for `;ssl=true`.
    #[must_use]
    pub fn trusting(mut self, ca_file: PathBuf) -> Self {
        self.address.ca_file = Some(ca_file);
        self
    }

    /// The same, with a password in a file.
    #[must_use]
    pub fn with_password_file(mut self, file: PathBuf) -> Self {
        self.password_file = Some(file);
        self
    }

    fn login(&self) -> Result<Login, String> {
        let password = match &self.password_file {
            // Servers that ask for none take any.
            None => "anonymous".to_owned(),
            Some(file) => {
                let text = fs::read_to_string(file);
                let text = text.map_err(|error| format!("the password of hive: {}: {error}", file.display()))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        Ok(Login { user: self.user.clone(), password: Secret::new(password) })
    }

    /// Opens and closes a session. Blocks for seconds.
    pub(crate) fn try_out(&self) -> Result<(), String> {
        let login = self.login()?;
        let opened = session::Session::open(&self.address, &login, &self.address.database, &[], CLOSE);
        let words = |trouble: Trouble| trouble.words();
        let session = opened.map_err(words)?;
        session::close(&self.address, &login, &session.handle, CLOSE).map_err(words)
    }
}

/// The command of a plan of statements.
pub(crate) fn command(
    plan: &Plan,
    hive: &HiveSettings,
    settings: &LocalSettings,
    workspace: &Path,
    logs: &Path,
    fault: &Path,
) -> Result<Command, String> {
    let Plan::Sql { script, dialect, database, variables, settings: given, .. } = plan else {
        return Err("a Hive cluster runs statements of SQL and nothing else".to_owned());
    };
    match dialect {
        SqlDialect::Presto => return Err("HiveServer2 does not speak Presto's words".to_owned()),
        SqlDialect::Spark if !hive.is_spark => {
            return Err("the cluster is a HiveServer2 and the statements are Spark's: its setting hive.server says 'spark' when it \
                        is Spark's Thrift server"
                .to_owned());
        }
        SqlDialect::Spark | SqlDialect::Hive => {}
    }
    let script = match script {
        SqlScript::Text(text) => text.clone(),
        SqlScript::File(path) => {
            fs::read_to_string(path).map_err(|error| format!("cannot read the script {}: {error}", path.display()))?
        }
    };
    let script = script::filled(&script, variables);
    let login = hive.login()?;
    let results = results_folder(logs);
    fs::create_dir_all(&results).map_err(|error| format!("cannot make {}: {error}", results.display()))?;
    let task = run::Task {
        address: hive.address.clone(),
        user: login.user.clone(),
        password: login.password.reveal().to_owned(),
        database: database.clone().unwrap_or_else(|| hive.address.database.clone()),
        time_limit_seconds: time_limit(given, settings)?,
        settings: given.clone().into_iter().filter(|(key, _)| key != TIME_LIMIT).collect(),
        statements: script::split(&script, script::Backslash::Escapes).into_iter().map(str::to_owned).collect(),
        session: fault.with_file_name(NOTE),
        results,
        result_rows: settings.sql.result_rows,
        fault: fault.to_owned(),
    };
    let file = workspace.join(".hive.json");
    private(&file, &serde_json::to_vec(&task).map_err(|error| error.to_string())?)?;
    let program = settings.program.display().to_string();
    let argv = vec![program, "hive".to_owned(), "--task".to_owned(), file.display().to_string()];
    Ok(Command { argv, env: BTreeMap::new(), litter: None, note: None })
}

/// The process of a job, for the hidden subcommand `hive --task FILE`. Gives its exit code.
pub(crate) fn run_task(file: &Path) -> i32 {
    run::run(file)
}

/// The engine.
pub struct Hive {
    local: Local,
    settings: HiveSettings,
    attempts: PathBuf,
}

impl Hive {
    /// Jobs of one server. `local` are the settings of the processes of this host.
    pub fn new(settings: HiveSettings, local: LocalSettings) -> io::Result<Self> {
        let attempts = std::path::absolute(local.data_dir.join("attempts"))?;
        let local = Local::new(LocalSettings { hive: Some(settings.clone()), plugin: "hive", ..local })?;
        Ok(Self { local, settings, attempts })
    }

    fn note(&self, tag: &Tag) -> PathBuf {
        self.attempts.join(tag.as_str()).join(NOTE)
    }

    /// Sees to it that nothing of a job whose process is gone goes on at the server.
    async fn close(&self, tag: &Tag) -> Result<(), EngineError> {
        let note = self.note(tag);
        if !note.exists() {
            return Ok(());
        }
        let settings = self.settings.clone();
        let closed = tokio::task::spawn_blocking(move || {
            let login = settings.login()?;
            Note::at(&note).settle(&settings.address, &login, CLOSE)
        });
        let closed = closed.await.unwrap_or_else(|error| Err(error.to_string()));
        closed.map_err(|why| {
            EngineError::Unreachable(format!("whether its session at the server is closed is not known: {why}"))
        })
    }

    /// Attempts that left a session open.
    fn noted(&self, prefix: &str) -> io::Result<Vec<Tag>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.attempts)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) && self.attempts.join(&name).join(NOTE).exists() {
                found.push(Tag::from(name));
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Engine for Hive {
    fn plugin(&self) -> &'static str {
        "hive"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        ability(kind)
    }

    fn max_running(&self) -> Option<usize> {
        self.local.max_running()
    }

    fn opens_urls(&self) -> bool {
        true
    }

    fn changed(&self) -> Arc<Notify> {
        self.local.changed()
    }

    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        self.local.find(job).await
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        self.local.launch(launch).await
    }

    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError> {
        self.local.void(job, why).await
    }

    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError> {
        let observed = self.local.observe(job).await?;
        if matches!(observed, Observed::Ended(_)) {
            self.close(job.tag).await?;
        }
        Ok(observed)
    }

    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError> {
        self.local.stop(job, how).await?;
        // Of a job that nobody looks at any more too: the sweep stops until its list is empty.
        if matches!(self.local.observe(job).await?, Observed::Ended(_)) {
            self.close(job.tag).await?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        let mut live = self.local.list(prefix).await?;
        let noted = self.noted(prefix);
        let noted = noted.map_err(|error| EngineError::Unreachable(format!("{}: {error}", self.attempts.display())))?;
        live.extend(noted);
        live.sort();
        live.dedup();
        Ok(live)
    }

    async fn logs(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        self.local.logs(job, stream, offset, limit).await
    }

    async fn results(&self, tag: &Tag) -> Result<Option<Results>, EngineError> {
        self.local.results(tag).await
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.local.forget(job).await
    }
}

/// What a cluster of this kind runs.
pub(crate) fn ability(kind: PlanKind) -> Ability {
    if kind == PlanKind::Sql { Ability::Yes } else { Ability::Never }
}
