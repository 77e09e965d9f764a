//! Spark standalone in cluster mode, all of it real: master, worker, drivers. Faults of the network are a proxy's.

mod cluster;
mod drivers;

use std::{collections::BTreeMap, fs, net::SocketAddr};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::Plan};
use foggara_engines::{
    Engine,
    remote::{Remote, RemoteSettings, rest::Auth},
    spark_rest::{Files, SparkRest, SparkRestSettings},
};
use foggara_testkit::{
    java::brief,
    proxy::{Proxy, Trick},
};

use self::cluster::Cluster;
use crate::{
    place::Place,
    promises::keeps_all,
    rig::{Fault, Rig},
};

/// Quicker and smaller.
fn small() -> BTreeMap<String, String> {
    [
        ("spark.ui.enabled", "false"),
        ("spark.driver.memory", "500m"),
        ("spark.executor.memory", "500m"),
        ("spark.cores.max", "2"),
        ("spark.driver.extraJavaOptions", &brief()),
        ("spark.executor.extraJavaOptions", &brief()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The settings of an engine for a cluster whose services are found at these addresses.
fn settings(cluster: &Cluster, rest: &str, web_ui: &str, is_here: bool) -> SparkRestSettings {
    SparkRestSettings {
        master: cluster.url(),
        rest: rest.to_owned(),
        web_ui: web_ui.to_owned(),
        auth: Auth::Bearer(cluster.token.clone()),
        files: Files::Shared,
        is_here,
        python: None,
        defaults: small(),
        max_running: 4,
    }
}

/// An engine of a server that knows nothing yet.
fn engine(place: &Place, settings: &SparkRestSettings) -> Remote<SparkRest> {
    let remote =
        RemoteSettings { prefix: place.prefix.clone(), data_dir: place.dir.path().to_owned(), log_limit: 1 << 30 };
    Remote::new(SparkRest::new(settings.clone()).expect("an engine"), remote)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn python(place: &Place, tag: &Tag, text: &str, args: Vec<String>) -> Plan {
    let main = place.workspace(tag).join("main.py");
    fs::write(&main, text).expect("written");
    Plan::Spark {
        main,
        main_class: None,
        args,
        secret_args: false,
        conf: BTreeMap::new(),
        py_files: Vec::new(),
        jars: Vec::new(),
        files: Vec::new(),
    }
}

struct SparkRig {
    engine: Remote<SparkRest>,
    settings: SparkRestSettings,
    rest: Proxy,
    web: Proxy,
    cluster: tokio::sync::Mutex<Cluster>,
    place: Place,
}

impl SparkRig {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::new();
        let cluster = Cluster::start(&place.prefix, false).await;
        let rest = Proxy::before(cluster.rest).await.expect("a proxy");
        let web = Proxy::before(cluster.web).await.expect("a proxy");
        let settings = settings(&cluster, &rest.url(), &web.url(), false);
        let engine = engine(&place, &settings);
        Self { engine, settings, rest, web, cluster: tokio::sync::Mutex::new(cluster), place }
    }
}

/// Says what is put into its workspace, and ends when it is told so there.
const TALKER: &str = "import os, sys, time\n\
    at = sys.argv[1]\n\
    while not os.path.exists(at + '/over'):\n\
    \x20   if os.path.exists(at + '/say'):\n\
    \x20       print(open(at + '/say').read(), end='', flush=True)\n\
    \x20       os.remove(at + '/say')\n\
    \x20   time.sleep(0.02)\n";

fn creates(line: &str) -> bool {
    line.contains("/v1/submissions/create ")
}

fn lists(line: &str) -> bool {
    line.contains("/json/ ")
}

#[async_trait]
impl Rig for SparkRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(engine(&self.place, &self.settings))
    }

    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>> {
        let settings = SparkRestSettings { rest: url.to_owned(), web_ui: url.to_owned(), ..self.settings.clone() };
        Some(Box::new(engine(&self.place, &settings)))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let workspace = self.place.workspace(tag).display().to_string();
        Some(python(&self.place, tag, TALKER, vec![workspace]))
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &["spark.master", "spark.submit.deployMode", "spark.driver.supervise", "spark.foggara.id", "FOGGARA_TAG"]
    }

    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            Fault::LostAnswer => self.rest.next(creates, Trick::LoseAnswer),
            Fault::LateEffect => self.rest.next(creates, Trick::HoldBack),
            Fault::Effect => return self.rest.release().await.expect("sent") == 1,
            Fault::Deaf(deaf) => {
                self.rest.deaf(deaf);
                self.web.deaf(deaf);
            }
            Fault::NewLife => self.cluster.lock().await.restart_master().await,
            // Of all drivers; at this time it is the only one that runs.
            Fault::StrangeState(tag) => {
                assert!(tag.as_str().starts_with(&self.place.prefix));
                self.web.rewrite("\"activedrivers\"", "\"RUNNING\"", "\"STRANGE\"");
            }
            Fault::Unauthorized => {
                self.web.rewrite_no_more();
                self.web.next(lists, Trick::Answer(401));
            }
            Fault::Prints(tag, text) => {
                let said = self.place.workspace(&tag).join("said");
                fs::write(&said, text).expect("written");
                fs::rename(said, self.place.workspace(&tag).join("say")).expect("told");
            }
            Fault::Ends(tag) => fs::write(self.place.workspace(&tag).join("over"), "").expect("told"),
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spark_in_cluster_mode_keeps_the_contract() {
    keeps_all(&SparkRig::new().await).await;
}
