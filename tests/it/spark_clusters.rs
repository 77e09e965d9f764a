//! Clusters of Spark for real: a managed one on this host, and one that runs elsewhere. They need a JDK and the Spark of
//! scripts/setup-spark.sh; without them these tests fail and say so.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use foggara_testkit::{
    java::brief,
    processes::{shims, tagged},
    wait,
};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    clusters::{
        Sweep, cluster, execute_on, folders, make, node_processes, nodes, refusal, settles, spark, text, vanishes,
    },
    engines::ends,
    world::{LONG, On, World},
};

/// Enough for an executor, and little enough for a small machine.
const MEMORY_MB: i64 = 600;
const SETTINGS: &str = "[jobs]\nkill_grace = 2\n";

/// A job that asks its workers, tells the master, and then waits for a file, when it is given one.
const SUM: &str = "import os, sys, time\nfrom pyspark.sql import SparkSession\n\
    s = SparkSession.builder.getOrCreate()\n\
    print('SUM', s.sparkContext.parallelize(range(1000), 2).sum(), s.sparkContext.master, flush=True)\n\
    if len(sys.argv) > 1:\n    open(sys.argv[1], 'w').close()\n    while True: time.sleep(1)\n\
    s.stop()\n";

async fn world() -> Result<World> {
    let home = std::env::var_os("SPARK_HOME").map(std::path::PathBuf::from);
    home.filter(|home| home.join("bin/spark-submit").is_file())
        .context("SPARK_HOME names no Spark: scripts/setup-spark.sh gets one and prints its place")?;
    World::start(On::Sqlite, SETTINGS).await
}

async fn pyspark(world: &World) -> Result<String> {
    let main = world.api.binary("sum.py", SUM.as_bytes()).await?;
    world.api.template("sum", "Spark", &[&main], &[]).await
}

fn quick() -> Value {
    json!({"spark.ui.enabled": "false", "spark.driver.extraJavaOptions": brief(),
           "spark.executor.extraJavaOptions": brief(), "spark.executor.memory": "600m"})
}

/// Runs the job on a cluster; gives the master that it was told.
async fn sums(world: &World, cluster: &str, template: &str) -> Result<String> {
    let job = execute_on(&world.api, cluster, template, json!({"job_configs": {"configs": quick()}})).await?;
    let row = world.wait(&job, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    let out = String::from_utf8(world.api.log(&job, "stdout").await?)?;
    let errors = String::from_utf8_lossy(&world.api.log(&job, "stderr").await?).into_owned();
    assert_eq!(row["info"]["status"], "SUCCEEDED", "{row}\n{errors}");
    let line =
        out.lines().find_map(|line| line.strip_prefix("SUM 499500 ")).with_context(|| format!("{out}\n{errors}"))?;
    Ok(line.to_owned())
}

/// Ids of all nodes.
fn ids(cluster: &Value) -> BTreeSet<String> {
    let groups = cluster["node_groups"].as_array().into_iter().flatten();
    groups.flat_map(|group| group["instances"].as_array().into_iter().flatten()).map(|node| text(node, "id")).collect()
}

/// How many masters and workers of this server's clusters run.
fn running(world: &World) -> (usize, usize) {
    let lines = node_processes(&world.server.dir);
    // The class is the argument of the Java program and of no shell around it.
    let count = |class: &str| {
        lines.iter().filter(|line| line.contains("/java ") && line.contains(&format!("deploy.{class} "))).count()
    };
    (count("master.Master"), count("worker.Worker"))
}

/// No process of any node and of any job, no supervisor and no folder is left.
async fn nothing_left(world: &World, tags: &[String]) -> Result<()> {
    let dir = &world.server.dir;
    for tag in tags {
        assert!(tagged(tag).is_empty(), "{tag}");
    }
    assert_eq!((node_processes(dir), folders(world)), (vec![], vec![]));
    wait::until("no supervisor", LONG, || async { shims(dir).is_empty().then_some(()) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_sql_run_on_the_workers() -> Result<()> {
    let world = world().await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("S", 1, MEMORY_MB)).await?;
    let up = settles(&world, &id, "Active").await?;
    let sql = world.api.template("sql", "hql", &[], &[]).await?;
    let mut configs = quick();
    configs["foggara.sql.engine"] = json!("spark");
    let body =
        json!({"job_configs": {"configs": configs, "args": ["set spark.master; select sum(id) from range(10)"]}});
    let job = execute_on(&world.api, &id, &sql, body).await?;
    ends(&world, &job, "SUCCEEDED").await?;
    let master = up["info"]["Spark"]["Master"].as_str().context("no master")?;
    let told = String::from_utf8(world.api.log(&job, "stdout").await?)?;
    assert_eq!(told, format!("spark.master\t{master}\n45\n"));
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    nothing_left(&world, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_one_survives_kills_of_the_server_and_of_its_nodes() -> Result<()> {
    let mut world = world().await?;
    let _sweep = Sweep::of(&world);
    // Another master on this host, as every master of Spark has it by default, is in nobody's way.
    let _other = std::net::TcpListener::bind("127.0.0.1:6066");
    let id = make(&world.api, spark("S", 1, MEMORY_MB)).await?;
    // The server dies while the master is being started: nothing is started twice, and the nodes are the same ones.
    let before = wait::until("a node runs", LONG, || async {
        let seen = cluster(&world.api, &id).await.ok()?;
        (seen["status"] != "Active" && ids(&seen).iter().any(|id| !tagged(id).is_empty())).then_some(seen)
    })
    .await?;
    let first = tagged(ids(&before).iter().find(|id| !tagged(id).is_empty()).context("the node")?);
    world.restart_hard().await?;
    let up = settles(&world, &id, "Active").await?;
    assert_eq!(nodes(&up), ["s-master-1", "s-workers-1"]);
    assert_eq!((ids(&up), running(&world), shims(&world.server.dir).len()), (ids(&before), (1, 1), 2));
    assert!(first.iter().any(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists()), "it was found again");
    // And while it is Active.
    let lines = node_processes(&world.server.dir).into_iter().collect::<BTreeSet<_>>();
    world.restart_hard().await?;
    let again = settles(&world, &id, "Active").await?;
    assert_eq!((&again["info"], ids(&again), running(&world)), (&up["info"], ids(&up), (1, 1)));
    assert_eq!(node_processes(&world.server.dir).into_iter().collect::<BTreeSet<_>>(), lines);
    let template = pyspark(&world).await?;
    assert_eq!(json!(sums(&world, &id, &template).await?), up["info"]["Spark"]["Master"]);
    let shell = world.shell("shell", "echo shell").await?;
    let job = execute_on(&world.api, &id, &shell, json!({})).await?;
    world.wait(&job, &["SUCCEEDED"]).await?;
    // All processes of the worker are killed: it is started again at the same place, and the events tell.
    let worker = up["node_groups"][1]["instances"][0].clone();
    let killed = tagged(&text(&worker, "id"));
    assert!(!killed.is_empty());
    for pid in &killed {
        let _ = kill_process(Pid::from_raw(*pid).context("a pid")?, Signal::KILL);
    }
    let told = wait::until("the worker is started again", LONG, || async {
        let seen = cluster(&world.api, &id).await.ok()?;
        let restart =
            seen["provision_progress"].as_array()?.iter().find(|step| step["step_name"] == "Restart nodes")?.clone();
        (restart["successful"] == true && running(&world) == (1, 1)).then_some(seen)
    })
    .await
    .with_context(|| world.server.log())?;
    assert_eq!((ids(&told), &told["info"]), (ids(&up), &up["info"]));
    assert!(tagged(&text(&worker, "id")).iter().all(|pid| !killed.contains(pid)));
    wait::until("nothing to complain of", LONG, || async {
        let seen = cluster(&world.api, &id).await.ok()?;
        (seen["status"] == "Active" && seen["status_description"] == "").then_some(())
    })
    .await?;
    sums(&world, &id, &template).await?;
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    nothing_left(&world, &ids(&up).into_iter().collect::<Vec<_>>()).await
}

/// Asks for a look at a cluster's health; gives what it found.
async fn looked_at(world: &World, id: &str) -> Result<Value> {
    let path = format!("/clusters/{id}");
    let body = json!({"verification": {"status": "START"}});
    world.api.call(Method::PATCH, &path, Some(body)).await?.expect(202)?;
    wait::until("it was looked at", LONG, || async {
        let seen = cluster(&world.api, id).await.ok()?["verification"].take();
        (seen["status"] != "CHECKING").then_some(seen)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_scaled_serves_as_an_external_one_and_is_deleted_with_a_running_job() -> Result<()> {
    let world = world().await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("m", 1, MEMORY_MB)).await?;
    let template = pyspark(&world).await?;
    let before = settles(&world, &id, "Active").await?;
    let scale = |count: i64| json!({"resize_node_groups": [{"name": "workers", "count": count}]});
    let path = format!("/clusters/{id}");
    world.api.call(Method::PUT, &path, Some(scale(2))).await?.expect(202)?;
    let up = settles(&world, &id, "Active").await?;
    assert_eq!((nodes(&up).len(), running(&world), &up["info"]), (3, (1, 2), &before["info"]));
    assert!(looked_at(&world, &id).await?.to_string().contains("2 of 2 workers"));
    world.api.call(Method::PUT, &path, Some(scale(1))).await?.expect(202)?;
    let down = settles(&world, &id, "Active").await?;
    assert_eq!((ids(&down), running(&world)), (ids(&before), (1, 1)));
    // The same master, as somebody else's.
    let (master, page) = (&up["info"]["Spark"]["Master"], &up["info"]["Spark"]["Web UI"]);
    let external = |name: &str, configs: Value| json!({"name": name, "plugin_name": "spark", "hadoop_version": "2.3", "cluster_configs": {"spark": configs}});
    let other = make(&world.api, external("e", json!({"master": master, "web_ui": page}))).await?;
    let there = settles(&world, &other, "Active").await?;
    assert_eq!((&there["info"]["Spark"]["Master"], nodes(&there).len(), running(&world)), (master, 0, (1, 1)));
    assert_eq!(looked_at(&world, &other).await?["status"], "GREEN");
    assert_eq!(json!(sums(&world, &other, &template).await?), *master);
    // Nobody answers at the address: it says so.
    let dead =
        make(&world.api, external("d", json!({"master": "spark://127.0.0.1:9", "web_ui": "http://127.0.0.1:9"})))
            .await?;
    settles(&world, &dead, "Active").await?;
    let seen = looked_at(&world, &dead).await?;
    assert_eq!(seen["status"], "RED", "{seen}");
    assert!(text(&seen["checks"][0], "description").contains("127.0.0.1:9"), "{seen}");
    let told = wait::until("the cluster says so", LONG, || async {
        let told = text(&cluster(&world.api, &dead).await.ok()?, "status_description");
        (!told.is_empty()).then_some(told)
    })
    .await?;
    assert!(told.contains("127.0.0.1:9"), "{told}");
    // A job runs on the managed one, and both go.
    let at_work = world.server.dir.join("at-work");
    let body = json!({"job_configs": {"configs": quick(), "args": [at_work]}});
    let job = execute_on(&world.api, &id, &template, body).await?;
    wait::until("the job is at work", LONG, || async { at_work.exists().then_some(()) }).await?;
    // An executor is a process of its worker.
    let all = node_processes(&world.server.dir);
    assert!(all.iter().any(|line| line.contains("CoarseGrainedExecutorBackend")), "{all:?}");
    for one in [&other, &dead, &id] {
        world.api.delete(&format!("/clusters/{one}")).await?;
    }
    let execute = json!({"cluster_id": id});
    let (name, _) = refusal(&world.api, Method::POST, &format!("/jobs/{template}/execute"), Some(execute)).await?;
    assert_eq!(name, "INVALID_REFERENCE");
    for one in [&other, &dead, &id] {
        vanishes(&world, one).await?;
    }
    let row = world.wait(&job, &["KILLED"]).await?;
    assert_eq!(row["cluster_id"], json!(id));
    let mut tags: Vec<String> = ids(&up).into_iter().collect();
    tags.push(job);
    nothing_left(&world, &tags).await
}

/// The drivers run on a worker, and no process of this server's is behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_run_on_workers_when_the_cluster_says_so() -> Result<()> {
    let world = world().await?;
    let _sweep = Sweep::of(&world);
    let mut body = spark("R", 1, 1400);
    body["cluster_configs"] = json!({"spark": {"deploy": "rest"}});
    body["node_groups"][1]["node_configs"]["spark"]["cores"] = json!(3);
    let id = make(&world.api, body).await?;
    settles(&world, &id, "Active").await?;
    let template = pyspark(&world).await?;
    let master = sums(&world, &id, &template).await?;
    assert!(master.starts_with("spark://"), "{master}");

    let at_work = world.server.dir.join("at-work");
    let body = json!({"job_configs": {"configs": quick(), "args": [at_work]}});
    let job = execute_on(&world.api, &id, &template, body).await?;
    wait::until("the job is at work", LONG, || async { at_work.exists().then_some(()) }).await?;
    let row = world.api.execution(&job).await?;
    assert!(text(&row, "engine_job_id").starts_with("driver-"), "{row}");
    world.api.delete(&format!("/job-executions/{job}")).await?;
    world.wait_gone(&job).await?;
    assert_eq!(tagged(&job), Vec::<i32>::new(), "the program in Python outlived its driver");
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    nothing_left(&world, &[job]).await
}
