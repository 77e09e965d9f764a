//! YARN under the contract, with the fake of its web services, in both ways that jobs get there. In
//! the place of `spark-submit` and `hadoop` stand scripts that submit to the fake what the real ones submit by RPC.

mod cluster;
mod jobs;
pub mod statements;

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use async_trait::async_trait;
use foggara_domain::{Tag, Timestamp, cluster::Cluster, plan::Plan};
use foggara_engines::{
    Ended, Engine, EngineError, JobRef, Launch, Launched, Observed, Plugin, Stop, Stream, Voided, local::LocalSettings,
    plugins::yarn::YarnPlugin, remote::RemoteSettings,
};
use foggara_testkit::{api::http, yarn::FakeYarn};
use serde_json::{Value, json};

use crate::{
    place::{Place, end_of, until},
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
    made: Cluster,
    engine: Arc<dyn Engine>,
}

/// The engine of a restarted server.
struct Again(Arc<dyn Engine>);

fn cluster(settings: &Value) -> Cluster {
    let configs = settings.as_object().cloned().expect("settings");
    Cluster::of_program("yarn", "yarn", configs, Timestamp::from_micros(0))
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
        for client in ["hadoop/bin/hadoop", "pig/bin/pig"] {
            script(&place.path(client), &HADOOP.replace("URL", first));
        }
        script(&place.path("hadoop/share/hadoop/tools/lib/hadoop-streaming-3.jar"), "");
        fs::create_dir(place.path("conf")).expect("made");
        fs::write(place.path("conf/yarn-site.xml"), "<configuration/>").expect("written");
        let mut settings = json!({
            "resource_manager": urls, "user": "alice", "submit_margin": 1, "queue": "default",
            "hadoop_conf_dir": place.path("conf"), "hadoop_home": place.path("hadoop"),
            "pig_home": place.path("pig"),
        });
        change(&mut settings);
        let made = cluster(&settings);
        let engine = plugin(&place).engine(&made).expect("an engine");
        Self { place, fake, way, settings, made, engine }
    }

    async fn launch(&self, name: &str) -> (Tag, String) {
        let tag = self.place.tag(name);
        let launched = (self as &dyn Rig).launch(&tag).await.expect("launched");
        (tag, launched.reference)
    }

    async fn launch_plan(&self, tag: &Tag, plan: &Plan) -> Result<Launched, EngineError> {
        let launch = Launch {
            tag,
            job_type: "Java",
            job_name: "job",
            plan: Some(plan),
            urls: &BTreeMap::new(),
            workspace: self.place.workspace(tag),
            logs: self.place.path("logs").join(tag.as_str()),
            kill_grace: self.place.kill_grace,
        };
        self.engine.launch(launch).await
    }

    async fn observed(&self, tag: &Tag, reference: &str) -> Result<Observed, EngineError> {
        self.engine.observe(JobRef { reference: Some(reference), ..JobRef::from(tag) }).await
    }

    async fn end(&self, tag: &Tag, reference: &str) -> Ended {
        end_of(self.engine.as_ref(), JobRef { reference: Some(reference), ..JobRef::from(tag) }).await
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
    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        self.0.find(job).await
    }
    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
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

    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>> {
        let mut settings = self.settings.clone();
        settings["resource_manager"] = json!(url);
        Some(Box::new(Again(plugin(&self.place).engine(&cluster(&settings)).expect("an engine"))))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let jar = self.place.workspace(tag).join("job.jar");
        fs::write(&jar, "PK a jar").expect("written");
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
