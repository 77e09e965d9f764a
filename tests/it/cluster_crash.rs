//! The server is killed with SIGKILL at the named points of a cluster's way and started again: the cluster comes up or is gone,
//! nothing is there twice, and nothing is left.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foggara_testkit::{processes::shims, processes::tagged, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    clusters::{
        Sweep, cluster, execute_on, folders, local, make, node_processes, nodes, settles, spark, text, vanishes,
        with_stand_in,
    },
    world::{LONG, On, World},
};

const SETTINGS: &str = "[jobs]\nkill_grace = 1\n";

/// The server is started with a point armed; what it says is kept for the test to look at.
fn start_armed(world: &mut World, point: &str) -> PathBuf {
    world.server.kill();
    let mark = world.server.dir.join("mark");
    let _ = std::fs::remove_file(&mark);
    world.server.set("FOGGARA_FAILPOINT", point);
    world.server.set("FOGGARA_FAILPOINT_MARK", &mark.display().to_string());
    // It may die before it is ready, when there is work for it to do.
    if world.server.start().is_ok() {
        world.api.url.clone_from(&world.server.url);
    }
    mark
}

/// The point was passed, and the server is started again without it.
async fn dies_and_returns(world: &mut World, mark: &std::path::Path, point: &str) -> Result<()> {
    world.server.wait_for_end(LONG).with_context(|| format!("{point}: {}", world.server.log()))?;
    let told =
        std::fs::read_to_string(mark).with_context(|| format!("{point} was not passed: {}", world.server.log()))?;
    assert_eq!(Some(told.as_str()), point.split(':').next());
    world.server.unset("FOGGARA_FAILPOINT");
    world.server.unset("FOGGARA_FAILPOINT_MARK");
    world.start_again().await
}

/// The one cluster of the project.
async fn found(world: &World) -> Result<String> {
    let list = world.api.get("/clusters?plugin_name=%5E(local%7Cspark)$&is_public=false").await?;
    let all = list["clusters"].as_array().cloned().unwrap_or_default();
    assert_eq!(all.len(), 1, "{list}");
    Ok(text(&all[0], "id"))
}

async fn comes_up_once(world: &World, id: &str, wanted: &[&str], runs: usize, point: &str) -> Result<Value> {
    let up = settles(world, id, "Active").await.with_context(|| point.to_owned())?;
    assert_eq!(nodes(&up), wanted, "{point}");
    let lines = node_processes(&world.server.dir);
    for process in ["master.Master", "worker.Worker"] {
        let many = lines.iter().filter(|line| line.contains(process)).count();
        assert_eq!(many, if runs == 0 { 0 } else { 1 }, "{point}: {lines:?}");
    }
    assert_eq!(shims(&world.server.dir).len(), runs, "{point}: a supervisor for each node");
    let steps = up["provision_progress"].as_array().cloned().unwrap_or_default();
    assert!(steps.iter().all(|step| step["successful"] == true), "{point}: {steps:?}");
    let template = world.shell("after", "echo runs").await?;
    let job = execute_on(&world.api, id, &template, json!({})).await?;
    world.wait(&job, &["SUCCEEDED"]).await.with_context(|| point.to_owned())?;
    Ok(up)
}

/// Deletes the cluster as a user does; nothing of it is left.
async fn goes(world: &World, id: &str, point: &str) -> Result<()> {
    let _ = world.api.call(Method::DELETE, &format!("/clusters/{id}"), None).await?;
    vanishes(world, id).await.with_context(|| point.to_owned())?;
    nothing_left(world, point).await
}

async fn nothing_left(world: &World, point: &str) -> Result<()> {
    let dir = &world.server.dir;
    assert_eq!((node_processes(dir), folders(world)), (vec![], vec![]), "{point}");
    wait::until(&format!("{point}: no supervisor"), LONG, || async { shims(dir).is_empty().then_some(()) }).await
}

/// While a cluster comes up: `local` has no processes, the stand-in for Spark a master and a worker.
async fn coming_up_is_survived(on: On, point: &str, body: Value) -> Result<()> {
    let is_spark = body["plugin_name"] == "spark";
    let name = text(&body, "name");
    let mut world = with_stand_in(on, SETTINGS, true).await?;
    let _sweep = Sweep::of(&world);
    let mark = start_armed(&mut world, point);
    let sent = world.api.call(Method::POST, "/clusters", Some(body)).await;
    dies_and_returns(&mut world, &mark, point).await?;
    let id = found(&world).await?;
    if let Ok(answer) = sent {
        assert_eq!(answer.expect(202)?["cluster"]["id"], json!(id), "{point}");
    }
    let (wanted, runs) = if is_spark {
        (vec![format!("{name}-master-1"), format!("{name}-workers-1")], 2)
    } else {
        (vec![format!("{name}-workers-1"), format!("{name}-workers-2")], 0)
    };
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let up = comes_up_once(&world, &id, &wanted, runs, point).await?;
    let attempts: Vec<String> = node_ids(&up);
    for id in &attempts {
        assert_eq!(is_spark, !tagged(id).is_empty(), "{point}");
    }
    goes(&world, &id, point).await
}

fn node_ids(cluster: &Value) -> Vec<String> {
    let groups = cluster["node_groups"].as_array().into_iter().flatten();
    groups.flat_map(|group| group["instances"].as_array().into_iter().flatten()).map(|node| text(node, "id")).collect()
}

/// While a cluster goes, with a job that runs and one that waits.
async fn going_is_survived(on: On, point: &str, mut body: Value) -> Result<()> {
    let is_spark = body["plugin_name"] == "spark";
    if is_spark {
        body["cluster_configs"] = json!({"spark": {"max_running": 1}});
    }
    let mut world = with_stand_in(on, SETTINGS, true).await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, body).await?;
    let up = settles(&world, &id, "Active").await?;
    let template = world.shell("stubborn", "trap '' TERM; while :; do sleep 1; done").await?;
    let running = execute_on(&world.api, &id, &template, json!({})).await?;
    world.wait(&running, &["RUNNING"]).await?;
    let waiting = execute_on(&world.api, &id, &template, json!({})).await?;
    let mark = start_armed(&mut world, point);
    let sent = world.api.call(Method::DELETE, &format!("/clusters/{id}"), None).await;
    dies_and_returns(&mut world, &mark, point).await?;
    // Answered or not: the wish was durable before the point.
    let seen = world.api.call(Method::GET, &format!("/clusters/{id}"), None).await?;
    if seen.status.as_u16() == 200 {
        assert_eq!(seen.json()["cluster"]["status"], "Deleting", "{point}: {sent:?}");
    }
    vanishes(&world, &id).await.with_context(|| point.to_owned())?;
    for job in [&running, &waiting] {
        let row = world.wait(job, &["KILLED"]).await.with_context(|| point.to_owned())?;
        assert_eq!(row["cluster_id"], json!(id), "{point}");
        assert!(tagged(job).is_empty(), "{point}");
    }
    for node in node_ids(&up) {
        assert!(tagged(&node).is_empty(), "{point}");
    }
    nothing_left(&world, point).await?;
    // The name is free, and the server is well.
    let again = make(&world.api, local("again", 1)).await?;
    settles(&world, &again, "Active").await?;
    assert_eq!(cluster(&world.api, &again).await?["status"], "Active");
    Ok(())
}

macro_rules! crash_tests {
    ($($name:ident: $how:ident($point:literal, $body:expr);)*) => { $(
        mod $name {
            use super::*;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() -> Result<()> { $how(On::Sqlite, $point, $body).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() -> Result<()> { $how(On::Postgres, $point, $body).await }
        }
    )* };
}

crash_tests! {
    nodes_created_of_local: coming_up_is_survived("cluster.nodes_created", local("c", 2));
    nodes_created_of_spark: coming_up_is_survived("cluster.nodes_created", spark("s", 1, 100));
    first_node_started: coming_up_is_survived("cluster.node_started", spark("s", 1, 100));
    second_node_started: coming_up_is_survived("cluster.node_started:2", spark("s", 1, 100));
    delete_committed_of_local: going_is_survived("cluster.delete_committed", local("c", 1));
    delete_committed_of_spark: going_is_survived("cluster.delete_committed", spark("s", 1, 100));
    nodes_gone_of_local: going_is_survived("cluster.nodes_gone", local("c", 1));
    nodes_gone_of_spark: going_is_survived("cluster.nodes_gone", spark("s", 1, 100));
}

/// The wish is durable, and the server dies before a node is started or stopped while the cluster is scaled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaling_is_survived() -> Result<()> {
    let mut world = with_stand_in(On::Sqlite, SETTINGS, true).await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("s", 1, 100)).await?;
    let before = settles(&world, &id, "Active").await?;
    let mark = start_armed(&mut world, "cluster.node_started");
    let scale = |count: i64| json!({"resize_node_groups": [{"name": "workers", "count": count}]});
    let sent = world.api.call(Method::PUT, &format!("/clusters/{id}"), Some(scale(2))).await;
    dies_and_returns(&mut world, &mark, "cluster.node_started").await?;
    // The answer may have been cut off; the wish was not.
    if let Ok(answer) = sent {
        answer.expect(202)?;
    }
    let up = settles(&world, &id, "Active").await?;
    assert_eq!(nodes(&up), ["s-master-1", "s-workers-1", "s-workers-2"]);
    assert_eq!(shims(&world.server.dir).len(), 3);
    for node in node_ids(&before) {
        assert!(node_ids(&up).contains(&node), "those that were there stay");
    }
    assert_eq!(up["info"], before["info"]);
    // The other way, killed at once after the answer.
    world.api.call(Method::PUT, &format!("/clusters/{id}"), Some(scale(1))).await?.expect(202)?;
    world.restart_hard().await?;
    let down = settles(&world, &id, "Active").await?;
    assert_eq!(nodes(&down), ["s-master-1", "s-workers-1"]);
    wait::until("two supervisors", LONG, || async { (shims(&world.server.dir).len() == 2).then_some(()) }).await?;
    goes(&world, &id, "scaling").await
}
