//! What every engine promises, on the local and on the simulated one.

use std::{fs, path::PathBuf, time::Duration};

use foggara_domain::{Tag, plan::Plan, status::Outcome};
use foggara_engines::{
    Engine, EngineError, Launch, Launched, Observed, Stop, Stream, Voided,
    sim::{Sim, SimSettings},
};

use crate::place::{Place, until};

/// An engine, and how to start a job on it that runs until it is stopped.
struct Subject<'a> {
    engine: &'a dyn Engine,
    place: &'a Place,
    plan: Option<&'a dyn Fn(&Tag) -> Plan>,
}

impl Subject<'_> {
    async fn launch(&self, tag: &Tag) -> Result<Launched, EngineError> {
        let plan = self.plan.map(|plan| plan(tag));
        let launch = Launch {
            tag,
            job_type: "Shell",
            job_name: "job",
            plan: plan.as_ref(),
            workspace: self.place.workspace(tag),
            logs: self.place.path("logs").join(tag.as_str()),
            kill_grace: Duration::from_secs(5),
        };
        self.engine.launch(launch).await
    }
}

async fn keeps_the_promises(subject: &Subject<'_>, restarted: &dyn Fn() -> Box<dyn Engine>) {
    let Subject { engine, place, .. } = subject;
    let unknown = place.tag("unknown");
    assert_eq!(engine.find(&unknown).await, Ok(None));
    assert!(matches!(engine.observe(&unknown).await, Ok(Observed::Absent { .. })));
    for how in [Stop::Gently, Stop::Hard] {
        assert_eq!(engine.stop(&unknown, how).await, Ok(()), "a stop of what never was is no error");
    }
    let log = engine.logs(&unknown, Stream::Stdout, 7, 100).await.expect("an answer");
    assert_eq!((log.bytes.len(), log.next_offset, log.size), (0, 7, 0));
    assert_eq!(engine.forget(&unknown).await, Ok(()));

    // Ruled out: for ever, and as often as one asks.
    let void = place.tag("void");
    assert_eq!(engine.void(&void, "test").await, Ok(Voided::Yes));
    assert_eq!(engine.void(&void, "test again").await, Ok(Voided::Yes));
    assert_eq!(subject.launch(&void).await, Err(EngineError::Voided));
    assert_eq!(engine.find(&void).await, Ok(None));
    assert!(matches!(engine.observe(&void).await, Ok(Observed::Absent { .. })));
    assert_eq!(restarted().void(&void, "after a restart").await, Ok(Voided::Yes));

    // One job, whoever asks.
    let tag = place.tag("job");
    let launched = subject.launch(&tag).await.expect("launched");
    assert_eq!(subject.launch(&tag).await, Ok(launched.clone()), "a repeated launch is the same job");
    assert_eq!(engine.find(&tag).await, Ok(Some(launched.clone())));
    assert_eq!(engine.void(&tag, "too late").await, Ok(Voided::TooLate));
    assert!(matches!(engine.observe(&tag).await, Ok(Observed::Running { .. })));
    assert_eq!(engine.list(&place.prefix).await, Ok(vec![tag.clone()]));
    assert_eq!(engine.list("another-prefix").await, Ok(vec![]));
    let again = restarted();
    assert_eq!(again.find(&tag).await, Ok(Some(launched)), "a restarted server finds it");
    assert!(matches!(again.observe(&tag).await, Ok(Observed::Running { .. })));
    assert_eq!(again.list(&place.prefix).await, Ok(vec![tag.clone()]));

    // Stopped by the restarted server, and repeated.
    again.stop(&tag, Stop::Gently).await.expect("stopped");
    let ended = until("the end", || async {
        match again.observe(&tag).await.expect("an answer") {
            Observed::Ended(ended) => Some(ended),
            _ => None,
        }
    })
    .await;
    assert_ne!(ended.outcome, Outcome::Succeeded);
    assert_eq!(again.stop(&tag, Stop::Hard).await, Ok(()), "a stop may be repeated");
    assert_eq!(engine.observe(&tag).await, Ok(Observed::Ended(ended)), "an end stays as it is");
    assert_eq!(engine.list(&place.prefix).await, Ok(vec![]));
    engine.forget(&tag).await.expect("forgotten");
    engine.forget(&tag).await.expect("forgotten already");
    assert!(matches!(engine.observe(&tag).await, Ok(Observed::Absent { .. })));
}

#[tokio::test]
async fn local_keeps_them() {
    let place = Place::new();
    let plan = |tag: &Tag| place.program(tag, b"while :; do sleep 0.05; done");
    let subject = Subject { engine: &place.engine, place: &place, plan: Some(&plan) };
    keeps_the_promises(&subject, &|| Box::new(place.again())).await;
}

fn sim(place: &Place, control: Option<&str>) -> Sim {
    let control_file = control.map(|text| -> PathBuf {
        let path = place.path("control.json");
        fs::write(&path, text).expect("written");
        path
    });
    let settings = SimSettings { dir: place.path("sim"), control_file, run: Duration::from_millis(50) };
    Sim::new(settings).expect("an engine")
}

#[tokio::test]
async fn sim_keeps_them() {
    let place = Place::new();
    let control = Some(r#"{"run": "RUNNING"}"#);
    let engine = sim(&place, control);
    let subject = Subject { engine: &engine, place: &place, plan: None };
    keeps_the_promises(&subject, &|| Box::new(sim(&place, control))).await;
}

#[tokio::test]
async fn sim_plays_its_control_file() {
    let place = Place::new();
    let engine =
        sim(&place, Some(r#"{"run": "PREP", "status": "DONEWITHERROR", "suspend": "SUSPENDED", "cancel": "FAILED"}"#));
    let subject = Subject { engine: &engine, place: &place, plan: None };
    let tag = place.tag("played");
    subject.launch(&tag).await.expect("launched");
    // Read at the launch and kept for the job.
    fs::write(place.path("control.json"), r#"{"run_error": "no room"}"#).expect("written");
    let other = place.tag("refused");
    assert_eq!(subject.launch(&other).await, Err(EngineError::Refused("no room".to_owned())));
    assert_eq!(engine.find(&other).await, Ok(None));
    let outcome = |observed: Observed| match observed {
        Observed::Ended(ended) => ended.outcome,
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome(engine.observe(&tag).await.expect("an answer")), Outcome::DoneWithError);
    assert!(engine.suspends());
    assert_eq!(engine.suspend(&tag).await, Ok("SUSPENDED".to_owned()));
    let suspended = Observed::Running { state: Some("SUSPENDED".to_owned()) };
    assert_eq!(engine.observe(&tag).await, Ok(suspended));
    engine.stop(&tag, Stop::Gently).await.expect("stopped");
    let first = engine.observe(&tag).await.expect("an answer");
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(engine.observe(&tag).await, Ok(first.clone()), "the time of the end too");
    assert_eq!(outcome(first), Outcome::Failed, "status is ignored once it is cancelled");

    fs::write(place.path("control.json"), r#"{"run": "PREP"}"#).expect("written");
    let queued = place.tag("queued");
    subject.launch(&queued).await.expect("launched");
    assert_eq!(engine.observe(&queued).await, Ok(Observed::Queued { state: Some("PREP".to_owned()) }));
}

#[tokio::test]
async fn sim_ends_by_itself_without_a_control_file() {
    let place = Place::new();
    let engine = sim(&place, None);
    let subject = Subject { engine: &engine, place: &place, plan: None };
    let tag = place.tag("alone");
    let changed = engine.changed();
    subject.launch(&tag).await.expect("launched");
    tokio::time::timeout(Duration::from_secs(10), changed.notified()).await.expect("it rings");
    let ended = until("its end", || async {
        match engine.observe(&tag).await.expect("an answer") {
            Observed::Ended(ended) => Some(ended),
            _ => None,
        }
    })
    .await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Succeeded, None));
}
