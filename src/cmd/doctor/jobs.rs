//! One harmless real action on each engine: a job on this host, and a question to the services of each configured cluster. Nothing of
//! the server's data directory is touched: what a job needs lies in a folder of its own, which is removed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use foggara_domain::{
    Tag,
    cluster::{ClusterStatus, Health},
    plan::{Plan, SqlScript},
    sql::SqlDialect,
    status::Outcome,
};
use foggara_engines::{
    Ended, Engine, JobRef, Launch, Observed, Stop, Stream,
    local::{Local, Report},
};

use super::{Findings, Level};
use crate::{cmd::parts, config::Config};

/// How long a job may take on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Stands where a server has the name of its installation: no job of a server bears it.
const INSTALLATION: &str = "doctor";

/// Runs the jobs and asks the clusters.
pub(super) async fn run(config: &Config, findings: &mut Findings) -> Result<()> {
    let scratch = std::env::temp_dir().join(format!("foggara-doctor-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
    let done = async {
        here(config, &scratch, findings).await?;
        elsewhere(config, &scratch, findings).await
    };
    let done = done.await;
    std::fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    done
}

async fn here(config: &Config, scratch: &Path, findings: &mut Findings) -> Result<()> {
    let settings = parts::local_settings(config, scratch)?;
    let Report { java, spark, sql, .. } = Local::report(&settings);
    let engine = Local::new(settings).context("the local engine")?;
    let script = |program: PathBuf, word: &str| format!("exec '{}' {word}\n", program.display());
    let mut jobs = vec![("local", "a script", Job::Script("true\n".to_owned()))];
    jobs.extend(java.map(|java| ("java", "java -version", Job::Script(script(java, "-version")))));
    let submit = |home: PathBuf| Job::Script(script(home.join("bin/spark-submit"), "--version"));
    jobs.extend(spark.map(|home| ("spark", "spark-submit --version", submit(home))));
    jobs.extend(sql.map(|_| ("foggara-sql", "SELECT 1", Job::Sql)));
    for (name, what, job) in jobs {
        match on_this_host(&engine, scratch, name, &job).await {
            Ok(took) => findings.add(Level::Good, name, &format!("ran {what} as a job in {} ms", took.as_millis()))?,
            Err(why) => findings.add(Level::Bad, name, &format!("cannot run {what} as a job: {why}"))?,
        }
    }
    Ok(())
}

enum Job {
    Script(String),
    Sql,
}

/// Runs a job to its end; gives how long it took. The error says why it did not end well.
async fn on_this_host(engine: &Local, scratch: &Path, name: &str, job: &Job) -> Result<Duration, String> {
    let tag = Tag::from(format!("{}{name}-1", Tag::prefix(INSTALLATION)));
    let workspace = scratch.join("workspaces").join(name);
    std::fs::create_dir_all(&workspace).map_err(|error| format!("{}: {error}", workspace.display()))?;
    let plan = match job {
        Job::Script(text) => {
            let main = workspace.join("job.sh");
            std::fs::write(&main, text).map_err(|error| format!("{}: {error}", main.display()))?;
            Plan::Program { main, args: Vec::new(), env: BTreeMap::new() }
        }
        Job::Sql => Plan::Sql {
            script: SqlScript::Text("SELECT 1".to_owned()),
            dialect: SqlDialect::Spark,
            database: None,
            variables: BTreeMap::new(),
            settings: BTreeMap::new(),
            engine: Some("embedded".to_owned()),
            project: INSTALLATION.to_owned(),
        },
    };
    let began = tokio::time::Instant::now();
    let launch = Launch {
        tag: &tag,
        job_type: "Shell",
        job_name: INSTALLATION,
        plan: Some(&plan),
        urls: &BTreeMap::new(),
        workspace,
        logs: scratch.join("logs").join(name),
        kill_grace: Duration::from_secs(1),
    };
    engine.launch(launch).await.map_err(|error| error.to_string())?;
    let job = JobRef::from(&tag);
    let ended = loop {
        match engine.observe(job).await.map_err(|error| error.to_string())? {
            Observed::Ended(ended) => break ended,
            _ if began.elapsed() > PATIENCE => {
                let stopped = engine.stop(job, Stop::Hard).await;
                let stopped =
                    stopped.map_or_else(|error| format!("; it cannot be stopped: {error}"), |()| String::new());
                return Err(format!("it had not ended after {} s{stopped}", PATIENCE.as_secs()));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    };
    match ended {
        Ended { outcome: Outcome::Succeeded, .. } => Ok(began.elapsed()),
        Ended { reason, .. } => {
            let log = engine.logs(job, Stream::Stderr, 0, 4096).await.map(|piece| piece.bytes).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
            Err(format!("{}: {last}", reason.as_deref().unwrap_or("it failed")))
        }
    }
}

/// Asks the services of each configured cluster how they are, and for its jobs.
async fn elsewhere(config: &Config, scratch: &Path, findings: &mut Findings) -> Result<()> {
    let clusters = parts::clusters(config)?;
    if clusters.is_empty() {
        return Ok(());
    }
    let plugins = parts::plugins(config, scratch, INSTALLATION)?;
    for given in clusters {
        let what = format!("clusters.{}", given.name);
        let cluster = given.cluster(&plugins, parts::now());
        if cluster.status == ClusterStatus::Error {
            findings.add(Level::Bad, &what, &cluster.status_description)?;
            continue;
        }
        let mut answers = true;
        if let Some(plugin) = plugins.get(&given.plugin) {
            for (name, health, words) in plugin.look(&cluster, &[]).await.checks {
                answers &= health != Health::Red;
                let level = match health {
                    Health::Green => Level::Good,
                    Health::Yellow | Health::Checking => Level::Note,
                    Health::Red => Level::Bad,
                };
                findings.add(level, &what, &format!("{name}: {words}"))?;
            }
        }
        // What does not answer would only say so twice.
        if !answers {
            continue;
        }
        let listed = match plugins.engine(&cluster) {
            Ok(engine) => engine.list(&Tag::prefix(INSTALLATION)).await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        match listed {
            Ok(_) => findings.add(Level::Good, &what, "tells its jobs")?,
            Err(why) => findings.add(Level::Bad, &what, &format!("does not tell its jobs: {why}"))?,
        }
    }
    Ok(())
}
