//! A real Spark Thrift server of SPARK_HOME.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use foggara_testkit::java::brief;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

/// How long it may take to start.
pub const START: Duration = Duration::from_secs(240);

/// A Spark Thrift server with a folder of its own; killed when it is dropped.
pub struct Server {
    pub port: u16,
    ui: u16,
    dir: PathBuf,
    process: Child,
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

impl Server {
    pub fn start(dir: &Path) -> Self {
        Self::start_at(dir, free_port(), &[])
    }

    pub fn start_at(dir: &Path, port: u16, more: &[&str]) -> Self {
        let home = std::env::var_os("SPARK_HOME").map(PathBuf::from);
        let home = home.filter(|home| home.join("bin/spark-submit").is_file());
        let home = home.expect("SPARK_HOME names no Spark: scripts/setup-spark.sh gets one and prints its place");
        let dir = dir.join("server");
        fs::create_dir_all(&dir).expect("a folder");
        let ui = free_port();
        let out = fs::File::create(dir.join("out")).expect("a file");
        let mut command = Command::new(home.join("bin/spark-submit"));
        command.args(["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "--master", "local[4]"]);
        command.args(["--driver-memory", "700m", "--conf", &format!("spark.ui.port={ui}")]);
        command.args(["--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.driver.bindAddress=127.0.0.1"]);
        // A metastore takes most of its start, and nothing here is about one.
        command.args(["--conf", "spark.sql.catalogImplementation=in-memory"]);
        command.args(["--driver-java-options", &brief(), "spark-internal"]);
        command.args(["--hiveconf", &format!("hive.server2.thrift.port={port}")]);
        command.args(["--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1"]).args(more);
        command.env("SPARK_HOME", &home).env("SPARK_LOCAL_IP", "127.0.0.1").env("SPARK_LOCAL_DIRS", &dir);
        command.current_dir(&dir).stdin(Stdio::null()).stderr(out.try_clone().expect("a handle")).stdout(out);
        command.process_group(0);
        let server = Self { port, ui, process: command.spawn().expect("started"), dir };
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let out = || fs::read_to_string(server.dir.join("out")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the Thrift server does not start: {}", out());
            thread::sleep(Duration::from_millis(100));
        }
        server
    }

    pub fn url(&self) -> String {
        format!("jdbc:hive2://127.0.0.1:{}/default", self.port)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a pid")).expect("a pid");
        let _ = kill_process_group(pid, signal);
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
    }

    /// Spark's jobs and tasks that run at present, by its own page.
    pub fn running(&self) -> u64 {
        let applications = self.page("/api/v1/applications");
        let id = applications[0]["id"].as_str().expect("an application");
        let jobs = self.page(&format!("/api/v1/applications/{id}/jobs?status=running"));
        let executors = self.page(&format!("/api/v1/applications/{id}/executors"));
        jobs.as_array().expect("a list").len() as u64 + executors[0]["activeTasks"].as_u64().expect("a number")
    }

    fn page(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ui)).expect("the page");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
