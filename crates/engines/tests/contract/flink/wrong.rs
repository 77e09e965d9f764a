//! Programs that hide, fail or find no room, jars that are none.

use std::{collections::BTreeMap, fs, path::PathBuf};

use foggara_domain::{Tag, plan::Plan, status::Outcome};
use foggara_engines::{Ended, Engine, EngineError, JobRef, Launch, Launched, Observed, Stop, Stream};

use super::{FlinkRig, engine};
use crate::{
    place::{end_of, until},
    rig::Rig,
};

static NO_URLS: BTreeMap<PathBuf, String> = BTreeMap::new();

impl FlinkRig {
    /// What is asked for with a plan.
    pub fn launch_of<'a>(&self, tag: &'a Tag, plan: &'a Plan) -> Launch<'a> {
        Launch {
            tag,
            job_type: "Flink",
            job_name: "job",
            plan: Some(plan),
            urls: &NO_URLS,
            workspace: self.place.workspace(tag),
            logs: self.place.path("logs").join(tag.as_str()),
            kill_grace: self.place.kill_grace,
        }
    }

    pub async fn launch_as(&self, tag: &Tag, change: impl FnOnce(&mut Plan)) -> Result<Launched, EngineError> {
        let mut plan = self.plan(tag).expect("a plan");
        change(&mut plan);
        self.engine.launch(self.launch_of(tag, &plan)).await
    }

    /// Launches the program, told to do something else.
    async fn told(&self, name: &str, how: &str) -> (Tag, Result<Launched, EngineError>) {
        let tag = self.place.tag(name);
        let launched = self.launch_as(&tag, |plan| {
            if let Plan::Flink { args, parallelism, .. } = plan {
                args[1] = how.to_owned();
                *parallelism = None;
            }
        });
        let launched = launched.await;
        (tag, launched)
    }

    pub async fn refusal(&self, name: &str, change: impl FnOnce(&mut Plan)) -> String {
        let tag = self.place.tag(name);
        match self.launch_as(&tag, change).await {
            Err(EngineError::Refused(why)) => {
                assert_eq!(self.engine.find(JobRef::from(&tag)).await, Ok(None), "{why}");
                why
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn end(&self, tag: &Tag) -> Ended {
        end_of(&self.engine, JobRef::from(tag)).await
    }

    pub async fn stopped(&self, tag: &Tag) {
        self.engine.stop(JobRef::from(tag), Stop::Hard).await.expect("stopped");
        assert_eq!(self.end(tag).await.outcome, Outcome::Killed);
    }
}

/// Programs that fail, and one without room.
pub async fn programs(rig: &FlinkRig) {
    let args = |how: &'static str| {
        move |plan: &mut Plan| {
            if let Plan::Flink { args, .. } = plan {
                args[1] = how.to_owned();
            }
        }
    };
    assert_eq!(
        rig.refusal("throws", args("throws")).await,
        "java.lang.IllegalStateException: the program has had enough"
    );
    assert_eq!(rig.refusal("nothing", args("nothing")).await, "No jobs included in application.");
    let class = |plan: &mut Plan| {
        if let Plan::Flink { entry_class, .. } = plan {
            *entry_class = Some("Nix".to_owned());
        }
    };
    assert!(rig.refusal("class", class).await.contains("Nix"));
    let text = rig.place.path("words.jar");
    fs::write(&text, "no zip").expect("written");
    let no_jar = |plan: &mut Plan| {
        if let Plan::Flink { main, .. } = plan {
            *main = text;
        }
    };
    assert!(rig.refusal("jar", no_jar).await.starts_with("words.jar is no jar: "));
    // One jar for all of them.
    let uploads = rig.proxy.seen().iter().filter(|line| line.starts_with("POST /jars/upload ")).count();
    assert_eq!(uploads, 1);

    let (tag, launched) = rig.told("fails", "fails").await;
    launched.expect("launched");
    let ended = rig.end(&tag).await;
    assert_eq!(
        (ended.outcome, ended.reason.as_deref()),
        (Outcome::Failed, Some("java.lang.ArithmeticException: / by zero"))
    );
    assert!(ended.started_at.is_some() && ended.ended_at >= ended.started_at);
    let errors = rig.engine.logs(JobRef::from(&tag), Stream::Stderr, 0, 1 << 20).await.expect("a log");
    let errors = String::from_utf8_lossy(&errors.bytes).into_owned();
    assert!(errors.contains("switched from state RUNNING") && errors.contains("/ by zero"), "{errors}");

    // It threw after it had handed its job over: the job runs.
    let (tag, launched) = rig.told("throws-late", "late").await;
    assert!(launched.expect("launched").note.expect("a note").ends_with("IllegalStateException: after all"));
    rig.stopped(&tag).await;

    let (wide, launched) = rig.told("wide", "wide").await;
    launched.expect("launched");
    let waits = Observed::Queued { state: Some("WAITING FOR SLOTS".to_owned()) };
    until("it waits", || async { (rig.engine.observe(JobRef::from(&wide)).await.ok()? == waits).then_some(()) }).await;
    rig.stopped(&wide).await;
}

/// A program that replaces its parameters and names itself shows its tag nowhere; it is found and listed all the same. And one
/// that shows it is listed by a server that never heard of it.
pub async fn tags(rig: &FlinkRig) {
    let (hidden, launched) = rig.told("hidden", "hides").await;
    launched.expect("launched");
    let (shown, launched) = rig.told("shown", "talks").await;
    launched.expect("launched");
    let both = Ok(vec![hidden.clone(), shown.clone()]);
    assert_eq!(rig.restarted().list(&rig.place.prefix).await, both);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = engine(elsewhere.path(), &rig.proxy.url(), |_| {});
    assert_eq!(stranger.list(&rig.place.prefix).await, Ok(vec![shown.clone()]));
    assert!(stranger.find(JobRef::from(&hidden)).await.expect("asked").is_some(), "by the id that its tag makes");
    assert_eq!(stranger.list(&rig.place.prefix).await, both, "what was asked for is known");

    rig.stopped(&shown).await;
    rig.stopped(&hidden).await;

    // One that can be stopped with a savepoint, which is asked for once.
    let (counts, launched) = rig.told("counts", "counts").await;
    let url = format!("{}/jobs/{}", rig.proxy.url(), launched.expect("launched").reference);
    until("its tasks run", || async {
        let job: serde_json::Value = serde_json::from_str(&reqwest::get(&url).await.ok()?.text().await.ok()?).ok()?;
        let tasks = &job["status-counts"];
        (tasks["RUNNING"].as_u64()? > 0 && tasks["RUNNING"].as_u64()? == job["vertices"].as_array()?.len() as u64)
            .then_some(())
    })
    .await;
    let target = format!("file://{}", rig.place.path("savepoints").display());
    let gentle =
        engine(&rig.place.path("data"), &rig.proxy.url(), |settings| settings.stop_with_savepoint = Some(target));
    let ended = until("it ends with a savepoint", || async {
        if let Observed::Ended(ended) = gentle.observe(JobRef::from(&counts)).await.expect("an answer") {
            return Some(ended);
        }
        gentle.stop(JobRef::from(&counts), Stop::Gently).await.expect("stopped");
        None
    })
    .await;
    let reason = ended.reason.clone().unwrap_or_default();
    assert!(ended.outcome == Outcome::Succeeded && reason.contains("savepoints/savepoint-"), "{ended:?} {reason}");
}
