//! The engines of this host under the contract: `local`, whose faults are crashes of its own processes (`launches`, `supervisors`, and
//! the program's crash tests), and `sim`, which has no service that could fail.

use std::{fs, path::PathBuf, time::Duration};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::Plan, status::Outcome};
use foggara_engines::{
    Engine, EngineError, JobRef, Observed, Stop,
    sim::{Sim, SimSettings},
};

use crate::{
    place::{Place, until},
    promises::keeps_all,
    rig::{Fault, Rig},
};

struct LocalRig(Place);

#[async_trait]
impl Rig for LocalRig {
    fn engine(&self) -> &dyn Engine {
        &self.0.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(self.0.again())
    }

    fn elsewhere(&self, _: &str) -> Option<Box<dyn Engine>> {
        None
    }

    fn place(&self) -> &Place {
        &self.0
    }

    /// Says what is put into its workspace, and ends when it is told so there.
    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let script = b"while [ ! -e over ]; do [ ! -e say ] || { cat say; rm say; }; sleep 0.02; done";
        Some(self.0.program(tag, script))
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &["FOGGARA_TAG"]
    }

    /// There is no service between us and the processes: no answer is lost, nobody is deaf and nobody forgets.
    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            Fault::Prints(tag, text) => {
                let said = self.0.workspace(&tag).join("said");
                fs::write(&said, text).expect("written");
                fs::rename(said, self.0.workspace(&tag).join("say")).expect("told");
            }
            Fault::Ends(tag) => fs::write(self.0.workspace(&tag).join("over"), "").expect("told"),
            _ => return false,
        }
        true
    }
}

#[tokio::test]
async fn local_keeps_the_contract() {
    keeps_all(&LocalRig(Place::new())).await;
}

struct SimRig {
    place: Place,
    engine: Sim,
    control: Option<&'static str>,
}

impl SimRig {
    fn new(control: Option<&'static str>) -> Self {
        let place = Place::new();
        Self { engine: sim(&place, control), place, control }
    }
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

#[async_trait]
impl Rig for SimRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(sim(&self.place, self.control))
    }

    fn elsewhere(&self, _: &str) -> Option<Box<dyn Engine>> {
        None
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, _: &Tag) -> Option<Plan> {
        None
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// It runs nothing: no output, no service.
    async fn fault(&self, _: Fault) -> bool {
        false
    }
}

#[tokio::test]
async fn sim_keeps_the_contract() {
    keeps_all(&SimRig::new(Some(r#"{"run": "RUNNING"}"#))).await;
}

#[tokio::test]
async fn sim_plays_its_control_file() {
    let rig =
        SimRig::new(Some(r#"{"run": "PREP", "status": "DONEWITHERROR", "suspend": "SUSPENDED", "cancel": "FAILED"}"#));
    let (engine, place) = (&rig.engine, &rig.place);
    let rig: &dyn Rig = &rig;
    let tag = place.tag("played");
    rig.launch(&tag).await.expect("launched");
    // Read at the launch and kept for the job.
    fs::write(place.path("control.json"), r#"{"run_error": "no room"}"#).expect("written");
    let other = place.tag("refused");
    assert_eq!(rig.launch(&other).await, Err(EngineError::Refused("no room".to_owned())));
    assert_eq!(engine.find(JobRef::from(&other)).await, Ok(None));
    let outcome = |observed: Observed| match observed {
        Observed::Ended(ended) => ended.outcome,
        other => panic!("{other:?}"),
    };
    let job = JobRef::from(&tag);
    assert_eq!(outcome(engine.observe(job).await.expect("an answer")), Outcome::DoneWithError);
    assert!(engine.suspends());
    assert_eq!(engine.suspend(job).await, Ok("SUSPENDED".to_owned()));
    let suspended = Observed::Running { state: Some("SUSPENDED".to_owned()) };
    assert_eq!(engine.observe(job).await, Ok(suspended));
    engine.stop(job, Stop::Gently).await.expect("stopped");
    let first = engine.observe(job).await.expect("an answer");
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(engine.observe(job).await, Ok(first.clone()), "the time of the end too");
    assert_eq!(outcome(first), Outcome::Failed, "status is ignored once it is cancelled");

    fs::write(place.path("control.json"), r#"{"run": "PREP"}"#).expect("written");
    let queued = place.tag("queued");
    rig.launch(&queued).await.expect("launched");
    let prep = Observed::Queued { state: Some("PREP".to_owned()) };
    assert_eq!(engine.observe(JobRef::from(&queued)).await, Ok(prep));
}

#[tokio::test]
async fn sim_ends_by_itself_without_a_control_file() {
    let rig = SimRig::new(None);
    let tag = rig.place.tag("alone");
    let changed = rig.engine.changed();
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    tokio::time::timeout(Duration::from_secs(10), changed.notified()).await.expect("it rings");
    let ended = until("its end", || async {
        match rig.engine.observe(JobRef::from(&tag)).await.expect("an answer") {
            Observed::Ended(ended) => Some(ended),
            _ => None,
        }
    })
    .await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Succeeded, None));
}
