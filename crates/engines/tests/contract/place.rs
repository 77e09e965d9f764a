//! A data directory with a local engine, and what tests do with it. What is left of a failed test is killed at its end.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use foggara_domain::{Tag, plan::Plan};
use foggara_engines::{
    Ended, Engine, EngineError, JobRef, Launch, Launched, Observed, Stream,
    local::{CopySettings, Local, LocalSettings, SqlSettings},
};
use foggara_testkit::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take.
const LONG: Duration = Duration::from_secs(120);
/// The program with the shim.
pub const HOST: &str = env!("CARGO_BIN_EXE_engine-host");

/// Asks again until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    wait::until(what, LONG, ask).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The end of a job that has one; one that is absent has none.
pub async fn end_of(engine: &dyn Engine, job: JobRef<'_>) -> Ended {
    until("the end", || async {
        match engine.observe(job).await.expect("an answer") {
            Observed::Ended(ended) => Some(ended),
            Observed::Absent { .. } => panic!("{} is absent", job.tag),
            _ => None,
        }
    })
    .await
}

/// Living processes that carry a tag, as an outsider sees them.
pub fn tagged(tag: &Tag) -> Vec<i32> {
    let wanted = format!("FOGGARA_TAG={tag}");
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        })
        .collect()
}

/// Whether a process lives; a zombie does not.
pub fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])))
}

pub fn kill(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a pid");
    kill_process(pid, signal).expect("signalled");
}

/// See the module.
pub struct Place {
    pub dir: TempDir,
    pub settings: LocalSettings,
    pub engine: Local,
    /// Begins every tag of this place.
    pub prefix: String,
    pub kill_grace: Duration,
}

impl Place {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut LocalSettings)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = LocalSettings {
            data_dir: dir.path().to_owned(),
            program: PathBuf::from(HOST),
            plugin: "local",
            max_running: 2,
            memory_mb: None,
            log_limit: 1 << 30,
            spark_cores: 2,
            spark_cluster: None,
            sql: SqlSettings::default(),
            hive: None,
            spark_home: None,
            java_home: None,
            pig_home: None,
            copying: CopySettings::default(),
            cgroup_root: Some(dir.path().join("no-cgroups")),
        };
        change(&mut settings);
        let engine = Local::new(settings.clone()).expect("an engine");
        let prefix = format!("fg-{}", uuid::Uuid::new_v4().simple());
        Self { dir, settings, engine, prefix, kill_grace: Duration::from_secs(5) }
    }

    /// An engine of a restarted server.
    pub fn again(&self) -> Local {
        Local::new(self.settings.clone()).expect("an engine")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn tag(&self, name: &str) -> Tag {
        Tag::from(format!("{}-{name}-1", self.prefix))
    }

    pub fn workspace(&self, tag: &Tag) -> PathBuf {
        let workspace = self.path("workspaces").join(tag.as_str());
        fs::create_dir_all(&workspace).expect("a workspace");
        workspace
    }

    pub fn attempt(&self, tag: &Tag) -> PathBuf {
        self.path("attempts").join(tag.as_str())
    }

    pub fn log(&self, tag: &Tag, name: &str) -> PathBuf {
        self.path("logs").join(tag.as_str()).join(name)
    }

    /// A script in the workspace, not executable, as it was fetched.
    pub fn program(&self, tag: &Tag, script: &[u8]) -> Plan {
        let main = self.workspace(tag).join("main.sh");
        fs::write(&main, script).expect("written");
        Plan::Program { main, args: Vec::new(), env: BTreeMap::new() }
    }

    pub async fn launch_on(&self, engine: &Local, tag: &Tag, plan: &Plan) -> Result<Launched, EngineError> {
        let launch = Launch {
            urls: &BTreeMap::new(),
            tag,
            job_type: "Shell",
            job_name: "job",
            plan: Some(plan),
            workspace: self.workspace(tag),
            logs: self.path("logs").join(tag.as_str()),
            kill_grace: self.kill_grace,
        };
        engine.launch(launch).await
    }

    pub async fn launch(&self, tag: &Tag, plan: &Plan) -> Result<Launched, EngineError> {
        self.launch_on(&self.engine, tag, plan).await
    }

    /// Starts a shell script.
    pub async fn start(&self, name: &str, script: &str) -> Tag {
        let tag = self.tag(name);
        let plan = self.program(&tag, script.as_bytes());
        self.launch(&tag, &plan).await.expect("launched");
        tag
    }

    /// Starts a script and waits until it has printed `up`.
    pub async fn start_up(&self, name: &str, script: &str) -> Tag {
        let tag = self.start(name, script).await;
        until("the job is up", || async { self.out(&tag).await.contains("up").then_some(()) }).await;
        tag
    }

    /// Runs a shell script to its end.
    pub async fn run(&self, name: &str, script: &str) -> (Tag, Ended) {
        let tag = self.start(name, script).await;
        let ended = self.end(&tag).await;
        (tag, ended)
    }

    pub async fn end(&self, tag: &Tag) -> Ended {
        self.end_on(&self.engine, tag).await
    }

    pub async fn end_on(&self, engine: &Local, tag: &Tag) -> Ended {
        end_of(engine, JobRef::from(tag)).await
    }

    async fn text(&self, tag: &Tag, stream: Stream) -> String {
        let piece = self.engine.logs(JobRef::from(tag), stream, 0, 1 << 20).await.expect("a log");
        String::from_utf8_lossy(&piece.bytes).into_owned()
    }

    pub async fn out(&self, tag: &Tag) -> String {
        self.text(tag, Stream::Stdout).await
    }

    pub async fn errors(&self, tag: &Tag) -> String {
        self.text(tag, Stream::Stderr).await
    }

    pub fn decision(&self, tag: &Tag) -> Value {
        let text = fs::read(self.attempt(tag).join("decision")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Process id of the shim.
    pub fn shim(&self, tag: &Tag) -> i32 {
        self.decision(tag)["launch"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a decision")
    }

    /// A pid that the job wrote into a file of its workspace.
    pub async fn pid_in(&self, tag: &Tag, file: &str) -> i32 {
        let path = self.workspace(tag).join(file);
        until("a pid", || async { fs::read_to_string(&path).ok()?.trim().parse().ok() }).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let attempts = fs::read_dir(self.path("attempts")).into_iter().flatten().flatten();
        for name in attempts.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            let tag = Tag::from(name);
            let ended = self.attempt(&tag).join("exit.json").exists();
            let shim = self.decision(&tag)["launch"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            if let Some(shim) = shim.filter(|shim| !ended && is_shim(*shim, self.dir.path())) {
                kill(shim, Signal::KILL);
            }
            for pid in tagged(&tag) {
                let _ = kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL);
            }
        }
    }
}

fn is_shim(pid: i32, dir: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&dir.display().to_string())
}
