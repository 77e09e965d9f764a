//! Flink under the contract: a real session cluster, and before it a proxy that brings the faults about.

mod cluster;
mod python;
mod sql;
mod wrong;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use async_trait::async_trait;
use foggara_domain::{Tag, plan::Plan};
use foggara_engines::{
    Engine,
    flink::{Flink, FlinkSettings, job_id},
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, Rest, RestSettings},
    },
};
use foggara_testkit::proxy::{Proxy, Trick};

use self::cluster::Cluster;
use crate::{
    place::Place,
    promises::keeps_all,
    rig::{Fault, Rig},
};

/// How long a cluster may take to start.
const STARTS: Duration = Duration::from_secs(240);

/// A Flink with a proxy before it.
pub struct FlinkRig {
    place: Place,
    proxy: Proxy,
    engine: Remote<Flink>,
    jar: PathBuf,
    clusters: Mutex<Vec<Cluster>>,
}

impl FlinkRig {
    /// Starts a cluster and waits for its slots.
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::new();
        let jar = cluster::talk(&place.path("talk"));
        let cluster = Cluster::start(&place.path("flink"), 1);
        let proxy = Proxy::before(cluster.rest).await.expect("a proxy");
        let rig = Self {
            engine: engine(&place.path("data"), &proxy.url(), |_| {}),
            place,
            proxy,
            jar,
            clusters: Mutex::new(vec![cluster]),
        };
        rig.serves(2).await;
        rig
    }

    /// Waits until the cluster has this many slots. Two JVMs start on a machine that may be busy with other tests.
    async fn serves(&self, slots: u64) {
        let url = format!("{}/overview", self.proxy.url());
        let look = || async {
            let text = reqwest::get(&url).await.ok()?.text().await.ok()?;
            let overview: serde_json::Value = serde_json::from_str(&text).ok()?;
            (overview["slots-total"].as_u64()? >= slots).then_some(())
        };
        foggara_testkit::wait::until("the cluster serves", STARTS, look).await.expect("a cluster");
    }

    fn tell(&self, tag: &Tag, file: &str, text: &str) {
        let part = self.place.workspace(tag).join("part");
        fs::write(&part, text).expect("written");
        fs::rename(part, self.place.workspace(tag).join(file)).expect("told");
    }
}

/// The engine at an address, with changed settings.
fn engine(data_dir: &Path, url: &str, change: impl FnOnce(&mut FlinkSettings)) -> Remote<Flink> {
    let rest = RestSettings { service: "the Flink JobManager", urls: url.to_owned(), ca_file: None, auth: Auth::None };
    let mut settings = FlinkSettings {
        data_dir: data_dir.to_owned(),
        log_limit: 1 << 30,
        max_running: None,
        stop_with_savepoint: None,
        shows_stdout: true,
        python: None,
    };
    change(&mut settings);
    let remote =
        RemoteSettings { prefix: "fg-".to_owned(), data_dir: data_dir.to_owned(), log_limit: settings.log_limit };
    Remote::new(Flink::new(Rest::new(rest).expect("a client"), settings), remote)
}

fn is_run(line: &str) -> bool {
    line.starts_with("POST /jars/") && line.contains("/run ")
}

#[async_trait]
impl Rig for FlinkRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(engine(&self.place.path("data"), &self.proxy.url(), |_| {}))
    }

    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>> {
        Some(Box::new(engine(&self.place.path("elsewhere"), url, |_| {})))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let folder = self.place.workspace(tag).display().to_string();
        Some(Plan::Flink {
            main: self.jar.clone(),
            libs: Vec::new(),
            entry_class: None,
            args: vec![folder, "talks".to_owned()],
            parallelism: Some(1),
            savepoint: None,
            allow_non_restored: false,
            settings: std::collections::BTreeMap::new(),
        })
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &["pipeline.global-job-parameters", "$internal.pipeline.job-id"]
    }

    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            Fault::LostAnswer => self.proxy.next(is_run, Trick::LoseAnswer),
            Fault::LateEffect => self.proxy.next(is_run, Trick::HoldBack),
            Fault::Effect => assert_eq!(self.proxy.release().await.expect("released"), 1),
            Fault::Deaf(deaf) => self.proxy.deaf(deaf),
            Fault::NewLife => {
                let next = Cluster::start(&self.place.path("flink-again"), 0);
                self.proxy.lead_to(next.rest);
                *self.clusters.lock().expect("not poisoned") = vec![next];
                self.serves(0).await;
            }
            // The word has as many letters as the one that it stands for.
            Fault::StrangeState(tag) => self.proxy.rewrite(&job_id(&tag), "\"RUNNING\"", "\"STRANGE\""),
            Fault::Unauthorized => self.proxy.next(|_| true, Trick::Answer(401)),
            Fault::Prints(tag, text) => self.tell(&tag, "say", text),
            Fault::Ends(tag) => self.tell(&tag, "over", ""),
        }
        true
    }
}

/// One cluster for all: two JVMs take longer to start than all of this.
#[tokio::test(flavor = "multi_thread")]
async fn flink_keeps_the_contract() {
    let rig = FlinkRig::new().await;
    wrong::programs(&rig).await;
    wrong::tags(&rig).await;
    sql::scripts(&rig).await;
    sql::wrong_scripts(&rig).await;
    sql::unknown_is_gone(&rig, true).await;
    // At its end there is a new JobManager without TaskManagers.
    keeps_all(&rig).await;
    sql::unknown_is_gone(&rig, false).await;
}
