//! A real metastore of Hive, on a free port and in a folder of its own: its classes lie among Spark's jars.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use foggara_testkit::wait::until;

/// How long it may take to start.
const START: Duration = Duration::from_secs(240);

/// Killed when it is dropped.
pub struct Metastore {
    port: u16,
    process: Child,
}

impl Metastore {
    /// Begins to start one with an empty database; [`Self::is_up`] waits for it.
    pub fn start(spark: &Path, dir: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = dir.join("metastore");
        fs::create_dir_all(&dir)?;
        let settings = [
            (
                "javax.jdo.option.ConnectionURL",
                format!("jdbc:derby:;databaseName={};create=true", dir.join("db").display()),
            ),
            ("datanucleus.schema.autoCreateAll", "true".to_owned()),
            ("hive.metastore.schema.verification", "false".to_owned()),
            ("hive.metastore.warehouse.dir", dir.join("warehouse").display().to_string()),
            // Its appender for that is not among Spark's jars.
            ("hive.async.log.enabled", "false".to_owned()),
        ];
        let settings: String = settings
            .iter()
            .map(|(name, value)| format!("<property><name>{name}</name><value>{value}</value></property>"))
            .collect();
        fs::write(dir.join("hive-site.xml"), format!("<configuration>{settings}</configuration>"))?;
        let out = fs::File::create(dir.join("out"))?;
        let mut command = Command::new("java");
        command.args(["-Xmx300m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(format!("{}:{}", dir.display(), spark.join("jars/*").display()));
        command.args(["org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", &port.to_string()]);
        command.current_dir(&dir).stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        Ok(Self { port, process: command.spawn().context("java: scripts/setup-spark.sh installs a JDK")? })
    }

    /// Its address, as Spark takes it.
    pub fn address(&self) -> String {
        format!("thrift://127.0.0.1:{}", self.port)
    }

    /// Waits until it listens.
    pub async fn is_up(&self) -> Result<()> {
        until("the metastore", START, || async { TcpStream::connect(("127.0.0.1", self.port)).ok() }).await.map(drop)
    }
}

impl Drop for Metastore {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
