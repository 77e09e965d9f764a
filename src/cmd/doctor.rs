//! `foggara doctor`: looks at everything that a server needs and says what is wrong and what to do. It changes nothing.

mod jobs;
mod stores;

use std::path::{Path, PathBuf};

use anyhow::Result;
use foggara_db::Version;
use foggara_engines::local::Local;

use super::{
    Exit, data_dir, engines, parts, print,
    serve::{ServeArgs, address, settings},
};
use crate::config::Config;

/// Less free space than this is worth a word, in MiB.
const LITTLE_ROOM: u64 = 1024;

/// How a finding counts.
enum Level {
    Good,
    /// Something does not work, and the server runs all the same.
    Note,
    /// The server does not start or loses something.
    Bad,
}

struct Findings {
    bad: bool,
}

impl Findings {
    fn add(&mut self, level: Level, what: &str, text: &str) -> Result<()> {
        let word = match level {
            Level::Good => "ok",
            Level::Note => "note",
            Level::Bad => {
                self.bad = true;
                "BAD"
            }
        };
        print(&format!("{word:5} {what:12} {text}\n"))
    }
}

/// Flags of `doctor`.
#[derive(clap::Args, Debug)]
pub struct DoctorArgs {
    /// Settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// postgres://user:password@host:port/name; SQLite in the data directory without it
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// `foggara doctor`: exit code 1 when something is bad.
pub async fn run(args: DoctorArgs) -> Result<Exit> {
    let args = ServeArgs {
        config: args.config,
        data_dir: args.data_dir,
        database_url: args.database_url,
        ..ServeArgs::default()
    };
    let mut findings = Findings { bad: false };
    let (config, dir) = match settings(&args) {
        Ok(found) => found,
        Err(error) => {
            findings.add(Level::Bad, "settings", &format!("{error:#}"))?;
            return Ok(Exit::Failed);
        }
    };
    findings.add(Level::Good, "settings", "read")?;
    directory(&dir, &mut findings)?;
    match address(&config) {
        Ok(address) => findings.add(Level::Good, "address", &address.to_string())?,
        Err(error) => findings.add(Level::Bad, "address", &format!("{error:#}"))?,
    }
    database(&config, &dir, &mut findings).await?;
    identity(&config, &dir, &mut findings).await?;
    stores::look(&config, &dir, &mut findings).await?;
    local(&config, &dir, &mut findings)?;
    jobs::run(&config, &mut findings).await?;
    Ok(if findings.bad { Exit::Failed } else { Exit::Done })
}

fn directory(dir: &Path, findings: &mut Findings) -> Result<()> {
    if !dir.exists() {
        let text = format!("{} is not there yet: the first start of the server makes it", dir.display());
        return findings.add(Level::Good, "directory", &text);
    }
    let taken = if data_dir::is_taken(dir) { "a server uses it now" } else { "no server uses it now" };
    findings.add(Level::Good, "directory", &format!("{}, {taken}", dir.display()))?;
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
        Ok(()) => {}
        Err(error) => {
            findings.add(Level::Bad, "directory", &format!("{} cannot be written: {error}", dir.display()))?
        }
    }
    let Ok(found) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free = found.f_bavail.saturating_mul(found.f_frsize) / (1024 * 1024);
    let level = if free < LITTLE_ROOM { Level::Note } else { Level::Good };
    findings.add(level, "disk", &format!("{free} MiB are free for the database, job binaries and logs"))
}

/// Who knows the users, and who may do what.
async fn identity(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    match parts::policy(config, dir) {
        Ok(_) => findings.add(Level::Good, "policy", "read")?,
        Err(error) => findings.add(Level::Bad, "policy", &format!("{error:#}"))?,
    }
    let keystone = match parts::keystone(config) {
        Ok(None) => return findings.add(Level::Good, "identity", "inside of this program"),
        Ok(Some(keystone)) => keystone,
        Err(error) => return findings.add(Level::Bad, "identity", &format!("{error:#}")),
    };
    let url = config.keystone.auth_url.as_deref().unwrap_or_default();
    match keystone.log_in().await {
        Ok(()) => findings.add(Level::Good, "identity", &format!("{url} takes the log-in of the service user")),
        Err(error) => findings.add(Level::Bad, "identity", &format!("{url}: {error}")),
    }
}

async fn database(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    if config.server.database_url.is_none() {
        if dir.exists()
            && let Err(error) = parts::refuse_network_filesystem(dir)
        {
            return findings.add(Level::Bad, "database", &format!("{error:#}"));
        }
        // To open it is to make it.
        if !dir.join("foggara.db").exists() {
            return findings.add(Level::Good, "database", "SQLite, none yet: the first start of the server makes it");
        }
    } else if !dir.exists() {
        let text = "PostgreSQL; it is asked when the data directory with the keys is there";
        return findings.add(Level::Note, "database", text);
    }
    let db = match parts::open_db(config, dir).await {
        Ok(db) => db,
        Err(error) => return findings.add(Level::Bad, "database", &format!("{error:#}")),
    };
    match db.version().await {
        Ok(Version::UpToDate) => findings.add(Level::Good, "database", &format!("{:?}, up to date", db.kind())),
        Ok(Version::Behind { database: 0, .. }) => {
            findings.add(Level::Good, "database", "empty: the first start of the server fills it")
        }
        Ok(Version::Behind { .. }) => {
            findings.add(Level::Note, "database", "older than this program: the next start brings it up to date")
        }
        Ok(Version::Newer { database, program }) => {
            let text = format!("version {database}, and this program knows {program}: use the newer foggara");
            findings.add(Level::Bad, "database", &text)
        }
        Err(error) => findings.add(Level::Bad, "database", &error.to_string()),
    }
}

fn local(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    let settings = parts::local_settings(config, dir)?;
    let report = Local::report(&settings);
    for line in Local::broken(&settings) {
        findings.add(Level::Bad, "settings", &line)?;
    }
    for (name, lacks) in engines::abilities(settings)? {
        match lacks {
            None => findings.add(Level::Good, name, "runs on cluster `local`")?,
            Some(what) => findings.add(Level::Note, name, &what)?,
        }
    }
    let path = |path: Option<PathBuf>| path.map_or("none".to_owned(), |path| path.display().to_string());
    findings.add(Level::Good, "java", &path(report.java))?;
    findings.add(Level::Good, "spark", &path(report.spark))?;
    findings.add(Level::Good, "pig", &path(report.pig))?;
    findings.add(Level::Good, "foggara-sql", &path(report.sql))?;
    match report.cgroups {
        Some(root) => findings.add(Level::Good, "cgroups", &format!("each job gets a group below {}", root.display())),
        None => findings.add(
            Level::Note,
            "cgroups",
            "none can be made here (no writable cgroup v2): a process that scrubs its environment after its supervisor was \
             killed is not found",
        ),
    }?;
    if Path::new("/.dockerenv").exists() || std::env::var_os("container").is_some() {
        findings.add(Level::Note, "container", "local jobs end with this container")?;
    }
    Ok(())
}
