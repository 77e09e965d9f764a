//! What many jobs that run at once cost the program, and how soon it notices the end of one of them:
//! `cargo bench --bench many_jobs [-- JOBS [ENGINE..]]`, with 10,000 jobs and the engines `sim kubernetes local` if none are named.
//!
//! The real program on a folder of its own, on SQLite. A change is the end of one job at a moment of its own, made at the engine; it is
//! noticed when a client that asks for the execution all the time sees its final status. `sim` is the reference: an engine that
//! costs nothing, so that the rest of the program is what is seen. `kubernetes` is asked over HTTP (the fake of testkit, in this process, whose
//! processor time is not the server's). Jobs of `local` are processes of this host, each with its shim: ten thousand of them
//! need some 10 GiB of memory, 20,000 process ids and as many open files (`ulimit -n 30000`).
//!
//! crates/engines has a program of the same kind for the clients of the other engines (`cargo bench -p foggara-engines`).

#![allow(clippy::print_stdout, reason = "figures for whoever measures")]

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use foggara_testkit::{api::Api, kubernetes::FakeKubernetes, processes::tags, program::Server, wait::until};
use futures::{StreamExt, stream};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Ends and deletes per engine.
const CHANGES: usize = 20;
/// How long the program is watched while nothing changes.
const REST: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(1800);
const FINAL: [&str; 3] = ["SUCCEEDED", "FAILED", "KILLED"];

struct Place {
    server: Server,
    api: Api,
    kubernetes: Option<FakeKubernetes>,
    /// The process of each job of `local`, by the job's tag.
    processes: BTreeMap<String, i32>,
    executions: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Place {
    async fn start(engine: &str, jobs: usize) -> Result<Self> {
        let kubernetes = (engine == "kubernetes").then(FakeKubernetes::start).transpose()?;
        let mut settings = format!("[jobs]\nmax_waiting = {jobs}\n");
        match &kubernetes {
            Some(fake) => {
                settings += &format!(
                    "[clusters.kubernetes]\nplugin = \"kubernetes\"\nserver = \"{}\"\nnamespace = \"jobs\"\nservice_account = \"spark\"\nimage = \"spark:4\"\nmax_running = {jobs}\n",
                    fake.url()
                )
            }
            None => settings += &format!("[local]\nmax_running = {jobs}\n[sim]\nenabled = true\nrun_ms = 3600000\n"),
        }
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("foggara.toml"), settings)?;
        let mut server = Server::new(env!("CARGO_BIN_EXE_foggara"), dir.path());
        server.start()?;
        let api = Api::log_in(&server.url, "admin", &server.password()?, "demo").await?;
        let mut place = Self { server, api, kubernetes, processes: BTreeMap::new(), executions: Vec::new(), _dir: dir };
        place.run(engine, jobs).await?;
        if engine == "local" {
            place.processes = tags("sleep");
        }
        Ok(place)
    }

    /// Starts the jobs and waits until all run.
    async fn run(&mut self, engine: &str, jobs: usize) -> Result<()> {
        let (file, kind, text) = match engine {
            "kubernetes" => ("app.py", "Spark", "print('hello')\n"),
            _ => ("job.sh", "Shell", "#!/bin/sh\nexec sleep 86400\n"),
        };
        let main = self.api.binary(file, text.as_bytes()).await?;
        let template = self.api.template("job", kind, &[&main], &[]).await?;
        let cluster = self.api.cluster(engine).await?;
        let (api, begun) = (&self.api, Instant::now());
        let submit = |_| {
            let (path, body) = (format!("/jobs/{template}/execute"), json!({"cluster_id": cluster}));
            async move { api.post(&path, body).await }
        };
        let answers: Vec<Result<Value>> = stream::iter(0..jobs).map(submit).buffer_unordered(8).collect().await;
        for answer in answers {
            let id = answer?["job_execution"]["id"].as_str().context("no id")?.to_owned();
            self.executions.push(id);
        }
        let submitted = begun.elapsed();
        until("all run", LONG, || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let all = api.get("/job-executions").await.ok()?;
            let running = |row: &&Value| row["info"]["status"] == "RUNNING";
            (all["job_executions"].as_array()?.iter().filter(running).count() == jobs).then_some(())
        })
        .await?;
        println!("{engine}: {jobs} jobs submitted in {submitted:.1?}, all run after {:.1?}", begun.elapsed());
        Ok(())
    }

    /// Seconds of processor time and MiB of memory of the server.
    fn usage(&self) -> Result<(f64, f64)> {
        let pid = self.server.pid().context("it does not run")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, rest) = stat.rsplit_once(')').context("no stat")?;
        let ticks: f64 =
            rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap_or(0.0)).sum();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no memory")?;
        let kib: f64 = resident.trim().trim_end_matches(" kB").parse()?;
        Ok((ticks / 100.0, kib / 1024.0))
    }

    /// The name of what the engine runs for an execution.
    fn job(&self, id: &str) -> Option<String> {
        match &self.kubernetes {
            Some(fake) => fake.pods().into_iter().find(|pod| pod.contains(id)),
            None => self.processes.keys().find(|tag| tag.contains(id)).cloned(),
        }
    }

    /// Ends a job at its engine; false where the engine has none.
    fn end(&self, job: &str) -> bool {
        if let Some(fake) = &self.kubernetes {
            fake.end(job, 0, "Completed");
            return true;
        }
        let pid = self.processes.get(job).and_then(|pid| Pid::from_raw(*pid));
        pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
    }

    fn is_alive(&self, job: &str) -> bool {
        match &self.kubernetes {
            Some(fake) => fake.pod(job).is_some_and(|pod| pod["status"]["phase"] == "Running"),
            None => self.processes.get(job).is_some_and(|pid| fs::exists(format!("/proc/{pid}")).unwrap_or(false)),
        }
    }

    async fn ends(&self, of: &[String]) -> Result<Option<Vec<Duration>>> {
        let mut times = Vec::new();
        for (number, id) in of.iter().enumerate() {
            let Some(job) = self.job(id) else { return Ok(None) };
            tokio::time::sleep(Duration::from_millis(37 * number as u64)).await;
            let begun = Instant::now();
            if !self.end(&job) {
                return Ok(None);
            }
            until("its end", LONG, || async {
                let row = self.api.execution(id).await.ok()?;
                FINAL.contains(&row["info"]["status"].as_str()?).then_some(())
            })
            .await?;
            times.push(begun.elapsed());
        }
        Ok(Some(times))
    }

    /// DELETE: until the answer, and until the job is gone at its engine.
    async fn deletes(&self, of: &[String]) -> Result<(Vec<Duration>, Vec<Duration>)> {
        let (mut answers, mut gone) = (Vec::new(), Vec::new());
        for id in of {
            let job = self.job(id);
            let begun = Instant::now();
            self.api.call(Method::DELETE, &format!("/job-executions/{id}"), None).await?.expect(204)?;
            answers.push(begun.elapsed());
            if let Some(job) = &job {
                until("gone", LONG, || async { (!self.is_alive(job)).then_some(()) }).await?;
                gone.push(begun.elapsed());
            }
        }
        Ok((answers, gone))
    }
}

/// The middle and the greatest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
    format!("{:.3} s, at most {:.3} s", at(times.len() / 2), at(times.len().saturating_sub(1)))
}

async fn measure(engine: &str, jobs: usize) -> Result<()> {
    let place = Place::start(engine, jobs).await?;
    let (before, _) = place.usage()?;
    tokio::time::sleep(REST).await;
    let (after, memory) = place.usage()?;
    let share = (after - before) / REST.as_secs_f64() * 100.0;
    println!("  while nothing changes: {share:.0} % of a processor, {memory:.0} MiB");
    let (ends, deletes) = place.executions.split_at(CHANGES.min(jobs / 2));
    if let Some(times) = place.ends(ends).await? {
        println!("  an end is noticed after {} ({} ends)", spread(times.clone()), times.len());
    }
    let (answers, gone) = place.deletes(deletes.get(..CHANGES).unwrap_or(deletes)).await?;
    println!("  DELETE is answered after {}", spread(answers));
    if !gone.is_empty() {
        println!("  and the job is gone after {}", spread(gone));
    }
    for pid in place.processes.values().filter_map(|pid| Pid::from_raw(*pid)) {
        // Their shims end with them.
        let _ = kill_process(pid, Signal::KILL);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let jobs = words.iter().find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let named: Vec<&str> = words.iter().map(String::as_str).filter(|word| word.parse::<usize>().is_err()).collect();
    let engines = if named.is_empty() { vec!["sim", "kubernetes", "local"] } else { named };
    for engine in engines {
        measure(engine, jobs).await?;
    }
    Ok(())
}
