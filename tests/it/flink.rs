//! A managed cluster of Flink for real. It needs a JDK and the Flink of scripts/setup-flink.sh; without them the test fails and
//! says so.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foggara_testkit::{
    processes::{shims, tagged},
    wait,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    clusters::{Sweep, execute_on, folders, make, node_processes, settles, text, vanishes},
    engines::jar,
    world::{LONG, On, World},
};

/// Counts to a number; without one until it is stopped.
const COUNT: &str = "import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;\n\
    public class Count { public static void main(String[] a) throws Exception {\n\
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();\n\
    env.fromSequence(1, a.length > 0 ? Long.parseLong(a[0]) : Long.MAX_VALUE).print(\"n\"); env.execute(\"count\"); } }";

/// Where Flink is.
pub fn flink_home() -> Result<PathBuf> {
    let home = std::env::var_os("FLINK_HOME").map(PathBuf::from);
    home.filter(|home| home.join("lib").is_dir())
        .context("FLINK_HOME names no Flink: scripts/setup-flink.sh gets one and prints its place")
}

/// What Flink itself says of its jobs: their states.
async fn states(rest: &str) -> Result<Vec<String>> {
    let list: Value = reqwest::get(format!("{rest}/jobs/overview")).await?.json().await?;
    let jobs = list["jobs"].as_array().context("a list")?;
    Ok(jobs.iter().map(|job| text(job, "state")).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_one_runs_jobs_and_stops_a_deleted_one() -> Result<()> {
    let home = flink_home()?;
    let world = World::start(On::Sqlite, "[jobs]\nkill_grace = 2\n").await?;
    let _sweep = Sweep::of(&world);
    let node = |name: &str, process: &str| {
        json!({"name": name, "count": 1, "flavor_id": "1", "node_processes": [process],
               "node_configs": {"flink": {"slots": 1}}})
    };
    let groups = [node("master", "jobmanager"), node("workers", "taskmanager")];
    let body = json!({"name": "F", "plugin_name": "flink", "hadoop_version": "2.3", "node_groups": groups});
    let id = make(&world.api, body).await?;
    let up = settles(&world, &id, "Active").await?;
    let rest = text(&up["info"]["Flink"], "REST");
    let main = jar(&world.server.dir, "Count", COUNT, &format!("{}/lib/*", home.display()))?;
    let main = world.api.binary("count.jar", &main).await?;
    let template = world.api.template("count", "Flink", &[&main], &[]).await?;

    let with = |args: Value| json!({"job_configs": {"configs": {"edp.java.main_class": "Count"}, "args": args}});
    let job = execute_on(&world.api, &id, &template, with(json!(["3"]))).await?;
    let row = world.wait(&job, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    let out = String::from_utf8(world.api.log(&job, "stdout").await?)?;
    assert_eq!(row["info"]["status"], "SUCCEEDED", "{row}");
    assert_eq!(out, "n> 1\nn> 2\nn> 3\n");
    assert_eq!(states(&rest).await?, ["FINISHED"]);

    let job = execute_on(&world.api, &id, &template, with(json!(["x"]))).await?;
    let row = world.wait(&job, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    assert_eq!(row["info"]["status"], "FAILED", "{row}");
    assert!(text(&row["info"], "reason").contains("NumberFormatException"), "{row}");

    let script = world.api.binary("words.sql", b"SET execution.runtime-mode = batch;\nSELECT 'a;b';").await?;
    let sql = world.api.template("words", "Flink", &[&script], &[]).await?;
    let job = execute_on(&world.api, &id, &sql, json!({})).await?;
    let row = world.wait(&job, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    assert_eq!(row["info"]["status"], "SUCCEEDED", "{row}");
    assert_eq!(String::from_utf8(world.api.log(&job, "stdout").await?)?, "+I[a;b]\n");

    let job = execute_on(&world.api, &id, &template, with(json!([]))).await?;
    world.wait(&job, &["RUNNING"]).await?;
    world.api.delete(&format!("/job-executions/{job}")).await?;
    wait::until("Flink has cancelled it", LONG, || async {
        let states = states(&rest).await.ok()?;
        (states.len() == 3 && states.iter().any(|state| state == "CANCELED")).then_some(())
    })
    .await?;
    world.wait_unknown(&job).await?;

    world.api.call(Method::DELETE, &format!("/clusters/{id}"), None).await?.expect(204)?;
    vanishes(&world, &id).await?;
    assert_eq!((node_processes(&world.server.dir), folders(&world)), (vec![], vec![]));
    wait::until("no supervisor", LONG, || async { shims(&world.server.dir).is_empty().then_some(()) }).await?;
    assert!(tagged(&id).is_empty());
    Ok(())
}
