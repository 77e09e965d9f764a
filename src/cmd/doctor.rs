//! `foggara doctor`: looks at everything that a server needs and says what is wrong and what to do. It changes nothing.

use anyhow::Result;
use foggara_db::Version;
use foggara_engines::local::Local;

use super::{
    Exit, data_dir, engines, parts, print,
    serve::{ServeArgs, settings},
};

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

/// `foggara doctor`: exit code 1 when something is bad.
pub async fn run(args: ServeArgs) -> Result<Exit> {
    let mut findings = Findings { bad: false };
    let (config, dir) = match settings(&args) {
        Ok(found) => found,
        Err(error) => {
            findings.add(Level::Bad, "settings", &format!("{error:#}"))?;
            return Ok(Exit::Failed);
        }
    };
    findings.add(Level::Good, "settings", "read")?;
    let dir = data_dir::make(&dir)?;
    let taken = if data_dir::is_taken(&dir) { ", a server uses it now" } else { ", no server uses it now" };
    findings.add(Level::Good, "directory", &format!("{}{taken}", dir.display()))?;
    database(&config, &dir, &mut findings).await?;
    local(&config, &dir, &mut findings)?;
    match parts::roots(&config, &dir) {
        Ok(_) => findings.add(Level::Good, "files", "the folders that jobs may use are in order")?,
        Err(error) => findings.add(Level::Bad, "files", &format!("{error:#}"))?,
    }
    Ok(if findings.bad { Exit::Failed } else { Exit::Done })
}

async fn database(config: &crate::config::Config, dir: &std::path::Path, findings: &mut Findings) -> Result<()> {
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

fn local(config: &crate::config::Config, dir: &std::path::Path, findings: &mut Findings) -> Result<()> {
    let settings = parts::local_settings(config, dir)?;
    let report = Local::report(&settings);
    for (name, lacks) in engines::abilities(&Local::new(settings)?) {
        match lacks {
            None => findings.add(Level::Good, name, "runs on cluster `local`")?,
            Some(what) => findings.add(Level::Note, name, &what)?,
        }
    }
    let path = |path: Option<std::path::PathBuf>| path.map_or("none".to_owned(), |path| path.display().to_string());
    findings.add(Level::Good, "java", &path(report.java))?;
    findings.add(Level::Good, "spark", &path(report.spark))?;
    match report.cgroups {
        Some(root) => findings.add(Level::Good, "cgroups", &format!("each job gets a group below {}", root.display())),
        None => findings.add(
            Level::Note,
            "cgroups",
            "none can be made here (no writable cgroup v2): a process that scrubs its environment after its supervisor was \
             killed is not found",
        ),
    }?;
    if std::path::Path::new("/.dockerenv").exists() || std::env::var_os("container").is_some() {
        findings.add(Level::Note, "container", "local jobs end with this container")?;
    }
    Ok(())
}
