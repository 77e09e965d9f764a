//! The local engine: jobs are processes of this host, each supervised by a shim that outlives the server.
//!
//! Everything is found again by the tag: the attempt's folder says who supervises it, the lock says whether that one lives,
//! the exit record says how it ended (lifecycle.md "Local"). See [`attempt`] and [`shim`] for the two sides.

mod attempt;
mod cgroup;
mod command;
mod exec;
mod find;
pub mod install;
mod logs;
mod lost;
mod processes;
mod shim;
mod streaming;
mod watch;

mod spark;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind, status::Outcome};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use tokio::sync::Notify;

use self::{
    attempt::{Attempt, Decision, ExitRecord, Spec},
    lost::Lost,
    processes::{boot_id, tagged},
    watch::Watch,
};
use crate::{
    Ability, Ended, Engine, EngineError, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided, failpoint,
};

/// Configuration of the local engine, `[local]`.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The program whose hidden subcommands `shim` and `streaming` are ours.
    pub program: PathBuf,
    /// How many jobs run at once.
    pub max_running: usize,
    /// Bytes kept of each output stream of a job.
    pub log_limit: u64,
    /// `N` of `--master local[N]`.
    pub spark_cores: usize,
    /// Where Spark is.
    pub spark_home: Option<PathBuf>,
    /// Where Java is.
    pub java_home: Option<PathBuf>,
    /// A control group below which jobs get theirs; without it the server's own, where that can be written.
    pub cgroup_root: Option<PathBuf>,
}

/// The engine.
pub struct Local {
    settings: LocalSettings,
    attempts: PathBuf,
    cgroups: Option<PathBuf>,
    watch: Watch,
    lost: Mutex<BTreeMap<Tag, Lost>>,
    /// Attempts that are over, so that the sweep does not read their records again.
    over: Mutex<BTreeSet<Tag>>,
}

/// How long a shim may take to decide.
const DECIDE_WITHIN: Duration = Duration::from_secs(20);

/// Where things are and what applies, for `doctor`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The Java program.
    pub java: Option<PathBuf>,
    /// Home of Spark.
    pub spark: Option<PathBuf>,
    /// Where control groups of jobs are made.
    pub cgroups: Option<PathBuf>,
}

impl Local {
    /// Makes the folder of attempts.
    pub fn new(settings: LocalSettings) -> io::Result<Self> {
        let attempts = settings.data_dir.join("attempts");
        fs::create_dir_all(&attempts)?;
        let cgroups = cgroup::usable_root(settings.cgroup_root.as_deref());
        Ok(Self { attempts, cgroups, watch: Watch::new(), lost: Mutex::default(), over: Mutex::default(), settings })
    }

    /// What this host offers.
    pub fn report(settings: &LocalSettings) -> Report {
        Report {
            java: find::java(settings),
            spark: find::spark(settings).map(|spark| spark.home),
            cgroups: cgroup::usable_root(settings.cgroup_root.as_deref()),
        }
    }

    fn attempt(&self, tag: &Tag) -> Attempt {
        Attempt::of(&self.attempts, tag)
    }

    fn spec(&self, launch: &Launch<'_>) -> Result<Spec, EngineError> {
        let plan = launch.plan.ok_or_else(|| EngineError::Refused("there is no plan to run".to_owned()))?;
        let command = command::of(plan, &self.settings, &launch.workspace, launch.tag.as_str());
        let command = command.map_err(EngineError::Refused)?;
        Ok(Spec {
            tag: launch.tag.to_string(),
            argv: command.argv,
            cwd: launch.workspace.clone(),
            env: command.env,
            logs: launch.logs.clone(),
            log_limit: self.settings.log_limit,
            kill_grace_ms: u64::try_from(launch.kill_grace.as_millis()).unwrap_or(u64::MAX),
            cgroup: self.cgroups.as_ref().map(|root| root.join(launch.tag.as_str())),
        })
    }

    /// Starts a shim. It is not killed with the server; a task waits for it so that no zombie stays.
    fn start_shim(&self, attempt: &Attempt) -> io::Result<tokio::process::Child> {
        let log = OpenOptions::new().append(true).create(true).open(attempt.shim_log())?;
        let mut command = tokio::process::Command::new(&self.settings.program);
        command.arg("shim").arg("--attempt").arg(attempt.folder());
        command.env_clear().current_dir("/").kill_on_drop(false);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A signal from the terminal is for the server, not for its jobs.
        command.process_group(0);
        #[cfg(feature = "failpoints")]
        for (key, value) in std::env::vars().filter(|(key, _)| key.starts_with("FOGGARA_FAILPOINT")) {
            command.env(key, value);
        }
        command.spawn()
    }

    /// Waits for the decision of a shim that was just started.
    async fn decided(&self, attempt: &Attempt, mut shim: tokio::process::Child) -> Result<Decision, EngineError> {
        let deadline = tokio::time::Instant::now() + DECIDE_WITHIN;
        let mut ended = None;
        loop {
            if let Some(decision) = attempt.decision().map_err(|error| unreadable(attempt, &error))? {
                self.reap(shim);
                return Ok(decision);
            }
            if let Some(status) = ended {
                // It ended first and decided nothing: nothing was started, and nothing will be.
                let log = fs::read_to_string(attempt.shim_log()).unwrap_or_default();
                let last = log.lines().last().unwrap_or("").trim();
                return Err(EngineError::Unreachable(format!(
                    "the supervisor ended ({status}) before it decided: {last}"
                )));
            }
            if tokio::time::Instant::now() >= deadline {
                self.reap(shim);
                return Err(EngineError::Unreachable("the supervisor has not decided yet".to_owned()));
            }
            // Looked at once more after the end, since it may have decided just before.
            ended = shim.try_wait().unwrap_or(None);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn reap(&self, mut shim: tokio::process::Child) {
        let rings = self.watch.rings();
        tokio::spawn(async move {
            // Its exit record tells the story; the status is of no interest.
            let _ = shim.wait().await;
            rings.notify_one();
        });
    }

    fn launched(&self, tag: &Tag, identity: &processes::Identity) -> Launched {
        self.watch.follow(tag, identity);
        Launched { reference: tag.to_string(), incarnation: identity.boot_id.clone() }
    }

    /// Whether a supervisor holds the lock. The lock is free as soon as its process is gone, however it went.
    fn is_supervised(attempt: &Attempt) -> bool {
        let Ok(lock) = OpenOptions::new().read(true).open(attempt.lock_file()) else { return false };
        flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
    }

    fn note_over(&self, tag: &Tag) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.clone());
    }

    /// What an attempt without a live supervisor and without an exit record comes to: its processes are stopped, and when none
    /// is left that is written down.
    fn settle_lost(&self, tag: &Tag, attempt: &Attempt, how: Option<Stop>) -> io::Result<Option<ExitRecord>> {
        let spec = attempt.spec()?;
        let grace = spec.as_ref().map_or(Duration::from_secs(10), |spec| Duration::from_millis(spec.kill_grace_ms));
        let group = spec.and_then(|spec| spec.cgroup);
        let gone = {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            let state = lost.entry(tag.clone()).or_default();
            state.pursue(tag, group.as_deref(), grace, how)
        };
        if !gone {
            return Ok(None);
        }
        let record = ExitRecord {
            lost: Some("its supervisor was killed".to_owned()),
            stopped: how.is_some(),
            ..ExitRecord::default()
        };
        attempt.end(&record)?;
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(tag);
        Ok(Some(record))
    }

    fn look(&self, tag: &Tag) -> io::Result<Observed> {
        let attempt = self.attempt(tag);
        if let Some(record) = attempt.exit()? {
            return Ok(Observed::Ended(ended(&record)));
        }
        let identity = match attempt.decision()? {
            Some(Decision::Launch(identity)) => identity,
            Some(Decision::Void { .. }) | None => return Ok(Observed::Absent { incarnation: boot_id() }),
        };
        if identity.boot_id != boot_id() {
            let record = ExitRecord { lost: Some("host restarted".to_owned()), ..ExitRecord::default() };
            attempt.end(&record)?;
            return Ok(Observed::Ended(ended(&record)));
        }
        if Self::is_supervised(&attempt) {
            self.watch.follow(tag, &identity);
            return Ok(Observed::Running { state: None });
        }
        // It may have ended between the two looks.
        if let Some(record) = attempt.exit()? {
            return Ok(Observed::Ended(ended(&record)));
        }
        Ok(match self.settle_lost(tag, &attempt, None)? {
            Some(record) => Observed::Ended(ended(&record)),
            None => Observed::Running { state: None },
        })
    }

    fn send_stop(&self, tag: &Tag, how: Stop) -> io::Result<()> {
        let attempt = self.attempt(tag);
        let (None, Some(Decision::Launch(identity))) = (attempt.exit()?, attempt.decision()?) else { return Ok(()) };
        if Self::is_supervised(&attempt) {
            let signal = match how {
                Stop::Gently => Signal::TERM,
                Stop::Hard => Signal::USR1,
            };
            if identity.signal(signal) {
                return Ok(());
            }
        }
        if attempt.exit()?.is_none() {
            self.settle_lost(tag, &attempt, Some(how))?;
        }
        Ok(())
    }

    fn alive(&self, prefix: &str) -> io::Result<Vec<Tag>> {
        let mut found: BTreeSet<Tag> = tagged(prefix).into_keys().map(Tag::from).collect();
        for entry in fs::read_dir(&self.attempts)?.flatten() {
            let tag = Tag::from(entry.file_name().to_string_lossy().into_owned());
            let over = self.over.lock().unwrap_or_else(PoisonError::into_inner).contains(&tag);
            if over || !tag.as_str().starts_with(prefix) {
                continue;
            }
            let attempt = self.attempt(&tag);
            match (attempt.exit()?, attempt.decision()?) {
                (None, Some(Decision::Launch(_))) => {
                    found.insert(tag);
                }
                (Some(_), _) | (_, Some(Decision::Void { .. })) => self.note_over(&tag),
                (None, None) => {}
            }
        }
        Ok(found.into_iter().collect())
    }
}

fn unreadable(attempt: &Attempt, error: &io::Error) -> EngineError {
    EngineError::Unreachable(format!("{}: {error}", attempt.folder().display()))
}

/// The exit record in the engine's words.
fn ended(record: &ExitRecord) -> Ended {
    let (outcome, exit_code, reason) = match record {
        ExitRecord { lost: Some(why), .. } => (Outcome::Failed, None, Some(format!("lost: {why}"))),
        ExitRecord { exec_error: Some(why), exit_code, .. } => (Outcome::Failed, *exit_code, Some(why.clone())),
        ExitRecord { exit_code: Some(0), .. } => (Outcome::Succeeded, Some(0), None),
        ExitRecord { exit_code: Some(code), .. } => (Outcome::Failed, Some(*code), Some(format!("exit code {code}"))),
        ExitRecord { signal: Some(signal), .. } => {
            (Outcome::Failed, Some(128 + signal), Some(format!("killed by signal {signal}")))
        }
        _ => (Outcome::Failed, None, Some("lost: nobody saw its end".to_owned())),
    };
    Ended {
        outcome,
        exit_code,
        reason,
        started_at: record.started_at,
        ended_at: record.ended_at,
        usage: record.usage.clone(),
    }
}

#[async_trait]
impl Engine for Local {
    fn plugin(&self) -> &'static str {
        "local"
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        let java = || find::java(&self.settings).is_some();
        match kind {
            PlanKind::Program | PlanKind::Streaming => Ability::Yes,
            PlanKind::Java | PlanKind::Spark if !java() => Ability::Lacks(find::JAVA_MISSING.to_owned()),
            PlanKind::Java => Ability::Yes,
            PlanKind::Spark if find::spark(&self.settings).is_none() => Ability::Lacks(find::SPARK_MISSING.to_owned()),
            PlanKind::Spark => Ability::Yes,
            PlanKind::Other => Ability::Never,
        }
    }

    fn max_running(&self) -> Option<usize> {
        Some(self.settings.max_running)
    }

    fn changed(&self) -> Arc<Notify> {
        self.watch.rings()
    }

    async fn find(&self, tag: &Tag) -> Result<Option<Launched>, EngineError> {
        let attempt = self.attempt(tag);
        match attempt.decision().map_err(|error| unreadable(&attempt, &error))? {
            Some(Decision::Launch(identity)) => Ok(Some(self.launched(tag, &identity))),
            Some(Decision::Void { .. }) | None => Ok(None),
        }
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        let attempt = self.attempt(launch.tag);
        let spec = self.spec(&launch)?;
        attempt.prepare(&spec).map_err(|error| unreadable(&attempt, &error))?;
        failpoint::pass("launch.prepared");
        let shim = self.start_shim(&attempt);
        let program = self.settings.program.display();
        let shim = shim.map_err(|error| EngineError::Unreachable(format!("cannot start {program} shim: {error}")))?;
        failpoint::pass("launch.spawned");
        match self.decided(&attempt, shim).await? {
            Decision::Launch(identity) => Ok(self.launched(launch.tag, &identity)),
            Decision::Void { .. } => Err(EngineError::Voided),
        }
    }

    async fn void(&self, tag: &Tag, why: &str) -> Result<Voided, EngineError> {
        let attempt = self.attempt(tag);
        let void = Decision::Void { by: why.to_owned() };
        match attempt.decide(&void).map_err(|error| unreadable(&attempt, &error))? {
            Decision::Void { .. } => Ok(Voided::Yes),
            Decision::Launch(_) => Ok(Voided::TooLate),
        }
    }

    async fn observe(&self, tag: &Tag) -> Result<Observed, EngineError> {
        let observed = self.look(tag).map_err(|error| unreadable(&self.attempt(tag), &error))?;
        if matches!(observed, Observed::Ended(_)) {
            self.watch.leave(tag);
        }
        Ok(observed)
    }

    async fn stop(&self, tag: &Tag, how: Stop) -> Result<(), EngineError> {
        self.send_stop(tag, how).map_err(|error| unreadable(&self.attempt(tag), &error))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        self.alive(prefix).map_err(|error| EngineError::Unreachable(format!("{}: {error}", self.attempts.display())))
    }

    async fn logs(&self, tag: &Tag, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let attempt = self.attempt(tag);
        let read = || -> io::Result<LogPiece> {
            match attempt.spec()? {
                Some(spec) => logs::read(&spec.logs.join(stream.name()), offset, limit),
                None => Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 }),
            }
        };
        read().map_err(|error| unreadable(&attempt, &error))
    }

    async fn forget(&self, tag: &Tag) -> Result<(), EngineError> {
        let attempt = self.attempt(tag);
        self.over.lock().unwrap_or_else(PoisonError::into_inner).remove(tag);
        match fs::remove_dir_all(attempt.folder()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreadable(&attempt, &error)),
            _ => Ok(()),
        }
    }
}

/// The hidden subcommands: `shim --attempt DIR`, `shim --exec DIR`, `streaming --plan FILE`. Nothing when it is none of them.
#[allow(clippy::print_stderr, reason = "stderr of a shim is its log, of streaming the job's log")]
pub fn run_hidden(args: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().filter_map(|word| word.to_str()).collect();
    let code = match (words.as_slice(), args.last().map(Path::new)) {
        (["shim", "--attempt", _], Some(folder)) => match shim::run(folder) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        (["shim", "--exec", _], Some(folder)) => exec::run(folder),
        (["streaming", "--plan", _], Some(plan)) => match streaming::run(plan) {
            Ok(()) => 0,
            Err(fault) => {
                eprintln!("{fault}");
                1
            }
        },
        _ => return None,
    };
    Some(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
