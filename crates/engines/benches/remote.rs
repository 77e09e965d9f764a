//! How long engines that are services elsewhere take to notice a change among ten thousand jobs (issue "Every engine", status by one
//! list or a watch): `cargo bench -p foggara-engines --bench remote [-- JOBS [SECONDS] [ENGINE..]]`.
//!
//! Each engine is asked for every job once per second, as the owner of a cluster asks, while jobs change at odd moments. The services
//! are the fakes of testkit in this process, for Flink a list in the shape of its documentation; the client's threads have a name, so
//! that its processor time is told apart from theirs. The reference is the same list fetched and thrown away, by the
//! same HTTP library: what nobody can do without who asks for lists. Hive has no list (a session is a connection of ours), and the
//! Spark master's list was never filled with so many.

#![allow(clippy::print_stdout, reason = "figures for whoever measures")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use foggara_domain::{Tag, Timestamp, cluster::Cluster};
use foggara_engines::{
    Engine, JobRef, Observed, Plugin,
    flink::{Flink, FlinkSettings, job_id},
    local::{CopySettings, LocalSettings, SqlSettings},
    plugins::{kubernetes::KubernetesPlugin, storm::StormPlugin, yarn::YarnPlugin},
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, Rest, RestSettings},
    },
};
use foggara_testkit::{
    api::http,
    flink::FlinkList,
    kubernetes::{ACCOUNT, FakeKubernetes, NAMESPACE},
    storm::FakeStorm,
    yarn::FakeYarn,
};
use serde_json::{Value, json};

/// What every tag begins with.
const PREFIX: &str = "fg-00000000000000000000000000000001";
/// Name of the client's threads.
const CLIENT: &str = "client";
/// As often as the owner asks.
const ROUND: Duration = Duration::from_secs(1);

/// An engine whose service has the jobs.
struct Case {
    name: &'static str,
    engine: Arc<dyn Engine>,
    /// Lets a job change, so that its observation becomes another one.
    change: Box<dyn Fn(&Tag) + Send + Sync>,
    /// The list by itself, where it is one request.
    list: Option<String>,
}

/// Starts the service with so many jobs, with a folder of its own.
type Make = fn(&Path, usize) -> Result<Case, String>;

fn tag(number: usize) -> Tag {
    Tag::from(format!("{PREFIX}-{number}-1"))
}

fn local(folder: &Path) -> LocalSettings {
    LocalSettings {
        data_dir: folder.to_owned(),
        program: PathBuf::from("/proc/self/exe"),
        plugin: "local",
        max_running: 1,
        memory_mb: None,
        log_limit: 1 << 20,
        spark_cores: 1,
        spark_cluster: None,
        sql: SqlSettings::default(),
        hive: None,
        spark_home: None,
        java_home: None,
        pig_home: None,
        copying: CopySettings::default(),
        cgroup_root: Some(folder.join("none")),
    }
}

fn remote(folder: &Path) -> RemoteSettings {
    RemoteSettings { prefix: PREFIX.to_owned(), data_dir: folder.to_owned(), log_limit: 1 << 20 }
}

fn cluster(plugin: &str, settings: &Value) -> Cluster {
    let configs = settings.as_object().cloned().unwrap_or_default();
    Cluster::of_program(plugin, plugin, configs, Timestamp::from_micros(0))
}

fn yarn(folder: &Path, jobs: usize) -> Result<Case, String> {
    let fake = FakeYarn::start(1).map_err(|error| error.to_string())?;
    let many = u32::try_from(jobs).map_err(|error| error.to_string())?;
    fake.fill(many, |number| format!("{PREFIX},{PREFIX}-{number}-1"));
    let settings = json!({"resource_manager": fake.urls(), "hadoop_conf_dir": folder, "queue": "default"});
    let engine = YarnPlugin::new(local(folder), remote(folder)).engine(&cluster("yarn", &settings))?;
    let list = format!("{}/ws/v1/cluster/apps?applicationTags={PREFIX}&deSelects=resourceRequests", fake.urls());
    let change = move |tag: &Tag| fake.finish(tag.as_str(), "SUCCEEDED", "");
    Ok(Case { name: "yarn", engine, change: Box::new(change), list: Some(list) })
}

fn storm(folder: &Path, jobs: usize) -> Result<Case, String> {
    let fake = FakeStorm::start().map_err(|error| error.to_string())?;
    fake.fill((0..jobs).map(|number| tag(number).to_string()));
    let settings = json!({"ui": fake.url(), "home": fake.put_client(folder).map_err(|error| error.to_string())?});
    let engine = StormPlugin::new(local(folder), remote(folder)).engine(&cluster("storm", &settings))?;
    let list = format!("{}/api/v1/topology/summary", fake.url());
    let change = move |tag: &Tag| fake.set_status(tag.as_str(), "INACTIVE");
    Ok(Case { name: "storm", engine, change: Box::new(change), list: Some(list) })
}

fn flink(folder: &Path, jobs: usize) -> Result<Case, String> {
    let service = FlinkList::start((0..jobs).map(|number| job_id(&tag(number)))).map_err(|error| error.to_string())?;
    let rest = RestSettings { service: "the JobManager", urls: service.url(), ca_file: None, auth: Auth::None };
    let settings = FlinkSettings {
        data_dir: folder.to_owned(),
        log_limit: 1 << 20,
        max_running: None,
        stop_with_savepoint: None,
        shows_stdout: false,
        python: None,
    };
    let engine = Arc::new(Remote::new(Flink::new(Rest::new(rest)?, settings), remote(folder)));
    let list = format!("{}/jobs/overview", service.url());
    let change = move |tag: &Tag| service.set_state(&job_id(tag), "FINISHED");
    Ok(Case { name: "flink", engine, change: Box::new(change), list: Some(list) })
}

/// Kept by a watch: its whole list is the reference all the same.
fn kubernetes(folder: &Path, jobs: usize) -> Result<Case, String> {
    let fake = FakeKubernetes::start().map_err(|error| error.to_string())?;
    fake.fill(PREFIX, (0..jobs).map(|number| tag(number).to_string()));
    let settings =
        json!({"server": fake.url(), "namespace": NAMESPACE, "service_account": ACCOUNT, "image": "spark:4"});
    let engine = KubernetesPlugin::new(remote(folder)).engine(&cluster("kubernetes", &settings))?;
    let list = format!("{}/api/v1/namespaces/{NAMESPACE}/pods", fake.url());
    let change = move |tag: &Tag| fake.end(tag.as_str(), 0, "Completed");
    Ok(Case { name: "kubernetes", engine, change: Box::new(change), list: Some(list) })
}

/// Seconds of processor time of the client's threads.
fn cpu() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ticks = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        head.ends_with(CLIENT)
            .then(|| fields.get(11..13)?.iter().map(|ticks| ticks.parse::<f64>().ok()).sum::<Option<f64>>())?
    });
    ticks.sum::<f64>() / 100.0
}

/// The middle and the greatest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
    format!("{:.3} s, at most {:.3} s", at(times.len() / 2), at(times.len().saturating_sub(1)))
}

async fn measure(case: Case, jobs: usize, seconds: u64) -> Result<(), String> {
    let tags: Vec<Tag> = (0..jobs).map(tag).collect();
    let engine = &case.engine;
    let begun = Instant::now();
    let mut seen: Vec<Option<Observed>> = Vec::with_capacity(jobs);
    for tag in &tags {
        seen.push(engine.observe(JobRef::from(tag)).await.ok());
    }
    let running = seen.iter().flatten().filter(|seen| matches!(seen, Observed::Running { .. })).count();
    println!(
        "{}: {running} of {jobs} jobs run; the first look at all took {:.3} s",
        case.name,
        begun.elapsed().as_secs_f64()
    );
    if running != jobs {
        return Err(format!("{}: not all jobs are seen", case.name));
    }
    // One change per round at a moment of its own: a third, two thirds, no part of a second after the round began, and so on.
    let (mut rounds, mut noticed) = (Vec::new(), Vec::new());
    let mut pending: Option<(usize, Instant)> = None;
    let (begun, before) = (Instant::now(), cpu());
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(seconds) || pending.is_some() {
        let round = Instant::now();
        for (index, tag) in tags.iter().enumerate() {
            let now = engine.observe(JobRef::from(tag)).await.map_err(|error| error.to_string())?;
            if seen.get(index).and_then(Option::as_ref) != Some(&now) {
                if let Some((_, since)) = pending.take_if(|(changed, _)| *changed == index) {
                    noticed.push(since.elapsed());
                }
                seen[index] = Some(now);
            }
        }
        rounds.push(round.elapsed());
        let rest = ROUND.saturating_sub(round.elapsed());
        if pending.is_none() && begun.elapsed() < Duration::from_secs(seconds) {
            let wait = rest.mul_f64(f64::from(number % 3) / 3.0);
            tokio::time::sleep(wait).await;
            let index = (number as usize * 7919 + 1) % jobs;
            pending = Some((index, Instant::now()));
            (case.change)(&tags[index]);
            number += 1;
        }
        tokio::time::sleep(ROUND.saturating_sub(round.elapsed())).await;
    }
    let share = (cpu() - before) / begun.elapsed().as_secs_f64();
    println!("  a change is noticed after {} ({} changes)", spread(noticed.clone()), noticed.len());
    println!(
        "  a round over all jobs takes {}; the client takes {:.0} % of a processor",
        spread(rounds),
        share * 100.0
    );
    if let Some(list) = &case.list {
        let (mut times, mut size) = (Vec::new(), 0);
        let client = reqwest::Client::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let answer = client.get(list).send().await.map_err(|error| error.to_string())?;
            size = answer.bytes().await.map_err(|error| error.to_string())?.len();
            times.push(begun.elapsed());
        }
        println!(
            "  reference: the list alone, {:.1} MB, fetched and thrown away: {}",
            size as f64 / 1e6,
            spread(times)
        );
    }
    Ok(())
}

fn main() -> Result<(), String> {
    http();
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let jobs = numbers.first().copied().unwrap_or(10_000);
    let seconds = numbers.get(1).map_or(30, |seconds| *seconds as u64);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime =
        runtime.worker_threads(2).thread_name(CLIENT).enable_all().build().map_err(|error| error.to_string())?;
    let cases: [(&str, Make); 4] = [("yarn", yarn), ("storm", storm), ("flink", flink), ("kubernetes", kubernetes)];
    let named = |name: &str| std::env::args().any(|word| word == name);
    let all = !cases.iter().any(|(name, _)| named(name));
    for (_, case) in cases.into_iter().filter(|(name, _)| all || named(name)) {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let case = case(folder.path(), jobs)?;
        runtime
            .block_on(async { tokio::spawn(measure(case, jobs, seconds)).await })
            .map_err(|error| error.to_string())??;
    }
    Ok(())
}
