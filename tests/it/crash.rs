//! The server is killed with SIGKILL at named points and started again. Whatever was answered is still there, no second job
//! runs, nothing runs that nobody knows, and the final state is the true one.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use foggara_testkit::{
    processes::{shims, tagged},
    wait,
};
use reqwest::Method;
use serde_json::json;

use crate::world::{LONG, On, World, log_in};

/// The points at which the server dies while it starts a job that nobody stops.
const START: [&str; 11] = [
    "submit.after_commit",
    "stage.committed",
    "stage.prepared",
    "launch.committed",
    "launch.prepared",
    "launch.spawned",
    "launch.sent",
    "launch.noted",
    "observe.asked",
    "settle.committed",
    "settle.cleaned",
];

/// The points at which it dies while it stops one.
const STOP: [&str; 5] = ["delete.after_commit", "stop.committed", "stop.sent", "settle.committed", "settle.ended"];

/// Arms a point for the next start and gives the file that proves that it was passed.
fn arm(world: &mut World, point: &str) -> std::path::PathBuf {
    let mark = world.server.dir.join("mark");
    let _ = std::fs::remove_file(&mark);
    world.server.set("FOGGARA_FAILPOINT", point);
    world.server.set("FOGGARA_FAILPOINT_MARK", &mark.display().to_string());
    mark
}

fn disarm(world: &mut World) {
    world.server.unset("FOGGARA_FAILPOINT");
    world.server.unset("FOGGARA_FAILPOINT_MARK");
}

fn fired(mark: &Path, point: &str) -> Result<()> {
    let text = std::fs::read_to_string(mark).with_context(|| format!("{point} was not passed"))?;
    assert_eq!(text, point);
    Ok(())
}

/// Starts the server with a point armed. It may die before it is ready, when there is work for it to do.
async fn start_armed(world: &mut World, point: &str) -> Result<std::path::PathBuf> {
    world.server.kill();
    let mark = arm(world, point);
    if world.server.start().is_ok() {
        world.api.url.clone_from(&world.server.url);
    }
    Ok(mark)
}

async fn start_is_survived(on: On, point: &str) -> Result<()> {
    let mut world = World::start(on, "[jobs]\nkill_grace = 2\n").await?;
    let ran = world.server.dir.join("ran");
    let template = world.shell("job", &format!("echo x >> {0}; sleep 0.2; echo done", ran.display())).await?;
    let cluster = world.api.cluster("local").await?;
    let mark = start_armed(&mut world, point).await?;
    let path = format!("/v1.1/{}/jobs/{template}/execute", world.api.project);
    let body = json!({"cluster_id": cluster}).to_string().into_bytes();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "the-one")];
    let sent = world.api.raw(Method::POST, &path, &headers, Some(body.clone())).await;
    world.server.wait_for_end(LONG).with_context(|| format!("{point}: {}", world.server.log()))?;
    fired(&mark, point)?;
    disarm(&mut world);
    world.start_again().await?;
    // The client repeats: the same execution, whether it had an answer or not.
    let again = world.api.raw(Method::POST, &path, &headers, Some(body)).await?.expect(202)?;
    let id = again["job_execution"]["id"].as_str().context("no id")?.to_owned();
    if let Ok(answer) = sent {
        let first = answer.expect(202)?;
        assert_eq!(first["job_execution"]["id"], id.as_str(), "{point}");
    }
    let row = world.wait(&id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    assert_eq!(row["info"]["status"], "SUCCEEDED", "{point}: {row}");
    assert_eq!(std::fs::read_to_string(&ran)?, "x\n", "{point}: it ran exactly once");
    assert_eq!(world.api.log(&id, "stdout").await?, b"done\n", "{point}");
    let list = world.api.get("/job-executions").await?;
    assert_eq!(list["job_executions"].as_array().map(Vec::len), Some(1), "{point}");
    world.wait_gone(&id).await?;
    workspace_is_empty(&world, point).await
}

async fn stop_is_survived(on: On, point: &str) -> Result<()> {
    let mut world = World::start(on, "[jobs]\nkill_grace = 1\n").await?;
    let id = world.run("job", "trap '' TERM; while :; do sleep 1; done").await?;
    world.wait(&id, &["RUNNING"]).await?;
    let mark = start_armed(&mut world, point).await?;
    let path = format!("/v1.1/{}/job-executions/{id}", world.api.project);
    let sent = world.api.raw(Method::DELETE, &path, &[], None).await;
    world.server.wait_for_end(LONG).with_context(|| format!("{point}: {}", world.server.log()))?;
    fired(&mark, point)?;
    disarm(&mut world);
    world.start_again().await?;
    // Answered or not, the wish was durable before the point.
    let row = world.api.raw(Method::GET, &path, &[], None).await?;
    assert_eq!(row.status.as_u16(), 404, "{point}: {sent:?}");
    world.wait_gone(&id).await?;
    workspace_is_empty(&world, point).await
}

/// No process and no workspace without a record, in the end.
async fn workspace_is_empty(world: &World, point: &str) -> Result<()> {
    let dir = world.server.dir.join("workspaces");
    wait::until(&format!("{point}: no workspace left"), LONG, || async {
        let left = std::fs::read_dir(&dir).map(Iterator::count).unwrap_or(0);
        (left == 0 && shims(&world.server.dir).is_empty()).then_some(())
    })
    .await
}

macro_rules! crash_tests {
    ($($name:ident: $list:ident[$index:literal];)*) => { $(
        mod $name {
            use super::*;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() -> Result<()> { crash_tests!(@run $list, On::Sqlite, $index) }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() -> Result<()> { crash_tests!(@run $list, On::Postgres, $index) }
        }
    )* };
    (@run START, $on:expr, $index:literal) => { start_is_survived($on, START[$index]).await };
    (@run STOP, $on:expr, $index:literal) => { stop_is_survived($on, STOP[$index]).await };
}

crash_tests! {
    submit_after_commit: START[0];
    stage_committed: START[1];
    stage_prepared: START[2];
    launch_committed: START[3];
    launch_prepared: START[4];
    launch_spawned: START[5];
    launch_sent: START[6];
    launch_noted: START[7];
    observe_asked: START[8];
    settle_committed: START[9];
    settle_cleaned: START[10];
    delete_after_commit: STOP[0];
    stop_committed: STOP[1];
    stop_sent: STOP[2];
    settle_of_a_deleted_one: STOP[3];
    settle_ended: STOP[4];
}

/// The points of the shim: the supervisor itself is killed.
async fn shim_is_survived(point: &str, wanted: &[&str]) -> Result<()> {
    let mut world = World::plain().await?;
    let ran = world.server.dir.join("ran");
    let template = world.shell("job", &format!("echo x >> {}", ran.display())).await?;
    let mark = start_armed(&mut world, point).await?;
    let id = world.execute(&template, json!({})).await?;
    wait::until(&format!("{point} passed"), LONG, || async { mark.exists().then_some(()) }).await?;
    disarm(&mut world);
    world.restart_hard().await?;
    let row = world.wait(&id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    assert!(wanted.contains(&row["info"]["status"].as_str().unwrap_or_default()), "{point}: {row}");
    let times = std::fs::read_to_string(&ran).unwrap_or_default().lines().count();
    assert!(times <= 1, "{point}: it ran {times} times");
    world.wait_gone(&id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_dies_before_it_decided_is_replaced() -> Result<()> {
    shim_is_survived("shim.before_decision", &["SUCCEEDED"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_dies_after_it_decided_is_never_replaced() -> Result<()> {
    shim_is_survived("shim.after_decision", &["FAILED"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_dies_before_the_exit_record_gives_lost() -> Result<()> {
    shim_is_survived("shim.before_exit_record", &["FAILED"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_supervisor_is_noticed_and_its_job_is_stopped() -> Result<()> {
    let world = World::start(On::Sqlite, "[jobs]\nkill_grace = 1\n").await?;
    let script = "(setsid sh -c 'while :; do sleep 1; done' &); echo up; while :; do sleep 1; done";
    let id = world.run("orphan", script).await?;
    world.wait(&id, &["RUNNING"]).await?;
    wait::until("all of its processes", LONG, || async { (tagged(&id).len() >= 3).then_some(()) }).await?;
    let shim = shims(&world.server.dir);
    assert_eq!(shim.len(), 1);
    let pid = rustix::process::Pid::from_raw(shim[0]).context("a pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    let row = world.wait(&id, &["FAILED"]).await?;
    assert!(row["info"]["reason"].as_str().is_some_and(|reason| reason.contains("lost")), "{row}");
    world.wait_gone(&id).await
}

/// Decision 34: twenty jobs, five kills at random moments, every log as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_change_no_log() -> Result<()> {
    let mut world = World::start(On::Sqlite, "[local]\nmax_running = 4\n").await?;
    let script = "i=0; while [ $i -lt 40 ]; do echo \"$NAME line $i\"; i=$((i+1)); sleep 0.01; done";
    let template = world.shell("writer", script).await?;
    let mut ids = Vec::new();
    for number in 0..20 {
        let params = json!({"job_configs": {"params": {"NAME": format!("job{number}")}}});
        ids.push(world.execute(&template, params).await?);
    }
    let seed = u64::from(std::process::id());
    for round in 0..5u64 {
        let pause = (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round * 1_442_695)) % 400;
        tokio::time::sleep(Duration::from_millis(100 + pause)).await;
        world.restart_hard().await?;
    }
    world.api = log_in(&world.server).await?;
    for (number, id) in ids.iter().enumerate() {
        world.wait(id, &["SUCCEEDED"]).await?;
        let whole: String = (0..40).map(|line| format!("job{number} line {line}\n")).collect();
        assert_eq!(String::from_utf8(world.api.log(id, "stdout").await?)?, whole, "job {number}, seed {seed}");
    }
    Ok(())
}
