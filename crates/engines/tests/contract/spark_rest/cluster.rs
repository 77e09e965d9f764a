//! A real Spark standalone cluster of one worker: processes of this host on free ports.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use foggara_domain::Secret;
use foggara_engines::spark_rest::{new_secret, token};
use tempfile::TempDir;

use foggara_testkit::{java::brief, wait};

/// How long a process may take to start: 3 s alone, and more than 30 s were seen beside three builds.
const START: Duration = Duration::from_secs(120);

/// See the module. Its processes, and those of drivers with the prefix, end with it.
pub struct Cluster {
    dir: TempDir,
    home: PathBuf,
    master_port: u16,
    pub web: SocketAddr,
    pub rest: SocketAddr,
    pub token: Secret,
    recovers: bool,
    master: Option<Child>,
    worker: Option<Child>,
    prefix: String,
}

fn free(count: usize) -> Vec<u16> {
    let bound: Vec<_> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
    bound.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

/// The Spark of the tests.
pub fn spark_home() -> PathBuf {
    let home = std::env::var_os("SPARK_HOME").map(PathBuf::from);
    home.filter(|home| home.join("bin/spark-class").is_file())
        .expect("SPARK_HOME names no Spark: scripts/setup-spark.sh gets one and prints its place")
}

impl Cluster {
    /// Starts one. `recovers`: a restarted master knows the drivers that were not over.
    pub async fn start(prefix: &str, recovers: bool) -> Self {
        let home = spark_home();
        let ports = free(3);
        let secret = new_secret().expect("a secret");
        let dir = tempfile::tempdir().expect("a folder");
        let recovery = if recovers {
            format!(
                "spark.deploy.recoveryMode=FILESYSTEM\nspark.deploy.recoveryDirectory={}\n",
                dir.path().join("recovery").display()
            )
        } else {
            String::new()
        };
        let words = format!(
            "spark.master.rest.enabled=true\nspark.master.rest.host=127.0.0.1\nspark.master.rest.port={}\n\
             spark.master.rest.filters=org.apache.spark.ui.JWSFilter\n\
             spark.org.apache.spark.ui.JWSFilter.param.secretKey={}\n{recovery}",
            ports[2],
            secret.reveal()
        );
        fs::write(dir.path().join("master.properties"), words).expect("written");
        let here = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut cluster = Self {
            dir,
            home,
            master_port: ports[0],
            web: here(ports[1]),
            rest: here(ports[2]),
            token: token(secret.reveal()).expect("a token"),
            recovers,
            master: None,
            worker: None,
            prefix: prefix.to_owned(),
        };
        cluster.start_master().await;
        cluster.worker = Some(cluster.spawn(
            "worker.Worker",
            &[
                "--host".to_owned(),
                "127.0.0.1".to_owned(),
                "--webui-port".to_owned(),
                "0".to_owned(),
                "--cores".to_owned(),
                "8".to_owned(),
                "--memory".to_owned(),
                "8g".to_owned(),
                "--work-dir".to_owned(),
                cluster.dir.path().join("work").display().to_string(),
                cluster.url(),
            ],
        ));
        cluster.serves().await;
        cluster
    }

    /// `spark://host:port`
    pub fn url(&self) -> String {
        format!("spark://127.0.0.1:{}", self.master_port)
    }

    /// Waits until the worker is known.
    pub async fn serves(&self) {
        wait::until("the worker serves", START, || async {
            let page = self.page().await?;
            (page.contains("\"status\" : \"ALIVE\"") && page.contains("\"aliveworkers\" : 1")).then_some(())
        })
        .await
        .expect("a cluster");
    }

    /// The master's list as it is.
    pub async fn page(&self) -> Option<String> {
        reqwest::get(format!("http://{}/json/", self.web)).await.ok()?.text().await.ok()
    }

    fn spawn(&self, class: &str, args: &[String]) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join(format!("{class}.log")));
        let log = log.expect("a log");
        Command::new(self.home.join("bin/spark-class"))
            .arg(format!("org.apache.spark.deploy.{class}"))
            .args(args)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .env("SPARK_DAEMON_MEMORY", "256m")
            .env("SPARK_DAEMON_JAVA_OPTS", brief())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("started")
    }

    async fn start_master(&mut self) {
        let [port, web] = [self.master_port, self.web.port()].map(|port| port.to_string());
        let properties = self.dir.path().join("master.properties").display().to_string();
        let args = ["--host", "127.0.0.1", "--port", &port, "--webui-port", &web, "--properties-file", &properties];
        self.master = Some(self.spawn("master.Master", &args.map(str::to_owned)));
        wait::until("the master answers", START, || async { self.page().await }).await.expect("a master");
    }

    /// Kills the master and starts it again at the same place.
    pub async fn restart_master(&mut self) {
        end(&mut self.master);
        self.start_master().await;
    }

    /// Kills the master and its worker, and starts the master again, which waits for the worker then.
    pub async fn restart_master_without_worker(&mut self) {
        assert!(self.recovers);
        // The master first: it would write down that its worker is gone.
        end(&mut self.master);
        end(&mut self.worker);
        self.start_master().await;
        let recovers = || async { self.page().await?.contains("RECOVERING").then_some(()) };
        wait::until("the master recovers", START, recovers).await.expect("a master that waits");
    }
}

/// Processes that carry a tag with this beginning.
fn tagged_with(prefix: &str) -> Vec<i32> {
    let wanted = format!("FOGGARA_TAG={prefix}");
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
        })
        .collect()
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        end(&mut self.master);
        end(&mut self.worker);
        for pid in tagged_with(&self.prefix) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
