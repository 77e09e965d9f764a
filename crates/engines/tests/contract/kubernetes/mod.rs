//! Kubernetes under the contract, with the fake API server; and what it owes beyond: launches cut short, executors left, errors that
//! say what to do.

mod ends;
mod watch;

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use foggara_domain::{Tag, plan::Plan};
use foggara_engines::{
    Engine, EngineError, JobRef, Observed, Stop, Stream,
    kubernetes::{Kubernetes, KubernetesSettings},
    remote::{Remote, RemoteSettings},
};
use foggara_testkit::kubernetes::{ACCOUNT, CA, FakeKubernetes, NAMESPACE};
use serde_json::{Map, json};

use crate::{
    place::{Place, until},
    promises::keeps_all,
    rig::{Fault, Rig},
};

/// A value that must be seen nowhere but in the Secret.
const PASSWORD: &str = "a-very-secret-password";

pub struct KubernetesRig {
    pub place: Place,
    pub fake: FakeKubernetes,
    pub settings: KubernetesSettings,
    engine: Remote<Kubernetes>,
}

impl KubernetesRig {
    fn new() -> Self {
        Self::with(FakeKubernetes::start().expect("a server"), |_| {})
    }

    fn with(fake: FakeKubernetes, change: impl FnOnce(&mut KubernetesSettings)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::new();
        let remote =
            RemoteSettings { prefix: place.prefix.clone(), data_dir: place.dir.path().to_owned(), log_limit: 1 << 20 };
        let mut settings = KubernetesSettings {
            server: fake.url(),
            ca_file: None,
            token_file: None,
            namespace: NAMESPACE.to_owned(),
            service_account: ACCOUNT.to_owned(),
            image: "spark:test".to_owned(),
            pull_policy: "IfNotPresent".to_owned(),
            pod_template: Map::new(),
            artifacts: None,
            max_running: 10,
            keep_ended: Duration::from_secs(3600),
            watch_for: Duration::from_secs(30),
            remote,
        };
        change(&mut settings);
        let engine = engine(&settings);
        Self { place, fake, settings, engine }
    }

    fn pods(path: &str) -> String {
        format!("{path} /api/v1/namespaces/{NAMESPACE}/pods")
    }

    async fn runs(&self, tag: &Tag) {
        until("it runs", || async {
            match self.engine.observe(JobRef::from(tag)).await.expect("an answer") {
                Observed::Running { .. } => Some(()),
                _ => None,
            }
        })
        .await;
    }

    async fn lists(&self, tags: &[&Tag]) {
        until("the list is right", || async {
            let list = self.engine.list(&self.place.prefix).await.expect("a list");
            list.iter().eq(tags.iter().copied()).then_some(())
        })
        .await;
    }

    async fn shows(&self, tag: &Tag, state: &str) {
        until("its state is shown", || async { (self.state(tag).await.as_deref() == Some(state)).then_some(()) }).await;
    }

    async fn state(&self, tag: &Tag) -> Option<String> {
        match self.engine.observe(JobRef::from(tag)).await.expect("an answer") {
            Observed::Queued { state } | Observed::Running { state } => state,
            other => panic!("{other:?}"),
        }
    }
}

fn engine(settings: &KubernetesSettings) -> Remote<Kubernetes> {
    Remote::new(Kubernetes::new(settings.clone()).expect("an engine"), settings.remote.clone())
}

#[async_trait]
impl Rig for KubernetesRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(engine(&self.settings))
    }

    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>> {
        Some(Box::new(engine(&KubernetesSettings { server: url.to_owned(), ..self.settings.clone() })))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let main = self.place.workspace(tag).join("main.py");
        fs::write(&main, "print(1)").expect("written");
        Some(Plan::Spark {
            main,
            main_class: None,
            args: vec!["$(POD_IP) costs $5".to_owned()],
            secret_args: false,
            conf: BTreeMap::from([("spark.hadoop.fs.s3a.secret.key".to_owned(), PASSWORD.to_owned())]),
            py_files: Vec::new(),
            jars: Vec::new(),
            files: Vec::new(),
        })
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &[
            "spark.master",
            "spark.submit.deployMode",
            "spark.foggara.id",
            "spark.app.id",
            "spark.kubernetes.namespace",
            "spark.kubernetes.driver.pod.name",
            "spark.kubernetes.executor.label.foggara-id",
            "spark.kubernetes.executor.label.foggara-installation",
        ]
    }

    fn lags(&self) -> bool {
        true
    }

    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            // The last of a launch's three requests; the others are lost in tests of their own.
            Fault::LostAnswer => self.fake.lose_answer(&Self::pods("PATCH")),
            Fault::LateEffect => self.fake.hold_pod(),
            Fault::Effect => self.fake.make_late(),
            Fault::Deaf(deaf) => self.fake.set_deaf(deaf),
            Fault::NewLife => self.fake.new_life(),
            Fault::StrangeState(tag) => self.fake.set_phase(tag.as_str(), "Strange"),
            Fault::Unauthorized => self.fake.fail("GET", 401),
            Fault::Prints(tag, text) => self.fake.print(tag.as_str(), text),
            Fault::Ends(tag) => self.fake.end(tag.as_str(), 0, "Completed"),
        }
        true
    }
}

#[tokio::test]
async fn kubernetes_keeps_the_contract() {
    keeps_all(&KubernetesRig::new()).await;
}

/// A server that dies between any two of a launch's requests: the launch is repeated, and one whole pod comes of it.
#[tokio::test]
async fn a_launch_that_was_cut_short_is_completed() {
    for (name, part, has_pod, has_secret) in [
        ("pod-lost", "POST /api/v1/namespaces/jobs/pods", false, false),
        ("pod-unanswered", "POST /api/v1/namespaces/jobs/pods", true, false),
        ("secret-lost", "POST /api/v1/namespaces/jobs/secrets", true, false),
        ("secret-unanswered", "POST /api/v1/namespaces/jobs/secrets", true, true),
        ("mark-lost", "PATCH /api/v1/namespaces/jobs/pods", true, true),
    ] {
        let rig = KubernetesRig::new();
        let tag = rig.place.tag(name);
        if name.ends_with("unanswered") {
            rig.fake.lose_answer(part)
        } else {
            rig.fake.lose(part)
        }
        let rig_ref: &dyn Rig = &rig;
        let launched = rig_ref.launch(&tag).await;
        assert!(matches!(launched, Err(EngineError::Unreachable(_))), "{name}: {launched:?}");
        let again = rig.restarted();
        // With its Secret it runs, note or no note.
        let found = again.find(JobRef::from(&tag)).await.expect("asked");
        assert_eq!(found.is_some(), has_secret, "{name}: without it, it is to be launched again");
        let listed = if has_pod { vec![tag.clone()] } else { vec![] };
        assert_eq!(again.list(&rig.place.prefix).await, Ok(listed), "{name}: the sweep sees it");
        rig_ref.launch_on(again.as_ref(), &tag).await.expect("launched");
        assert!(again.find(JobRef::from(&tag)).await.expect("asked").is_some(), "{name}");
        assert_eq!(rig.fake.pods(), [tag.as_str()], "{name}");
        rig.runs(&tag).await;
    }
}

/// A pod that was cut short and that nobody wants is stopped, and nothing is left of it.
#[tokio::test]
async fn what_was_cut_short_can_be_stopped() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("unwanted");
    rig.fake.lose(&format!("POST /api/v1/namespaces/{NAMESPACE}/secrets"));
    (&rig as &dyn Rig).launch(&tag).await.expect_err("lost");
    assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![tag.clone()]));
    rig.fake.lose_node(true);
    rig.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("stopped");
    let launched = (&rig as &dyn Rig).launch(&tag).await;
    assert!(matches!(&launched, Err(EngineError::Unreachable(why)) if why.contains("being deleted")), "{launched:?}");
    rig.fake.lose_node(false);
    until("it is gone", || async {
        rig.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("stopped");
        rig.engine.list(&rig.place.prefix).await.expect("a list").is_empty().then_some(())
    })
    .await;
    assert!(rig.fake.pods().is_empty() && rig.fake.secret(tag.as_str()).is_none());
}

#[tokio::test]
async fn secrets_are_in_the_secret_alone_and_arguments_arrive_as_they_are() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("hidden");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    let pod = rig.fake.pod(tag.as_str()).expect("a pod");
    assert!(!pod.to_string().contains(PASSWORD), "{pod}");
    let args = &pod["spec"]["containers"][0]["args"];
    assert_eq!(args.as_array().and_then(|args| args.last()), Some(&json!("$$(POD_IP) costs $$5")));
    let secret = rig.fake.secret(tag.as_str()).expect("a Secret");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], pod["metadata"]["uid"]);
    let items = pod["spec"]["volumes"][0]["secret"]["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["path"] == "spark.properties").expect("the settings");
    let value = secret["data"][item["key"].as_str().expect("a key")].as_str().expect("a value");
    let settings = String::from_utf8(STANDARD.decode(value).expect("Base64")).expect("text");
    assert!(settings.contains(PASSWORD));
    for wanted in
        [format!("spark.kubernetes.driver.pod.name={tag}"), format!("spark.kubernetes.executor.label.foggara-id={tag}")]
    {
        assert!(settings.contains(&wanted), "{settings}");
    }
    rig.fake.end(tag.as_str(), 0, "Completed");
    rig.engine.forget(JobRef::from(&tag)).await.expect("forgotten");
    until("both are gone", || async {
        rig.engine.list(&rig.place.prefix).await.expect("a list");
        (rig.fake.pods().is_empty() && rig.fake.secret(tag.as_str()).is_none()).then_some(())
    })
    .await;
}

/// Arguments that are secret are read by a launcher.
#[tokio::test]
async fn secret_arguments_are_not_in_the_pod() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("words");
    let Some(Plan::Spark { main, conf, .. }) = rig.plan(&tag) else { panic!("a plan") };
    let args = vec![PASSWORD.to_owned()];
    let plan = Plan::Spark {
        main,
        args,
        conf,
        main_class: None,
        secret_args: true,
        py_files: vec![],
        jars: vec![],
        files: vec![],
    };
    launch(&rig, &tag, &plan).await.expect("launched");
    let pod = rig.fake.pod(tag.as_str()).expect("a pod");
    assert!(!pod.to_string().contains(PASSWORD), "{pod}");
    let args = pod["spec"]["containers"][0]["args"].as_array().expect("arguments");
    assert_eq!(args[args.len() - 2..], [json!("file:///opt/foggara/launch.py"), json!("/opt/foggara/words")]);
}

async fn launch(rig: &KubernetesRig, tag: &Tag, plan: &Plan) -> Result<(), EngineError> {
    let launch = foggara_engines::Launch {
        tag,
        job_type: "Spark",
        job_name: "job",
        plan: Some(plan),
        urls: &BTreeMap::new(),
        workspace: rig.place.workspace(tag),
        logs: rig.place.path("logs").join(tag.as_str()),
        kill_grace: rig.place.kill_grace,
    };
    rig.engine.launch(launch).await.map(|_| ())
}

/// No kubelet, no evidence: a pod on a lost node stays alive, also after a hard stop.
#[tokio::test]
async fn a_pod_on_a_lost_node_is_not_gone() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("lost-node");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    rig.runs(&tag).await;
    rig.fake.lose_node(true);
    let job = JobRef::from(&tag);
    rig.engine.stop(job, Stop::Hard).await.expect("stopped");
    rig.lists(&[&tag]).await;
    until("it is shown", || async { (rig.state(&tag).await.as_deref() == Some("TERMINATING")).then_some(()) }).await;
    rig.fake.lose_node(false);
    until("it is gone", || async {
        matches!(rig.engine.observe(job).await, Ok(Observed::Absent { .. })).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_keeps_a_pod_from_running_is_shown() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("pull");
    rig.fake.set_obstacle(Some(("ImagePullBackOff", "Back-off pulling image \"spark:test\"")));
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    let shown = "PENDING: ImagePullBackOff: Back-off pulling image \"spark:test\"";
    rig.shows(&tag, shown).await;
    rig.fake.set_obstacle(None);
    rig.runs(&tag).await;

    rig.fake.set_obstacle(Some(("Unschedulable", "0/3 nodes are available: 3 Insufficient memory.")));
    let tag = rig.place.tag("large");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    let shown = "PENDING: Unschedulable: 0/3 nodes are available: 3 Insufficient memory.";
    rig.shows(&tag, shown).await;
    // It has not begun, so that it is deleted.
    rig.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("stopped");
    assert!(rig.fake.pod(tag.as_str()).is_none());
}

/// No room is not a no: nothing is left of the try, and it may be made again.
#[tokio::test]
async fn a_quota_that_is_used_up_is_said() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("quota");
    let launch = || (&rig as &dyn Rig).launch(&tag);
    rig.fake.set_quota(Some(0));
    let full = launch().await;
    assert!(matches!(&full, Err(EngineError::Full(why)) if why.contains("exceeded quota: some-pods")), "{full:?}");
    let service = Kubernetes::new(rig.settings.clone()).expect("an engine");
    assert!(matches!(service.rehearse().await, Err(EngineError::Full(_))));
    rig.fake.set_quota(None);
    // Too many requests, when the pod is there already.
    rig.fake.fail(&format!("POST /api/v1/namespaces/{NAMESPACE}/secrets"), 429);
    assert!(matches!(launch().await, Err(EngineError::Full(_))));
    assert_eq!(rig.engine.find(JobRef::from(&tag)).await, Ok(None));
    assert!(rig.fake.pods().is_empty());
    launch().await.expect("launched");
    rig.runs(&tag).await;
}

#[tokio::test]
async fn a_name_that_is_taken_by_somebody_is_said() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("taken");
    rig.fake.put_pod(json!({"metadata": {"name": tag.as_str()}, "spec": {"containers": [{"name": "other"}]}}));
    let refused = (&rig as &dyn Rig).launch(&tag).await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("is not of foggara")), "{refused:?}");
}

/// Refused for good: the job fails with the server's words, and no pod waits for ever.
#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let rig = KubernetesRig::new();
    rig.fake.deny("create secrets");
    let tag = rig.place.tag("no-secret");
    let refused = (&rig as &dyn Rig).launch(&tag).await;
    let Err(EngineError::Refused(why)) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("cannot create resource \"secrets\"") && why.contains("docs/engines/kubernetes.md"), "{why}");
    assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![]));
    assert!(rig.fake.pods().is_empty());
    let service = Kubernetes::new(rig.settings.clone()).expect("an engine");
    assert_eq!(service.lacks().await, Ok(vec!["create secrets".to_owned()]));
    // Without a watch each look is a list.
    rig.fake.deny("watch pods");
    let unwatched = rig.restarted();
    for _ in 0..50 {
        assert_eq!(unwatched.list(&rig.place.prefix).await, Ok(vec![]));
    }
    assert_eq!(service.lacks().await, Ok(vec!["watch pods".to_owned(), "create secrets".to_owned()]));
    rig.fake.deny("list pods");
    let list = rig.restarted().list(&rig.place.prefix).await;
    assert!(matches!(&list, Err(EngineError::Unreachable(why)) if why.contains("cannot list resource")), "{list:?}");
}

#[tokio::test]
async fn a_rehearsal_finds_a_missing_account_and_makes_nothing() {
    let rig = KubernetesRig::with(FakeKubernetes::start().expect("a server"), |settings| {
        settings.service_account = "nobody".to_owned();
    });
    let service = Kubernetes::new(rig.settings.clone()).expect("an engine");
    let refused = service.rehearse().await.expect_err("no account").to_string();
    assert!(refused.contains("serviceaccount \"nobody\" not found"), "{refused}");
    let good = KubernetesSettings { service_account: ACCOUNT.to_owned(), ..rig.settings.clone() };
    let service = Kubernetes::new(good).expect("an engine");
    assert_eq!((service.rehearse().await, service.lacks().await), (Ok(()), Ok(vec![])));
    assert!(rig.fake.pods().is_empty());
}

#[tokio::test]
async fn large_files_without_a_store_are_refused() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("large");
    let plan = rig.plan(&tag).expect("a plan");
    fs::write(rig.place.workspace(&tag).join("main.py"), vec![b'#'; 1 << 20]).expect("written");
    let refused = launch(&rig, &tag, &plan).await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("kubernetes.artifacts")), "{refused:?}");
    assert!(rig.fake.pods().is_empty());
}

/// Token files are renewed by others.
#[tokio::test]
async fn a_token_is_read_for_each_request() {
    let fake = FakeKubernetes::start().expect("a server");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    fs::write(&file, "first-token\n").expect("written");
    fake.set_token("first-token");
    let rig = KubernetesRig::with(fake, |settings| settings.token_file = Some(file.clone()));
    assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![]));
    rig.fake.set_token("second-token");
    let list = rig.engine.list(&rig.place.prefix).await;
    assert!(matches!(&list, Err(EngineError::Unreachable(why)) if why.contains("credential")), "{list:?}");
    fs::write(&file, "second-token\n").expect("written");
    assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![]));
    let text = format!("{:?}", rig.settings);
    assert!(!text.contains("second-token"));
}

#[tokio::test]
async fn tls_is_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    let ca: PathBuf = dir.path().join("ca.pem");
    fs::write(&ca, CA).expect("written");
    let rig = KubernetesRig::with(FakeKubernetes::start_tls().expect("a server"), |settings| {
        settings.ca_file = Some(ca.clone());
    });
    assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![]));
    let other = |change: &dyn Fn(&mut KubernetesSettings)| {
        let mut settings = rig.settings.clone();
        change(&mut settings);
        engine(&settings)
    };
    let misnamed = other(&|settings| settings.server = format!("https://localhost:{}", rig.fake.port()));
    let why = misnamed.list(&rig.place.prefix).await.expect_err("another name").to_string();
    assert!(why.contains("not valid for name \"localhost\""), "{why}");
    let untrusting = other(&|settings| settings.ca_file = None);
    let why = untrusting.list(&rig.place.prefix).await.expect_err("an unknown CA").to_string();
    assert!(why.contains("UnknownIssuer"), "{why}");
}

/// The mirror gives what a log had, when its pod is gone, from any byte; long logs are cut at their limit.
#[tokio::test]
async fn a_log_outlives_its_pod() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("log");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    rig.runs(&tag).await;
    let job = JobRef::from(&tag);
    let text = |offset| {
        let engine = &rig.engine;
        async move {
            let piece = engine.logs(job, Stream::Stdout, offset, 1 << 20).await.expect("a piece");
            String::from_utf8_lossy(&piece.bytes).into_owned()
        }
    };
    rig.fake.print(tag.as_str(), "one\ntwo\nthr");
    assert_eq!(text(0).await, "one\ntwo\nthr", "also what is no whole line yet");
    rig.fake.print(tag.as_str(), "\nfour\n");
    assert!(text(4).await.starts_with("two\n"));
    let asked = rig.fake.asked();
    let last = asked.iter().rfind(|asked| asked.contains("/log?")).expect("asked");
    assert!(last.contains("sinceTime=2026-01-01T00"), "read on, not anew: {last}");
    rig.engine.stop(job, Stop::Hard).await.expect("stopped");
    until("it is gone", || async {
        rig.engine.list(&rig.place.prefix).await.expect("a list").is_empty().then_some(())
    })
    .await;
    let kept = rig.restarted().logs(job, Stream::Stdout, 4, 3).await.expect("a piece");
    assert_eq!(String::from_utf8_lossy(&kept.bytes), "two");
    let errors = rig.engine.logs(job, Stream::Stderr, 0, 100).await.expect("a piece");
    assert!(errors.bytes.is_empty());
}
