//! YARN under the contract, with the fake of its web services, in both ways that jobs get there; and the trouble that is YARN's own. In
//! the place of `spark-submit` and `hadoop` stand scripts that submit to the fake what the real ones submit by RPC.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use foggara_domain::{
    ClusterId, ProjectId, Tag, Timestamp,
    cluster::{Cluster, ClusterStatus},
    plan::Plan,
    status::Outcome,
};
use foggara_engines::{
    Ended, Engine, EngineError, JobRef, Observed, Plugin, Stop, Stream, Voided,
    local::LocalSettings,
    plugin::HostSize,
    plugins::yarn::YarnPlugin,
    remote::{
        RemoteSettings,
        rest::{Auth, Rest, RestSettings},
        spnego::{Spnego, SpnegoSettings},
    },
};
use foggara_testkit::{
    api::http,
    yarn::{COOKIE, FakeYarn},
};
use serde_json::{Map, Value, json};

use crate::{
    place::{Place, tagged, until},
    promises::keeps_all,
    rig::{Fault, Rig},
};

/// Reads the settings as spark-submit does, and ends when the application is taken. One whose connection breaks is killed, so that
/// nobody can say whether it was.
const SPARK_SUBMIT: &str = r#"#!/bin/bash
echo "$@" > called
user=${HADOOP_PROXY_USER:-$HADOOP_USER_NAME}
while [ $# -gt 0 ]; do
  [ "$1" = --properties-file ] && file=$2
  shift
done
get() { sed -n "s/^$1=//p" "$file"; }
[ "$(get spark.yarn.submit.waitAppCompletion)" = false ] || { echo "it would wait" >&2; exit 9; }
[ -f "$HADOOP_CONF_DIR/yarn-site.xml" ] || { echo "no HADOOP_CONF_DIR" >&2; exit 9; }
while [ -e "${0%/*}/wait" ]; do sleep 0.05; done
answer=$(curl -q -s -S --fail-with-body -X POST "URL/fake/submit?type=SPARK&user=$user&queue=$(get spark.yarn.queue)&tags=$(get spark.yarn.tags)")
case $? in
  0) echo "26/11/24 10:00:00 INFO YarnClientImpl: Submitted application $answer" >&2 ;;
  22) echo "Exception in thread \"main\" org.apache.hadoop.yarn.exceptions.YarnException: $answer" >&2
      echo "26/11/24 10:00:00 INFO ShutdownHookManager: Shutdown hook called" >&2
      exit 1 ;;
  *) kill -9 $$ ;;
esac
"#;

/// A client that starts an application and waits for it: it says what is put into its folder, and ends when it is told so there.
const HADOOP: &str = r#"#!/bin/bash
echo "$@" > called
conf=$HADOOP_CONF_DIR/mapred-site.xml
tags=$(sed -n 's/.*<name>mapreduce.job.tags<\/name><value>\([^<]*\)<.*/\1/p' "$conf")
curl -q -s -S -f -X POST "URL/fake/submit?type=MAPREDUCE&user=$HADOOP_USER_NAME&queue=default&tags=$tags" > id || exit 1
while [ ! -e over ]; do
  if [ -e say ]; then cat say; rm say; fi
  sleep 0.02
done
exit "$(cat over)"
"#;

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made runnable");
}

/// How jobs get onto the cluster.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    SparkSubmit,
    Client,
}

struct Yarn {
    place: Place,
    fake: FakeYarn,
    way: Way,
    settings: Value,
    engine: Arc<dyn Engine>,
}

/// The engine of a restarted server.
struct Again(Arc<dyn Engine>);

fn cluster(settings: &Value) -> Cluster {
    let cluster_configs: Map<String, Value> = Map::from_iter([("yarn".to_owned(), settings.clone())]);
    let settings = serde_json::from_value(json!({"cluster_configs": cluster_configs})).expect("settings");
    Cluster {
        id: ClusterId::new(),
        project: ProjectId::system(),
        name: "yarn".to_owned(),
        description: None,
        plugin: "yarn".to_owned(),
        version: "3".to_owned(),
        status: ClusterStatus::Active,
        status_description: String::new(),
        settings,
        template: None,
        keypair: None,
        is_transient: false,
        info: Map::new(),
        is_public: Default::default(),
        is_protected: Default::default(),
        host: None,
        revision: 0,
        created_at: Timestamp::from_micros(0),
        updated_at: None,
        node_groups: Vec::new(),
    }
}

fn plugin(place: &Place) -> YarnPlugin {
    let remote =
        RemoteSettings { prefix: place.prefix.clone(), data_dir: place.dir.path().to_owned(), log_limit: 1 << 20 };
    YarnPlugin::new(place.settings.clone(), remote)
}

impl Yarn {
    fn new(way: Way, managers: usize) -> Self {
        let fake = FakeYarn::start(managers).expect("a fake");
        Self::on(way, fake, |_| {})
    }

    fn on(way: Way, fake: FakeYarn, change: impl FnOnce(&mut Value)) -> Self {
        http();
        let place = Place::with(|settings: &mut LocalSettings| {
            let home = settings.data_dir.join("java");
            script(&home.join("bin/java"), "#!/bin/sh\n");
            fs::write(home.join("release"), "JAVA_VERSION=\"17.0.1\"\n").expect("written");
            settings.java_home = Some(home);
            settings.spark_home = Some(settings.data_dir.join("spark"));
        });
        let urls = fake.urls();
        let first = urls.split(',').next().unwrap_or_default();
        script(&place.path("spark/bin/spark-submit"), &SPARK_SUBMIT.replace("URL", first));
        script(&place.path("hadoop/bin/hadoop"), &HADOOP.replace("URL", first));
        fs::create_dir(place.path("conf")).expect("made");
        fs::write(place.path("conf/yarn-site.xml"), "<configuration/>").expect("written");
        let mut settings = json!({
            "resource_manager": urls, "user": "alice", "submit_margin": 1, "queue": "default",
            "hadoop_conf_dir": place.path("conf"), "hadoop_home": place.path("hadoop"),
        });
        change(&mut settings);
        let engine = plugin(&place).engine(&cluster(&settings)).expect("an engine");
        Self { place, fake, way, settings, engine }
    }

    async fn launch(&self, name: &str) -> (Tag, String) {
        let tag = self.place.tag(name);
        let launched = (self as &dyn Rig).launch(&tag).await.expect("launched");
        (tag, launched.reference)
    }

    async fn observed(&self, tag: &Tag, reference: &str) -> Result<Observed, EngineError> {
        self.engine.observe(JobRef { reference: Some(reference), ..JobRef::from(tag) }).await
    }

    async fn end(&self, tag: &Tag, reference: &str) -> Ended {
        until("the end", || async {
            match self.observed(tag, reference).await.expect("an answer") {
                Observed::Ended(ended) => Some(ended),
                _ => None,
            }
        })
        .await
    }
}

#[async_trait]
impl Engine for Again {
    fn plugin(&self) -> &'static str {
        self.0.plugin()
    }
    fn ability(&self, kind: foggara_domain::plan::PlanKind) -> foggara_engines::Ability {
        self.0.ability(kind)
    }
    fn max_running(&self) -> Option<usize> {
        self.0.max_running()
    }
    fn changed(&self) -> Arc<tokio::sync::Notify> {
        self.0.changed()
    }
    async fn find(&self, job: JobRef<'_>) -> Result<Option<foggara_engines::Launched>, EngineError> {
        self.0.find(job).await
    }
    async fn launch(&self, launch: foggara_engines::Launch<'_>) -> Result<foggara_engines::Launched, EngineError> {
        self.0.launch(launch).await
    }
    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError> {
        self.0.void(job, why).await
    }
    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError> {
        self.0.observe(job).await
    }
    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError> {
        self.0.stop(job, how).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        self.0.list(prefix).await
    }
    async fn logs(
        &self,
        job: JobRef<'_>,
        stream: Stream,
        offset: u64,
        limit: usize,
    ) -> Result<foggara_engines::LogPiece, EngineError> {
        self.0.logs(job, stream, offset, limit).await
    }
    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.0.forget(job).await
    }
}

#[async_trait]
impl Rig for Yarn {
    fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(Again(plugin(&self.place).engine(&cluster(&self.settings)).expect("an engine")))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let jar = self.place.workspace(tag).join("job.jar");
        fs::write(&jar, "a jar").expect("written");
        Some(match self.way {
            Way::SparkSubmit => Plan::Spark {
                main: jar,
                main_class: Some("Main".to_owned()),
                args: vec!["in".to_owned()],
                secret_args: false,
                conf: BTreeMap::from([("spark.yarn.tags".to_owned(), "mine".to_owned())]),
                py_files: Vec::new(),
                jars: Vec::new(),
                files: Vec::new(),
            },
            Way::Client => Plan::HadoopJar {
                jar,
                args: vec!["Main".to_owned(), "in".to_owned()],
                secret_args: false,
                properties: BTreeMap::from([("mapreduce.job.tags".to_owned(), "mine".to_owned())]),
            },
        })
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &[
            "spark.yarn.tags",
            "spark.yarn.maxAppAttempts",
            "spark.yarn.submit.waitAppCompletion",
            "spark.hadoop.mapreduce.job.tags",
            "mapreduce.job.tags",
            "tez.application.tags",
        ]
    }

    async fn fault(&self, fault: Fault) -> bool {
        let client = self.way == Way::Client;
        match fault {
            // A client is started by this host, and its end is known here whatever the ResourceManager forgets.
            Fault::LostAnswer | Fault::LateEffect | Fault::Effect | Fault::NewLife if client => return false,
            Fault::LostAnswer => self.fake.lose_answer(),
            Fault::LateEffect => self.fake.delay(),
            Fault::Effect => self.fake.let_in(),
            Fault::Deaf(deaf) => self.fake.set_deaf(deaf),
            Fault::NewLife => self.fake.restart(false),
            Fault::StrangeState(tag) => {
                // A client begins before its application.
                until("the application", || async { self.fake.applications(tag.as_str()).pop() }).await;
                self.fake.set_state(tag.as_str(), "STRANGE");
            }
            Fault::Unauthorized => self.fake.refuse_next(),
            Fault::Prints(tag, text) if client => {
                let said = self.place.workspace(&tag).join("said");
                fs::write(&said, text).expect("written");
                fs::rename(said, self.place.workspace(&tag).join("say")).expect("told");
            }
            Fault::Prints(tag, text) => self.fake.print(tag.as_str(), "stdout", text),
            Fault::Ends(tag) => {
                self.fake.finish(tag.as_str(), "SUCCEEDED", "");
                fs::write(self.place.workspace(&tag).join("over"), "0").expect("told");
            }
        }
        true
    }
}

#[tokio::test]
async fn yarn_by_spark_submit_keeps_the_contract() {
    keeps_all(&Yarn::new(Way::SparkSubmit, 1)).await;
}

#[tokio::test]
async fn yarn_by_a_client_keeps_the_contract() {
    keeps_all(&Yarn::new(Way::Client, 1)).await;
}

#[tokio::test]
async fn the_ids_are_yarns_and_the_tags_ours() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("tags").await;
    let installation = yarn.place.prefix.clone();
    let apps = yarn.fake.applications(tag.as_str());
    assert_eq!(apps, yarn.fake.applications(&installation), "both tags are set");
    assert_eq!(apps, [(reference, "RUNNING".to_owned())]);
    assert!(yarn.fake.applications("mine").is_empty(), "a job's own do not count");
    let called = fs::read_to_string(yarn.place.workspace(&tag).join("called")).expect("called");
    assert!(called.starts_with("--master yarn --deploy-mode cluster --class Main --properties-file "), "{called}");
    assert!(!called.contains("spark.yarn"), "no setting stands on a command line: {called}");
}

#[tokio::test]
async fn jobs_outlive_the_change_of_the_active_manager() {
    let yarn = Yarn::new(Way::SparkSubmit, 2);
    let (tag, reference) = yarn.launch("failover").await;
    yarn.fake.fail_over();
    until("the other one is asked", || async {
        let observed = yarn.observed(&tag, &reference).await.expect("the next one is asked at once");
        let moved = yarn.engine.find(JobRef::from(&tag)).await.expect("asked").expect("found");
        assert_eq!(moved.reference, reference);
        (observed == Observed::Running { state: None }).then_some(())
    })
    .await;
    yarn.engine
        .stop(JobRef { reference: Some(&reference), ..JobRef::from(&tag) }, Stop::Gently)
        .await
        .expect("stopped");
    assert_eq!(yarn.end(&tag, &reference).await.outcome, Outcome::Killed);
    assert_eq!(yarn.fake.applications(tag.as_str()).len(), 1);
}

#[tokio::test]
async fn a_restart_that_recovers_forgets_nothing() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("recovered").await;
    yarn.fake.restart(true);
    until("it is asked anew", || async {
        let found = yarn.engine.find(JobRef::from(&tag)).await.expect("asked").expect("found");
        (found.incarnation == "1700000060000").then_some(())
    })
    .await;
    assert_eq!(yarn.observed(&tag, &reference).await, Ok(Observed::Running { state: None }));
}

#[tokio::test]
async fn a_full_queue_is_shown_with_yarns_words() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    yarn.fake.set_full(true);
    let (tag, reference) = yarn.launch("waits").await;
    match yarn.observed(&tag, &reference).await {
        Ok(Observed::Queued { state: Some(state) }) => {
            assert!(state.starts_with("ACCEPTED: ") && state.contains("AM resource limit exceeded"), "{state}");
        }
        other => panic!("{other:?}"),
    }
    yarn.fake.set_full(false);
    until("it runs", || async {
        (yarn.observed(&tag, &reference).await == Ok(Observed::Running { state: None })).then_some(())
    })
    .await;
    yarn.fake.finish(tag.as_str(), "FAILED", "User class threw exception: java.lang.RuntimeException: no\n\tat x.y(Z)");
    let ended = yarn.end(&tag, &reference).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert!(ended.reason.expect("a reason").starts_with("User class threw exception: java.lang.RuntimeException: no"));
}

#[tokio::test]
async fn what_yarn_refuses_says_why() {
    let yarn =
        Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| settings["queue"] = json!("nope"));
    let tag = yarn.place.tag("refused");
    match (&yarn as &dyn Rig).launch(&tag).await {
        Err(EngineError::Refused(why)) => {
            assert!(why.contains("exit code 1") && why.contains("unknown queue: nope"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(yarn.engine.find(JobRef::from(&tag)).await, Ok(None));
    // What the submission said is the log of a job that never was.
    let log = yarn.engine.logs(JobRef::from(&tag), Stream::Stderr, 0, 1000).await.expect("a log");
    assert!(String::from_utf8_lossy(&log.bytes).contains("unknown queue"));
}

#[tokio::test]
async fn a_forgotten_application_is_absent_and_not_ended() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("forgotten").await;
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    yarn.fake.forget_completed();
    until("it is absent", || async {
        match yarn.observed(&tag, &reference).await.expect("an answer") {
            Observed::Absent { .. } => Some(()),
            Observed::Ended(ended) => panic!("nobody knows how: {ended:?}"),
            _ => None,
        }
    })
    .await;
}

#[tokio::test]
async fn a_submission_under_way_is_not_called_absent_and_can_be_ruled_out() {
    let yarn = Arc::new(Yarn::new(Way::SparkSubmit, 1));
    let tag = yarn.place.tag("slow");
    fs::write(yarn.place.path("spark/bin/wait"), "").expect("written");
    let (launcher, named) = (Arc::clone(&yarn), tag.clone());
    let launching = tokio::spawn(async move { (launcher.as_ref() as &dyn Rig).launch(&named).await });
    until("it is started", || async { (!tagged(&tag).is_empty()).then_some(()) }).await;
    let job = JobRef::from(&tag);
    let restarted = (yarn.as_ref() as &dyn Rig).restarted();
    let found = until("the submitter is known", || async {
        let found = restarted.find(job).await;
        found.is_err().then_some(found)
    })
    .await;
    assert!(matches!(&found, Err(EngineError::Unreachable(why)) if why.contains("spark-submit is still")), "{found:?}");
    // A cancel does not wait for the submission.
    let voided = until("it is ruled out", || async {
        match yarn.engine.void(job, "cancelled").await {
            Ok(voided) => Some(voided),
            Err(EngineError::Unreachable(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(voided, Voided::Yes);
    let launched = launching.await.expect("no panic");
    assert!(matches!(launched, Err(EngineError::Unreachable(_))), "{launched:?}");
    assert_eq!((tagged(&tag).len(), yarn.fake.applications(tag.as_str()).len()), (0, 0));
    fs::remove_file(yarn.place.path("spark/bin/wait")).expect("removed");
    // Nor does another server start it again.
    let again = (yarn.as_ref() as &dyn Rig).launch_on(restarted.as_ref(), &tag).await;
    assert!(matches!(&again, Err(EngineError::Refused(why)) if why.contains("cut off")), "{again:?}");
    assert!(yarn.fake.applications(tag.as_str()).is_empty());
}

#[tokio::test]
async fn a_submission_has_its_time() {
    let yarn = Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| {
        settings["submit_timeout"] = json!(1)
    });
    fs::write(yarn.place.path("spark/bin/wait"), "").expect("written");
    let tag = yarn.place.tag("hangs");
    let launched = (&yarn as &dyn Rig).launch(&tag).await;
    assert!(matches!(&launched, Err(EngineError::Unreachable(why)) if why.contains("longer than 1 s")), "{launched:?}");
    assert!(tagged(&tag).is_empty());
    let again = (&yarn as &dyn Rig).launch(&tag).await;
    assert!(matches!(&again, Err(EngineError::Refused(_))), "{again:?}");
}

#[tokio::test]
async fn a_client_and_its_applications_are_one_job() {
    let yarn = Yarn::new(Way::Client, 1);
    let (tag, reference) = yarn.launch("client").await;
    until("its application", || async { (yarn.fake.applications(tag.as_str()).len() == 1).then_some(()) }).await;
    let called = fs::read_to_string(yarn.place.workspace(&tag).join("called")).expect("called");
    assert!(called.starts_with("jar ") && called.ends_with("job.jar Main in\n"), "{called}");
    // The client is over, and what it started is not.
    fs::write(yarn.place.workspace(&tag).join("over"), "3").expect("told");
    until("only the application is left", || async {
        match yarn.observed(&tag, &reference).await.expect("an answer") {
            Observed::Running { state: Some(state) } if state.contains("its client is over") => Some(()),
            Observed::Running { .. } => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(yarn.engine.list(&yarn.place.prefix).await, Ok(vec![tag.clone()]));
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    let ended = yarn.end(&tag, &reference).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(3)), "the client's word counts");
}

#[tokio::test]
async fn a_stop_ends_the_client_and_its_applications() {
    let yarn = Yarn::new(Way::Client, 1);
    let (tag, reference) = yarn.launch("stopped").await;
    until("its application", || async { (yarn.fake.applications(tag.as_str()).len() == 1).then_some(()) }).await;
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    yarn.engine.stop(job, Stop::Gently).await.expect("stopped");
    assert_ne!(yarn.end(&tag, &reference).await.outcome, Outcome::Succeeded);
    assert_eq!(yarn.fake.applications(tag.as_str())[0].1, "KILLED");
    assert!(tagged(&tag).is_empty());
}

#[tokio::test]
async fn a_jobs_arguments_cannot_hide_its_applications() {
    let yarn = Yarn::new(Way::Client, 1);
    let tag = yarn.place.tag("hides");
    let Some(Plan::HadoopJar { jar, .. }) = yarn.plan(&tag) else { panic!("another plan") };
    let args = vec!["Main".to_owned(), "-Dmapreduce.job.tags=mine".to_owned()];
    let plan = Plan::HadoopJar { jar, args, secret_args: false, properties: BTreeMap::new() };
    let launch = foggara_engines::Launch {
        tag: &tag,
        job_type: "Java",
        job_name: "job",
        plan: Some(&plan),
        urls: &BTreeMap::new(),
        workspace: yarn.place.workspace(&tag),
        logs: yarn.place.path("logs"),
        kill_grace: yarn.place.kill_grace,
    };
    let refused = yarn.engine.launch(launch).await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("mapreduce.job.tags")), "{refused:?}");
}

#[tokio::test]
async fn collected_logs_come_from_the_history_server() {
    let fake = FakeYarn::start(1).expect("a fake");
    let urls = fake.urls();
    let yarn = Yarn::on(Way::SparkSubmit, fake, |settings| settings["history_server"] = json!(urls));
    let (tag, reference) = yarn.launch("collected").await;
    let text = "x".repeat(200_000) + "the end\n";
    yarn.fake.print(tag.as_str(), "stderr", &text);
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    for _ in 0..2 {
        let piece = yarn.engine.logs(job, Stream::Stderr, 199_998, 6).await.expect("a piece");
        assert_eq!(
            (String::from_utf8_lossy(&piece.bytes).as_ref(), piece.next_offset, piece.size),
            ("xxthe ", 200_004, 200_008)
        );
        let piece = yarn.engine.logs(job, Stream::Stderr, 0, 3).await.expect("a piece");
        assert_eq!((piece.bytes.as_slice(), piece.size), (&b"xxx"[..], 200_008));
        yarn.fake.collect_logs();
    }
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    yarn.end(&tag, &reference).await;
    let kept = fs::read_to_string(yarn.place.log(&tag, "stderr")).expect("kept");
    assert!(kept == text, "{} bytes", kept.len());
}

#[tokio::test]
async fn an_address_of_something_else_is_told() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let look = plugin(&yarn.place).look(&cluster(&yarn.settings), &[]).await;
    assert!(look.checks.iter().all(|check| check.1 == foggara_domain::cluster::Health::Green), "{look:?}");
    yarn.fake.set_something_else();
    let list = yarn.engine.list(&yarn.place.prefix).await;
    let told = "does not answer as the ResourceManager does";
    assert!(
        matches!(&list, Err(EngineError::Unreachable(why)) if why.contains(told) && why.contains("nginx")),
        "{list:?}"
    );
    let launched = (&yarn as &dyn Rig).launch(&yarn.place.tag("nowhere")).await;
    assert!(matches!(&launched, Err(EngineError::Unreachable(_))), "{launched:?}");
    let look = plugin(&yarn.place).look(&cluster(&yarn.settings), &[]).await;
    assert!(look.checks[0].2.contains(told), "{look:?}");
}

#[tokio::test]
async fn another_users_application_cannot_be_killed_in_silence() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("foreign").await;
    let mut settings = yarn.settings.clone();
    settings["user"] = json!("bob");
    let bob = plugin(&yarn.place).engine(&cluster(&settings)).expect("an engine");
    let stopped = bob.stop(JobRef { reference: Some(&reference), ..JobRef::from(&tag) }, Stop::Hard).await;
    assert!(
        matches!(&stopped, Err(EngineError::Unreachable(why)) if why.contains("does not allow it to the configured user")),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn installations_on_one_cluster_do_not_see_each_other() {
    let one = Yarn::new(Way::SparkSubmit, 1);
    let (tag, _) = one.launch("mine").await;
    let other = Place::new();
    let engine = plugin(&other).engine(&cluster(&one.settings)).expect("an engine");
    assert_eq!(engine.list(&other.prefix).await, Ok(Vec::new()));
    assert_eq!(engine.list("fg-").await, Ok(Vec::new()), "the ResourceManager was not even asked for them");
    assert_eq!(one.engine.list(&one.place.prefix).await, Ok(vec![tag]));
}

/// Kerberos without a realm: the real curl has no ticket, and it is said what is missing.
#[tokio::test]
async fn a_log_in_by_kerberos_without_a_ticket_says_so() {
    let fake = FakeYarn::start(1).expect("a fake");
    fake.set_negotiates();
    let yarn = Yarn::on(Way::SparkSubmit, fake, |settings| {
        settings["auth"] = json!("kerberos");
        settings["credential_cache"] = json!("FILE:/no/such/cache");
    });
    let list = yarn.engine.list(&yarn.place.prefix).await;
    assert!(
        matches!(&list, Err(EngineError::NotSent(why)) if why.contains("does not take our ticket (401)")),
        "{list:?}"
    );
}

/// In the place of curl and kinit stand scripts: the one gives the cookie that the service would, if the other was asked before.
#[tokio::test]
async fn the_cookie_of_a_log_in_by_kerberos_is_kept_until_it_is_over() {
    http();
    let fake = FakeYarn::start(1).expect("a fake");
    fake.set_negotiates();
    let place = Place::new();
    let (curl, kinit) = (place.path("curl"), place.path("kinit"));
    script(&kinit, "#!/bin/sh\necho \"$@\" > ${KRB5CCNAME#FILE:}\n");
    let jar = format!("#HttpOnly_rm\\tFALSE\\t/\\tFALSE\\t0\\thadoop.auth\\t{COOKIE}\\n");
    let log_in = "#!/bin/sh\n[ -f ${KRB5CCNAME#FILE:} ] || exit 1\necho \"$@\" >> $0.called\n";
    script(&curl, &format!("{log_in}printf '{jar}status 200\\n'\n"));
    let spnego = SpnegoSettings {
        curl: curl.clone(),
        kinit,
        cache: Some(format!("FILE:{}", place.path("cache").display())),
        keytab: Some((place.path("key"), "foggara@EXAMPLE".to_owned())),
        ca_file: None,
    };
    let settings = RestSettings {
        service: "the ResourceManager",
        urls: fake.urls(),
        ca_file: None,
        auth: Auth::Kerberos(Arc::new(Spnego::new(spnego))),
    };
    let rest = Rest::new(settings).expect("a client");
    let called = || fs::read_to_string(place.path("curl.called")).unwrap_or_default();
    for _ in 0..2 {
        rest.get::<Value>("/ws/v1/cluster/info?x=y").await.expect("let in");
    }
    assert_eq!(called().lines().count(), 1, "one log-in for all requests: {}", called());
    assert!(called().ends_with("/ws/v1/cluster/info\n") && !called().contains(COOKIE), "{}", called());
    let ticket = fs::read_to_string(place.path("cache")).expect("kinit was asked");
    assert_eq!(ticket, format!("-k -t {} foggara@EXAMPLE\n", place.path("key").display()));
    fake.refuse_next();
    rest.get::<Value>("/ws/v1/cluster/info").await.expect("let in anew");
    assert_eq!(called().lines().count(), 2);
}

#[tokio::test]
async fn we_act_for_the_configured_user() {
    let yarn = Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| {
        settings["auth"] = json!("token");
        settings["token_file"] = json!("/proc/sys/kernel/ostype");
        settings["impersonate"] = json!("true");
    });
    let (tag, reference) = yarn.launch("impersonated").await;
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    yarn.engine.stop(job, Stop::Gently).await.expect("allowed");
    assert_eq!(yarn.end(&tag, &reference).await.outcome, Outcome::Killed);
    let asked = yarn.fake.asked();
    let cluster = asked.iter().filter(|line| line.contains("/ws/v1/"));
    for line in cluster {
        assert!(line.contains("doAs=alice") && !line.contains("user.name"), "{line}");
    }
}

#[tokio::test]
async fn secret_arguments_stand_on_no_command_line() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    for (name, main) in [("python", "job.py"), ("jar", "job.jar")] {
        let tag = yarn.place.tag(name);
        let workspace = yarn.place.workspace(&tag);
        fs::write(workspace.join(main), "x").expect("written");
        let plan = Plan::Spark {
            main: workspace.join(main),
            main_class: None,
            args: vec!["a-very-secret-word".to_owned()],
            secret_args: true,
            conf: BTreeMap::new(),
            py_files: Vec::new(),
            jars: Vec::new(),
            files: Vec::new(),
        };
        let launch = foggara_engines::Launch {
            tag: &tag,
            job_type: "Spark",
            job_name: "job",
            plan: Some(&plan),
            urls: &BTreeMap::new(),
            workspace: workspace.clone(),
            logs: yarn.place.path("logs"),
            kill_grace: yarn.place.kill_grace,
        };
        let launched = yarn.engine.launch(launch).await;
        if name == "jar" {
            assert!(
                matches!(&launched, Err(EngineError::Refused(why)) if why.contains("hold secrets")),
                "{launched:?}"
            );
            continue;
        }
        launched.expect("launched");
        let called = fs::read_to_string(workspace.join("called")).expect("called");
        assert!(called.contains(".words,") || called.contains("job.py,"), "{called}");
        assert!(called.ends_with(".launch.py .words\n") && !called.contains("a-very-secret-word"), "{called}");
    }
}

/// However many applications there are, a list is two requests.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "a measured figure, shown with --no-capture")]
async fn a_thousand_applications_are_one_list() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let installation = &yarn.place.prefix;
    yarn.fake.fill(1000, |number| format!("{installation},{installation}-{number}-1"));
    let before = yarn.fake.asked().len();
    let begun = std::time::Instant::now();
    let list = yarn.engine.list(installation).await.expect("a list");
    println!("{} applications listed in {:?}", list.len(), begun.elapsed());
    assert_eq!((list.len(), yarn.fake.asked().len() - before), (1000, 2));
}

#[tokio::test]
async fn settings_are_checked() {
    http();
    let place = Place::new();
    let host = HostSize { cores: 1, memory_mb: 1 };
    let refused = |settings: Value| plugin(&place).check(&cluster(&settings), host).expect_err("refused");
    let good = json!({"resource_manager": "http://127.0.0.1:1", "hadoop_conf_dir": "/etc"});
    assert_eq!(plugin(&place).check(&cluster(&good), host), Ok(()));
    let with = |name: &str, value: Value| {
        let mut settings = good.clone();
        settings[name] = value;
        settings
    };
    for (settings, told) in [
        (json!({}), "yarn.resource_manager is missing"),
        (json!({"resource_manager": "http://127.0.0.1:1"}), "yarn.hadoop_conf_dir is missing"),
        (with("resource_manager", json!("rm:8088")), "it looks like http://host:port"),
        (with("auth", json!("magic")), "simple, kerberos or token"),
        (with("auth", json!("token")), "yarn.token_file"),
        (with("impersonate", json!("true")), "kerberos or token"),
        (with("impersonate", json!("perhaps")), "true or false"),
        (with("submit_timeout", json!(0)), "yarn.submit_timeout"),
    ] {
        let why = refused(settings);
        assert!(why.contains(told), "{why}");
    }
    let files: PathBuf = place.path("x");
    let mut settings = with("auth", json!("kerberos"));
    settings["keytab"] = json!(files);
    assert!(refused(settings).contains("yarn.principal"));
}
