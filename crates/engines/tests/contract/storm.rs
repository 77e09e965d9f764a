//! The engine of Storm under the contract, on the fake of its UI and a stand-in for its client (`foggara_testkit::storm`).

use std::{collections::BTreeMap, fs, path::PathBuf};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::Plan, status::Outcome};
use foggara_engines::{
    Engine, EngineError, JobRef, Launch, Launched, Observed, Stop, Stream,
    local::LocalSettings,
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, RestSettings},
    },
    storm::{Storm, StormSettings},
};
use foggara_testkit::storm::{FakeStorm, Submission};
use serde_json::json;

use crate::{
    place::{Place, end_of, until},
    promises::keeps_all,
    rig::{Fault, Rig},
};

struct StormRig {
    place: Place,
    fake: FakeStorm,
    home: PathBuf,
    engine: Remote<Storm>,
}

fn engine(place: &Place, url: &str, home: &std::path::Path, kill_wait: u64) -> Remote<Storm> {
    let ui = RestSettings { service: "Storm's UI", urls: url.to_owned(), ca_file: None, auth: Auth::None };
    let settings = StormSettings {
        ui,
        home: Some(home.to_owned()),
        nimbus: Some("one,two".to_owned()),
        kill_wait,
        max_running: 4,
    };
    let local = LocalSettings { data_dir: place.path("storm"), ..place.settings.clone() };
    let remote = RemoteSettings {
        prefix: place.prefix.clone(),
        data_dir: place.dir.path().to_owned(),
        log_limit: place.settings.log_limit,
    };
    Remote::new(Storm::new(settings, local, place.prefix.clone()).expect("an engine"), remote)
}

impl StormRig {
    fn new(kill_wait: u64) -> Self {
        // reqwest is built without a provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::new();
        let fake = FakeStorm::start().expect("a fake");
        let home = fake.put_client(place.dir.path()).expect("a client");
        Self { engine: engine(&place, &fake.url(), &home, kill_wait), place, fake, home }
    }

    fn topology(&self, tag: &Tag, class: Option<&str>, jar: &[u8]) -> Plan {
        let path = self.place.workspace(tag).join("topology.jar");
        fs::write(&path, jar).expect("written");
        Plan::Storm {
            jar: path,
            libs: vec![PathBuf::from("/libs/a.jar"), PathBuf::from("/libs/b.jar")],
            main_class: class.map(str::to_owned),
            args: class.map(|_| vec!["one".to_owned(), "two words".to_owned()]).unwrap_or_default(),
            settings: [("topology.workers", "2"), ("kafka.password", "hush, hush=%")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }

    async fn submit(&self, tag: &Tag, plan: &Plan) -> Result<Launched, EngineError> {
        let launch = Launch {
            tag,
            job_type: "Storm",
            job_name: "job",
            plan: Some(plan),
            urls: &BTreeMap::new(),
            workspace: self.place.workspace(tag),
            logs: self.place.path("logs").join(tag.as_str()),
            kill_grace: self.place.kill_grace,
        };
        self.engine.launch(launch).await
    }
}

#[async_trait]
impl Rig for StormRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(engine(&self.place, &self.fake.url(), &self.home, 0))
    }

    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>> {
        Some(Box::new(engine(&self.place, url, &self.home, 0)))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        Some(self.topology(tag, Some("org.example.Words"), b"PK\x03\x04"))
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &["topology.name", "nimbus.seeds", "nimbus.host"]
    }

    /// A topology has no output of its own and never ends by itself, and Nimbus forgets none.
    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            Fault::LostAnswer => self.fake.next_submission(Submission::AnswerLost),
            Fault::LateEffect => self.fake.next_submission(Submission::Late),
            Fault::Effect => self.fake.effect(),
            Fault::Deaf(deaf) => self.fake.set_deaf(deaf),
            Fault::StrangeState(tag) => self.fake.set_status(tag.as_str(), "STRANGE"),
            Fault::Unauthorized => self.fake.refuse_once(),
            Fault::NewLife | Fault::Prints(..) | Fault::Ends(_) => return false,
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_keeps_the_contract() {
    keeps_all(&StormRig::new(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_from_submission_to_its_kill() {
    let rig = StormRig::new(600);
    let tag = rig.place.tag("words");
    let job = JobRef::from(&tag);
    let plan = rig.plan(&tag).expect("a plan");
    let launched = rig.submit(&tag, &plan).await.expect("launched");
    assert!(launched.reference.starts_with(&format!("{tag}-1-")), "{launched:?}");
    let mut told = rig.fake.told(tag.as_str()).expect("submitted");
    let argv = told.as_object_mut().and_then(|told| told.remove("argv")).expect("its words").to_string();
    assert!(
        !argv.contains("topology.workers") && !argv.contains("hush"),
        "no setting stands on a command line: {argv}"
    );
    let conf = json!(["kafka.password=hush, hush=%", "nimbus.seeds=[\"one\",\"two\"]", "topology.workers=2"]);
    let wanted = json!({"conf": conf, "jars": "/libs/a.jar,/libs/b.jar", "class": "org.example.Words", "name": tag.as_str(),
                        "args": ["one", "two words"]});
    assert_eq!(told, wanted);
    let piece = rig.engine.logs(job, Stream::Stdout, 0, 1000).await.expect("a log");
    assert_eq!(String::from_utf8_lossy(&piece.bytes), format!("Finished submitting topology: {tag}\n"));

    let state = |word: &str| Ok(Observed::Running { state: Some(word.to_owned()) });
    let shows = |word: &'static str| {
        let (engine, wanted) = (&rig.engine, state(word));
        async move { until(word, || async { (engine.observe(job).await == wanted).then_some(()) }).await }
    };
    assert!(rig.engine.suspends());
    assert_eq!(rig.engine.suspend(job).await, Ok("SUSPENDED".to_owned()));
    shows("SUSPENDED").await;
    // A gentle kill asked for again must not make Nimbus wait anew.
    rig.engine.stop(job, Stop::Gently).await.expect("stopped");
    shows("KILLING").await;
    rig.engine.stop(job, Stop::Gently).await.expect("stopped");
    assert_eq!(
        rig.engine.list(&rig.place.prefix).await,
        Ok(vec![tag.clone()]),
        "it is not gone before its time is over"
    );
    rig.engine.stop(job, Stop::Hard).await.expect("stopped");
    assert_eq!(rig.fake.asked(), ["deactivate", "kill/600", "kill/0"]);
    let outcome = until("its end", || async {
        match rig.engine.observe(job).await {
            Ok(Observed::Ended(ended)) => Some(ended.outcome),
            _ => None,
        }
    })
    .await;
    assert_eq!(outcome, Outcome::Killed);
}

/// Two workers write in turns; what is read once stays where it is, and is kept when the topology is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_workers_write_is_read_by_offset_and_kept() {
    let rig = StormRig::new(0);
    let tag = rig.place.tag("writes");
    let job = JobRef::from(&tag);
    let id = rig.submit(&tag, &rig.plan(&tag).expect("a plan")).await.expect("launched").reference;
    let said = format!("Finished submitting topology: {tag}\n");
    let all = || async {
        let (mut text, mut offset) = (Vec::new(), 0);
        loop {
            let piece = rig.engine.logs(job, Stream::Stdout, offset, 7).await.expect("a log");
            if piece.bytes.is_empty() {
                return String::from_utf8(text).expect("text");
            }
            offset = piece.next_offset;
            text.extend(piece.bytes);
        }
    };
    let shows = |wanted: String| {
        let all = &all;
        async move { until("what its workers wrote", || async { (all().await == wanted).then_some(()) }).await }
    };
    assert_eq!(all().await, said, "it has no workers yet");
    rig.fake.write(tag.as_str(), 6700, "one\n");
    let one = format!("{said}==> worker one:6700 <==\none\n");
    shows(one.clone()).await;
    rig.fake.write(tag.as_str(), 6701, "two\n");
    let two = format!("{one}==> worker one:6701 <==\ntwo\n");
    shows(two.clone()).await;
    rig.fake.write(tag.as_str(), 6701, "more of two\n");
    shows(format!("{two}more of two\n")).await;
    rig.engine.stop(job, Stop::Hard).await.expect("stopped");
    rig.fake.write_last(&id, 6700, "closing\n");
    end_of(&rig.engine, job).await;
    let whole = format!("{two}more of two\n==> worker one:6700 <==\nclosing\n");
    assert_eq!(all().await, whole);
    let kept = fs::read_to_string(rig.place.path("logs").join(tag.as_str()).join("stdout")).expect("kept");
    assert_eq!(kept, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_submitted_is_refused_with_a_reason() {
    let rig = StormRig::new(0);
    let refused = |launched: Result<Launched, EngineError>| match launched {
        Err(EngineError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let tag = rig.place.tag("text");
    let why = refused(rig.submit(&tag, &rig.topology(&tag, Some("A"), b"#!/bin/sh")).await);
    assert!(why.starts_with("topology.jar is no jar: "), "{why}");
    let tag = rig.place.tag("class");
    let why = refused(rig.submit(&tag, &rig.topology(&tag, Some("no.such.Class"), b"PK\x03\x04")).await);
    assert!(why.contains("ClassNotFoundException: no.such.Class"), "{why}");
    assert_eq!(rig.engine.find(JobRef::from(&tag)).await, Ok(None));
    let tag = rig.place.tag("pyleus-not");
    let why = refused(rig.submit(&tag, &rig.topology(&tag, None, b"PK\x03\x04")).await);
    assert!(why.contains("is no jar"), "{why}");

    // Nimbus without a leader: nothing is known of any topology.
    rig.fake.set_leaderless(true);
    let list = rig.engine.list(&rig.place.prefix).await;
    assert!(matches!(&list, Err(EngineError::Unreachable(why)) if why.contains("leader nimbus")), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jar_of_pyleus_is_given_our_name() {
    let rig = StormRig::new(0);
    let tag = rig.place.tag("pyleus");
    let plan = rig.topology(&tag, None, b"");
    let Plan::Storm { jar, .. } = &plan else { panic!("no topology") };
    let make = "import sys, zipfile\n\
                with zipfile.ZipFile(sys.argv[1], 'w') as jar:\n    \
                jar.writestr('resources/pyleus_topology.yaml', 'workers: 2\\nname: its_own\\ntopology:\\n  - spout:\\n      name: a\\n')\n    \
                jar.writestr('com/yelp/pyleus/PyleusTopologyBuilder.class', b'x')\n";
    let made = std::process::Command::new("python3").args(["-c", make]).arg(jar).status().expect("python3");
    assert!(made.success());
    let launched = rig.submit(&tag, &plan).await.expect("launched");
    assert!(launched.reference.starts_with(tag.as_str()), "{launched:?}");
    let told = rig.fake.told(tag.as_str()).expect("submitted under the tag");
    assert_eq!(told["class"], "com.yelp.pyleus.PyleusTopologyBuilder");
    assert_eq!(told["args"], json!([]));
}
