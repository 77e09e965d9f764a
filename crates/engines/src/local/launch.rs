//! Starting a job (lifecycle.md "Launch without doubles"): the spec is on the disk before a shim starts, the shim makes the
//! decision before it forks, and whatever was decided before is the answer to everybody who asks later.

use std::{
    fs::{self, OpenOptions},
    io,
    process::Stdio,
    time::Duration,
};

use foggara_domain::{Tag, plan::Plan};
use tokio::process::Child;

use super::{
    Local,
    attempt::{Attempt, Decision, Spec},
    command::{self, Command},
    processes::Identity,
    unreadable,
};
use crate::{EngineError, Launch, Launched, failpoint, jars};

/// How long a shim may take to decide.
const DECIDE_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(2);

impl Local {
    pub(super) async fn start(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        self.start_with(launch, || {
            let plan = launch.plan.ok_or("there is no plan to run")?;
            jars::check(plan)?;
            let fault = self.attempt(launch.tag).fault_file();
            let tag = launch.tag.as_str();
            command::of(plan, &self.settings, &launch.workspace, &launch.logs, tag, &fault)
                .map(|command| self.spec(launch, command))
        })
        .await
    }

    /// Starts what `make` says, unless the attempt was decided before.
    pub(super) async fn start_with(
        &self,
        launch: &Launch<'_>,
        make: impl FnOnce() -> Result<Spec, String>,
    ) -> Result<Launched, EngineError> {
        let attempt = self.attempt(launch.tag);
        let failed = |error: io::Error| unreadable(&attempt, &error);
        if let Some(decision) = attempt.decision().map_err(failed)? {
            return self.answer(launch.tag, &decision);
        }
        let spec = match make() {
            Ok(spec) => spec,
            Err(why) => {
                // "Refused" promises that the job does not exist, and a shim of an earlier try may still be on its way.
                let holds = attempt.void(&why).map_err(failed)?;
                let ours = Decision::Void { by: why.clone() };
                return if holds == ours { Err(EngineError::Refused(why)) } else { self.answer(launch.tag, &holds) };
            }
        };
        attempt.prepare(&spec).map_err(failed)?;
        failpoint::pass("launch.prepared");
        let shim = self.start_shim(&attempt);
        let program = self.settings.program.display();
        let shim = shim.map_err(|error| EngineError::Unreachable(format!("cannot start {program} shim: {error}")))?;
        failpoint::pass("launch.spawned");
        let decision = self.decided(&attempt, shim).await?;
        self.answer(launch.tag, &decision)
    }

    fn answer(&self, tag: &Tag, decision: &Decision) -> Result<Launched, EngineError> {
        match decision {
            Decision::Launch(identity) => Ok(self.launched(tag, identity)),
            Decision::Void { .. } => Err(EngineError::Voided),
        }
    }

    pub(super) fn launched(&self, tag: &Tag, identity: &Identity) -> Launched {
        self.watch.follow(tag, identity);
        let spec = self.attempt(tag).spec().ok().flatten();
        let note = spec.and_then(|spec| spec.note);
        Launched { reference: tag.to_string(), incarnation: identity.boot_id.clone(), note }
    }

    pub(super) fn spec(&self, launch: &Launch<'_>, command: Command) -> Spec {
        Spec {
            tag: launch.tag.to_string(),
            argv: command.argv,
            cwd: launch.workspace.clone(),
            env: command.env,
            logs: launch.logs.clone(),
            log_limit: self.settings.log_limit,
            kill_grace_ms: u64::try_from(launch.kill_grace.as_millis()).unwrap_or(u64::MAX),
            cgroup: self.cgroups.as_ref().map(|root| root.join(launch.tag.as_str())),
            memory_mb: self.settings.memory_mb,
            litter: command.litter,
            note: command.note.map(str::to_owned),
            is_pig: matches!(launch.plan, Some(Plan::Pig { .. })),
            role: None,
            limit_ms: None,
        }
    }

    /// Starts a shim. It is not killed with the server; a task waits for it so that no zombie stays.
    fn start_shim(&self, attempt: &Attempt) -> io::Result<Child> {
        let log = OpenOptions::new().append(true).create(true).open(attempt.shim_log())?;
        // No process group here: the shim makes a session of its own, which the leader of a group may not.
        let mut command = tokio::process::Command::new(&self.settings.program);
        command.arg("shim").arg("--attempt").arg(attempt.folder());
        command.env_clear().current_dir("/").kill_on_drop(false);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        #[cfg(feature = "failpoints")]
        for (key, value) in std::env::vars().filter(|(key, _)| key.starts_with("FOGGARA_FAILPOINT")) {
            command.env(key, value);
        }
        command.spawn()
    }

    /// Waits for the decision of a shim that was just started.
    async fn decided(&self, attempt: &Attempt, mut shim: Child) -> Result<Decision, EngineError> {
        let deadline = tokio::time::Instant::now() + DECIDE_WITHIN;
        let mut ended = None;
        loop {
            if let Some(decision) = attempt.decision().map_err(|error| unreadable(attempt, &error))? {
                self.reap(shim);
                return Ok(decision);
            }
            if let Some(status) = ended {
                // It ended first and decided nothing: it started nothing, and will not.
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
            tokio::time::sleep(LOOK).await;
        }
    }

    fn reap(&self, mut shim: Child) {
        let rings = self.watch.rings();
        tokio::spawn(async move {
            // Its exit record tells the story; the status is of no interest.
            let _ = shim.wait().await;
            rings.notify_one();
        });
    }
}
