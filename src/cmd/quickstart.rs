//! `foggara quickstart`: nothing to set up and nothing to answer. A server of its own, a word count that really runs, a job
//! that is deleted while it runs, and what to type next.

mod sql;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use foggara_engines::local::install;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Exit,
    client::{Body, Client, ClientArgs},
    data_dir,
    engines::abilities,
    jobs::ENDED,
    output::Progress,
    parts, print,
    run::cluster,
    serve::{ServeArgs, settings},
};
use crate::config::default_data_dir;

const MAPPER: &str = include_str!("../../examples/wordcount/mapper.sh");
const REDUCER: &str = include_str!("../../examples/wordcount/reducer.sh");
const SPARK: &str = include_str!("../../examples/wordcount/wordcount.py");
const SAMPLE: &str = include_str!("../../examples/wordcount/sample.txt");

/// How many words are shown.
const MOST_FREQUENT: usize = 10;
/// How long the server may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the processes of a running job may take to be there.
const THERE_WITHIN: Duration = Duration::from_secs(20);
/// How long the deleted job's processes may take to be gone before that counts as a failure.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// How often states are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Flags of `quickstart`.
#[derive(Args, Debug)]
pub struct QuickstartArgs {
    /// Leave the server up
    #[arg(long)]
    keep: bool,
    /// Also count the words with PySpark; Spark is installed when it is missing
    #[arg(long)]
    spark: bool,
    /// Data directory; one of its own without it
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The server of this run; it ends with it unless it is to be kept.
struct Server {
    child: Child,
    url: String,
    keep: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn start(dir: &Path, keep: bool) -> Result<Server> {
    let log = dir.join("server.log");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        // A server that is to stay must outlive the terminal. Another one ends with Ctrl-C as this program does, and is not
        // the one that client commands should find.
        .arg(if keep { "--own-session" } else { "--unnoted" })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log)?)
        .spawn()
        .context("start the server")?;
    let out = child.stdout.take().context("the server has no output")?;
    let mut server = Server { child, url: String::new(), keep: false };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        // Nobody listens any more when it took too long.
        let _ = sender.send(read.map(|_| line));
    });
    let line = receiver.recv_timeout(READY_WITHIN).context("the server is not ready in time")??;
    let Some(url) = line.trim().strip_prefix("listening on ") else {
        let told = fs::read_to_string(&log).unwrap_or_default();
        bail!("the server did not start: {}", told.lines().last().unwrap_or("no reason is known"));
    };
    url.clone_into(&mut server.url);
    Ok(server)
}

/// A directory of its own that no running server holds.
fn own_directory(args: &QuickstartArgs) -> Result<PathBuf> {
    let first = args.data_dir.clone().unwrap_or_else(|| default_data_dir().with_file_name("foggara-quickstart"));
    let mut dir = data_dir::make(&first)?;
    let mut number = 1;
    while args.data_dir.is_none() && data_dir::is_taken(&dir) {
        number += 1;
        dir = data_dir::make(&first.with_file_name(format!("foggara-quickstart-{number}")))?;
    }
    Ok(dir)
}

/// `foggara quickstart`
pub async fn run(args: QuickstartArgs) -> Result<Exit> {
    let dir = own_directory(&args)?;
    if args.spark {
        get_spark(&dir).await?;
    }
    let mut server = start(&dir, args.keep)?;
    print(&format!("server      {}, process {}, data in {}\n", server.url, server.child.id(), dir.display()))?;
    let client = Client::connect(&ClientArgs { data_dir: Some(dir.clone()), ..ClientArgs::default() }).await?;
    let session = Session { client: &client, cluster: cluster(&client, "local").await?, stamp: stamp()? };
    let counts = session.count_words(&dir).await?;
    let mut frequent: Vec<(&String, &u64)> = counts.iter().collect();
    frequent.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    print("words       the ten most frequent of the sample text:\n")?;
    for (word, count) in frequent.iter().take(MOST_FREQUENT) {
        print(&format!("            {count:>4}  {word}\n"))?;
    }
    if args.spark {
        let spark = session.count_words_with_spark(&dir).await?;
        if spark != counts {
            bail!(
                "Spark counted other words than the streaming job: {} and {} different ones",
                spark.len(),
                counts.len()
            );
        }
        print("            Spark counted the same\n")?;
    }
    let (config, _) = settings(&ServeArgs { data_dir: Some(dir.clone()), ..ServeArgs::default() })?;
    session.query_a_file(&dir, &parts::local_settings(&config, &dir)?, args.spark).await?;
    session.delete_a_running_job().await?;
    // Only now: a run that failed leaves nothing behind.
    server.keep = args.keep;
    print(&next(&dir, &server))?;
    Ok(Exit::Done)
}

/// Installs Spark below the data directory when this host has none that runs.
async fn get_spark(dir: &Path) -> Result<()> {
    let (config, dir) = settings(&ServeArgs { data_dir: Some(dir.to_owned()), ..ServeArgs::default() })?;
    let local = parts::local_settings(&config, &dir)?;
    let lacks = abilities(local.clone())?.into_iter().any(|(name, lacks)| name == "Spark" && lacks.is_some());
    if !lacks {
        return Ok(());
    }
    let done = tokio::task::spawn_blocking(move || {
        install::spark(&local, &mut |line| drop(print(&format!("Spark       {line}\n"))))
    });
    done.await?.map_err(|error| anyhow!(error))?;
    Ok(())
}

fn stamp() -> Result<u128> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())
}

struct Session<'a> {
    client: &'a Client,
    cluster: String,
    /// Makes the names of this run its own.
    stamp: u128,
}

fn id(object: &Value) -> Result<String> {
    Ok(object["id"].as_str().context("the server's answer has no id")?.to_owned())
}

impl Session<'_> {
    async fn post(&self, path: &str, body: Value, key: &str) -> Result<Value> {
        self.client.sahara(Method::POST, path, Body::Json(body), key).await
    }

    /// Uploads a text under a name and makes a job binary of it.
    async fn binary(&self, name: &str, text: &str) -> Result<String> {
        let path = format!("/job-binary-internals/quickstart-{}-{name}", self.stamp);
        let body = Body::Bytes(text.as_bytes().to_vec().into());
        let internal = id(&self.client.sahara(Method::PUT, &path, body, "job_binary_internal").await?)?;
        let binary =
            json!({"name": format!("quickstart-{}-{name}", self.stamp), "url": format!("internal-db://{internal}")});
        id(&self.post("/job-binaries", binary, "job_binary").await?)
    }

    async fn source(&self, name: &str, path: &Path) -> Result<String> {
        let body = json!({
            "name": format!("quickstart-{}-{name}", self.stamp),
            "type": "file",
            "url": format!("file://{}", path.display()),
        });
        id(&self.post("/data-sources", body, "data_source").await?)
    }

    async fn template(&self, name: &str, job_type: &str, mains: &[String], libs: &[String]) -> Result<String> {
        let name = format!("quickstart-{}-{name}", self.stamp);
        id(&self.post("/jobs", json!({"name": name, "type": job_type, "mains": mains, "libs": libs}), "job").await?)
    }

    async fn execute(&self, template: &str, mut body: Value) -> Result<String> {
        body["cluster_id"] = Value::from(self.cluster.as_str());
        id(&self.post(&format!("/jobs/{template}/execute"), body, "job_execution").await?)
    }

    async fn row(&self, execution: &str) -> Result<Value> {
        self.client.sahara(Method::GET, &format!("/job-executions/{execution}"), Body::Empty, "job_execution").await
    }

    /// Waits for one of the statuses, with a live line on a terminal.
    async fn wait(&self, what: &str, execution: &str, wanted: &[&str]) -> Result<String> {
        let mut line = Progress::new(true);
        loop {
            let row = self.row(execution).await?;
            let status = row["info"]["status"].as_str().unwrap_or_default().to_owned();
            if wanted.contains(&status.as_str()) {
                line.clear();
                return Ok(status);
            }
            if ENDED.contains(&status.as_str()) {
                line.clear();
                let reason = row["info"]["reason"].as_str().unwrap_or("no reason is known");
                bail!("{what} ended as {status}: {reason} (`foggara jobs logs --stderr {execution}`)");
            }
            line.say(&format!("{what}  {status}"));
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn count_words(&self, dir: &Path) -> Result<BTreeMap<String, u64>> {
        let began = Instant::now();
        let folder = dir.join("files/quickstart");
        fs::create_dir_all(&folder)?;
        let text = folder.join("sample.txt");
        fs::write(&text, SAMPLE)?;
        let output = folder.join(format!("words-{}", self.stamp));
        let libs = [self.binary("mapper.sh", MAPPER).await?, self.binary("reducer.sh", REDUCER).await?];
        let (input, out) = (self.source("in", &text).await?, self.source("out", &output).await?);
        let template = self.template("words", "MapReduce.Streaming", &[], &libs).await?;
        let name = |script: &str| format!("quickstart-{}-{script}", self.stamp);
        let configs = json!({"configs": {
            "edp.streaming.mapper": name("mapper.sh"),
            "edp.streaming.reducer": name("reducer.sh"),
            "mapreduce.job.reduces": 2,
        }});
        let body = json!({"input_id": input, "output_id": out, "job_configs": configs});
        let execution = self.execute(&template, body).await?;
        let status = self.wait("word count", &execution, &["SUCCEEDED"]).await?;
        print(&format!(
            "word count  {status} after {:.1} s (MapReduce.Streaming, execution {execution})\n",
            began.elapsed().as_secs_f64()
        ))?;
        read_counts(&output)
    }

    async fn count_words_with_spark(&self, dir: &Path) -> Result<BTreeMap<String, u64>> {
        let began = Instant::now();
        let folder = dir.join("files/quickstart");
        let output = folder.join(format!("spark-words-{}", self.stamp));
        let main = self.binary("wordcount.py", SPARK).await?;
        let template = self.template("spark-words", "Spark", &[main], &[]).await?;
        let url = |path: &Path| format!("file://{}", path.display());
        let args = json!([url(&folder.join("sample.txt")), url(&output)]);
        let execution = self.execute(&template, json!({"job_configs": {"args": args}})).await?;
        let status = self.wait("Spark", &execution, &["SUCCEEDED"]).await?;
        print(&format!("Spark       {status} after {:.1} s (execution {execution})\n", began.elapsed().as_secs_f64()))?;
        read_counts(&output)
    }

    async fn delete_a_running_job(&self) -> Result<()> {
        let main = self.binary("sleep.sh", "#!/bin/sh\nsleep 3600\n").await?;
        let template = self.template("sleep", "Shell", &[main], &[]).await?;
        let execution = self.execute(&template, json!({})).await?;
        let shown = self.show_deletion(&execution).await;
        if shown.is_err() {
            // Nobody waits an hour for it. When it is deleted already, this is refused, and the first error is the one to tell.
            let _ = self.client.sahara(Method::DELETE, &format!("/job-executions/{execution}"), Body::Empty, "").await;
            let began = Instant::now();
            while !processes_of(&execution).is_empty() && began.elapsed() < THERE_WITHIN {
                tokio::time::sleep(LOOK).await;
            }
        }
        shown
    }

    async fn show_deletion(&self, execution: &str) -> Result<()> {
        self.wait("sleeper", execution, &["RUNNING"]).await?;
        let running = wait_for_processes(execution).await?;
        print(&format!("sleeper     RUNNING for an hour, {running} processes (execution {execution})\n"))?;
        let path = format!("/job-executions/{execution}");
        let began = Instant::now();
        self.client.sahara(Method::DELETE, &path, Body::Empty, "").await?;
        print(&format!("            DELETE: 204 after {:.0} ms\n", began.elapsed().as_secs_f64() * 1e3))?;
        while !processes_of(execution).is_empty() {
            if began.elapsed() > GONE_WITHIN {
                bail!("the processes of the deleted job are still there after {} s", GONE_WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        print(&format!("            its processes were gone after {:.0} ms\n", began.elapsed().as_secs_f64() * 1e3))?;
        let status = self.client.status_of(&path).await?;
        if status != reqwest::StatusCode::NOT_FOUND {
            bail!("the deleted execution answers {status} instead of 404");
        }
        print("            GET: 404\n")
    }
}

fn read_counts(output: &Path) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(output).with_context(|| format!("read {}", output.display()))? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")) {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            let (word, count) =
                line.split_once('\t').with_context(|| format!("a line of {}: {line}", path.display()))?;
            counts.insert(word.to_owned(), count.parse()?);
        }
    }
    Ok(counts)
}

/// How many processes a job has, once it has all: a shell, and the program that it waits for.
async fn wait_for_processes(execution: &str) -> Result<usize> {
    let began = Instant::now();
    loop {
        let running = processes_of(execution).len();
        if running >= 2 {
            return Ok(running);
        }
        if began.elapsed() > THERE_WITHIN {
            bail!(
                "the job is said to run, and {running} processes of it were found within {} s",
                THERE_WITHIN.as_secs()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Processes whose environment has the tag of an execution.
fn processes_of(execution: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            variable.starts_with(b"FOGGARA_TAG=") && String::from_utf8_lossy(variable).contains(execution)
        })
    })
    .collect()
}

/// How this program was called, for lines that can be typed as they stand.
fn program() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "foggara".to_owned())
}

/// What to type next.
fn next(dir: &Path, server: &Server) -> String {
    let (dir, program) = (dir.display(), program());
    let begin = if server.keep {
        let pid = server.child.id();
        format!("\nThe server stays up; `kill {pid}` ends it. What to type next:\n")
    } else {
        format!(
            "\nThe server has ended. What to type next:\n  {program} serve --data-dir {dir} &    (or quickstart --keep: it \
             stays up)\n"
        )
    };
    let first = format!(
        "  {program} run script.sh\n  \
         {program} jobs list\n\n\
         With the OpenStack clients (pip install python-openstackclient python-saharaclient):\n  \
         . {dir}/openrc.sh\n  \
         openstack dataprocessing job list\n\n\
         With curl, after the same openrc.sh:\n"
    );
    format!("{begin}{first}{CURL}")
}

/// Gets a token and uses it. The project's id in the path may be left out.
const CURL: &str = r#"  TOKEN=$(curl -s -D - -o /dev/null -H 'Content-Type: application/json' "$OS_AUTH_URL/auth/tokens" -d '{"auth": {
    "identity": {"methods": ["password"], "password": {"user": {"name": "'"$OS_USERNAME"'",
      "domain": {"id": "default"}, "password": "'"$OS_PASSWORD"'"}}},
    "scope": {"project": {"name": "'"$OS_PROJECT_NAME"'", "domain": {"id": "default"}}}}}' |
    tr -d '\r' | sed -n 's/^x-subject-token: //Ip')
  curl -H "X-Auth-Token: $TOKEN" "${OS_AUTH_URL%/v3}/v1.1/job-executions"
"#;
