//! Executions from submit to their end, on both databases: run, watch, log, cancel, delete at every stage.

use anyhow::Result;
use foggara_testkit::{processes::tagged, wait};
use reqwest::Method;
use serde_json::json;

use crate::world::{LONG, On, World};

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> { super::$name(super::On::Sqlite).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> { super::$name(super::On::Postgres).await }
        )* }
    };
}

on_both! {
    a_shell_job_runs_with_arguments_params_and_libraries
    exit_codes_and_signals_are_told
    a_deleted_job_that_hides_is_gone
    delete_at_every_stage
    cancel_at_every_stage
    no_more_jobs_run_than_there_are_slots
    jobs_go_on_while_the_server_is_away
    a_repeated_execute_makes_one_execution
}

async fn a_shell_job_runs_with_arguments_params_and_libraries(on: On) -> Result<()> {
    let world = World::start(on, "").await?;
    let main = world
        .api
        .binary("main.sh", b"#!/bin/sh\necho \"$1|$2|$NAME|$(cat data.txt)|$HOME\"; pwd; echo oops >&2\n")
        .await?;
    let lib = world.api.binary("data.txt", b"from a library").await?;
    let template = world.api.template("args", "Shell", &[&main], &[&lib]).await?;
    let configs = json!({"args": ["one", "two words"], "params": {"NAME": "a value"}});
    let id = world.execute(&template, json!({"job_configs": configs})).await?;
    let row = world.wait(&id, &["SUCCEEDED"]).await?;
    assert_eq!(row["return_code"], "0");
    assert_eq!(row["engine_job_id"], row["oozie_job_id"]);
    assert!(row["start_time"].is_string() && row["end_time"].is_string(), "{row}");
    let out = String::from_utf8(world.api.log(&id, "stdout").await?)?;
    let (line, home) = out.lines().next().unwrap_or_default().rsplit_once('|').unwrap_or_default();
    assert_eq!(line, "one|two words|a value|from a library");
    assert_eq!(out.lines().nth(1), Some(home), "HOME is the working directory");
    assert_eq!(world.api.log(&id, "stderr").await?, b"oops\n");
    assert!(!std::path::Path::new(home).exists(), "the workspace is removed");
    let full = world.api.raw(Method::GET, &format!("/api/v1/executions/{id}"), &[], None).await?.expect(200)?;
    assert!(full["usage"].is_object(), "{full}");
    Ok(())
}

async fn exit_codes_and_signals_are_told(on: On) -> Result<()> {
    let world = World::start(on, "").await?;
    for (name, script, code, reason) in
        [("three", "exit 3", "3", "exit code 3"), ("killed", "kill -9 $$", "137", "killed by signal 9")]
    {
        let id = world.run(name, script).await?;
        let row = world.wait(&id, &["FAILED", "SUCCEEDED", "KILLED"]).await?;
        assert_eq!((&row["info"]["status"], &row["return_code"]), (&json!("FAILED"), &json!(code)), "{row}");
        assert_eq!(row["info"]["reason"], reason);
    }
    Ok(())
}

/// A job that forks twice, leaves its session and ignores SIGTERM.
const HIDER: &str = "#!/bin/sh\ntrap '' TERM\n(setsid sh -c \"trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done\" &)\n\
     echo hidden\nwhile :; do sleep 1; done\n";

async fn a_deleted_job_that_hides_is_gone(on: On) -> Result<()> {
    let world = World::start(on, "[jobs]\nkill_grace = 1\n").await?;
    let id = world.run("hider", HIDER).await?;
    world.wait(&id, &["RUNNING"]).await?;
    wait::until("it has hidden", LONG, || async {
        (world.api.log(&id, "stdout").await.ok()? == b"hidden\n").then_some(())
    })
    .await?;
    wait::until("all of its processes", LONG, || async { (tagged(&id).len() >= 4).then_some(()) }).await?;
    world.api.delete(&format!("/job-executions/{id}")).await?;
    world.wait_unknown(&id).await?;
    world.wait_gone(&id).await?;
    let list = world.api.get("/job-executions").await?;
    assert_eq!(list["job_executions"], json!([]));
    Ok(())
}

async fn delete_at_every_stage(on: On) -> Result<()> {
    let world = World::start(on, "[local]\nmax_running = 1\n[jobs]\nkill_grace = 2\n").await?;
    let template = world.shell("sleeper", "sleep 600").await?;
    let first = world.execute(&template, json!({})).await?;
    world.wait(&first, &["RUNNING"]).await?;
    // PENDING: there is no slot.
    let pending = world.execute(&template, json!({})).await?;
    assert_eq!(world.api.execution(&pending).await?["info"]["status"], "PENDING");
    let why =
        world.api.raw(Method::GET, &format!("/api/v1/executions/{pending}/explain"), &[], None).await?.expect(200)?;
    assert!(why["explanation"].as_str().is_some_and(|text| text.contains("runs 1 of 1, place 1")), "{why}");
    world.api.delete(&format!("/job-executions/{pending}")).await?;
    // TOBEKILLED.
    world.api.get(&format!("/job-executions/{first}/cancel")).await?;
    world.api.delete(&format!("/job-executions/{first}")).await?;
    // Again: it is not there.
    let again = world.api.call(Method::DELETE, &format!("/job-executions/{first}"), None).await?;
    assert_eq!(again.status.as_u16(), 404);
    world.wait_gone(&first).await?;
    // At any moment of a start.
    for delay in 0..12u64 {
        let id = world.execute(&template, json!({})).await?;
        tokio::time::sleep(std::time::Duration::from_millis(delay * 3)).await;
        world.api.delete(&format!("/job-executions/{id}")).await?;
        world.wait_unknown(&id).await?;
        world.wait_gone(&id).await?;
    }
    // Ended.
    let ended = world.run("short", "true").await?;
    world.wait(&ended, &["SUCCEEDED"]).await?;
    world.api.delete(&format!("/job-executions/{ended}")).await?;
    assert!(tagged(&pending).is_empty());
    assert_eq!(world.api.get("/job-executions").await?["job_executions"], json!([]));
    // Nothing refers to the template any more.
    world.api.delete(&format!("/jobs/{template}")).await
}

async fn cancel_at_every_stage(on: On) -> Result<()> {
    let world = World::start(on, "[local]\nmax_running = 1\n[jobs]\nkill_grace = 1\n").await?;
    let template = world.shell("sleeper", "trap '' TERM; while :; do sleep 1; done").await?;
    let running = world.execute(&template, json!({})).await?;
    world.wait(&running, &["RUNNING"]).await?;
    let pending = world.execute(&template, json!({})).await?;
    let before = world.api.get(&format!("/job-executions/{pending}/cancel")).await?;
    assert_eq!(before["job_execution"]["info"]["status"], "PENDING", "the answer shows it as it was");
    world.wait(&pending, &["KILLED"]).await?;
    let before = world.api.get(&format!("/job-executions/{running}/cancel")).await?;
    assert_eq!(before["job_execution"]["info"]["status"], "RUNNING");
    let row = world.wait(&running, &["KILLED"]).await?;
    assert!(row["end_time"].is_string());
    world.wait_gone(&running).await?;
    let again = world.api.get(&format!("/job-executions/{running}/cancel")).await?;
    assert_eq!(again["job_execution"]["info"]["status"], "KILLED", "a cancel of an ended one does nothing");
    // A job that ends well after the stop has succeeded.
    let polite = world.run("polite", "trap 'exit 0' TERM; while :; do sleep 0.05; done").await?;
    world.wait(&polite, &["RUNNING"]).await?;
    world.api.get(&format!("/job-executions/{polite}/cancel")).await?;
    world.wait(&polite, &["SUCCEEDED"]).await?;
    Ok(())
}

async fn no_more_jobs_run_than_there_are_slots(on: On) -> Result<()> {
    let world = World::start(on, "[local]\nmax_running = 2\n").await?;
    let counter = world.server.dir.join("count");
    std::fs::create_dir(&counter)?;
    let script = format!("touch {0}/$$; ls {0} | wc -l; sleep 0.1; rm {0}/$$", counter.display());
    let template = world.shell("counted", &script).await?;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(world.execute(&template, json!({})).await?);
    }
    let mut starts = Vec::new();
    for id in &ids {
        world.wait(id, &["SUCCEEDED"]).await?;
        let together: u32 = String::from_utf8(world.api.log(id, "stdout").await?)?.trim().parse()?;
        assert!(together <= 2, "{together} ran at once");
        let full =
            world.api.raw(Method::GET, &format!("/api/v1/executions/{id}/events"), &[], None).await?.expect(200)?;
        let events = full["events"].as_array().cloned().unwrap_or_default();
        let numbers: Vec<i64> = events.iter().filter_map(|event| event["sequence"].as_i64()).collect();
        assert_eq!(numbers, (1..=i64::try_from(numbers.len())?).collect::<Vec<_>>(), "no hole: {full}");
        let launched = events.iter().find(|event| event["kind"] == "launching").map(|event| event["at"].to_string());
        starts.push(launched.unwrap_or_default());
    }
    // Two slots: the order holds but for neighbours that start side by side.
    let in_order = starts.iter().zip(starts.iter().skip(2)).all(|(earlier, later)| earlier <= later);
    assert!(in_order, "they start in the order of their submit: {starts:?}");
    Ok(())
}

async fn jobs_go_on_while_the_server_is_away(on: On) -> Result<()> {
    let mut world = World::start(on, "[local]\nmax_running = 3\n").await?;
    let gate = world.server.dir.join("gate");
    let script = format!("echo begun; while [ ! -e {} ]; do sleep 0.02; done; echo done", gate.display());
    let lasting = world.run("lasting", &script).await?;
    let over = world.run("over", "echo quick; sleep 0.3; exit 5").await?;
    let doomed = world.run("doomed", "sleep 600").await?;
    for id in [&lasting, &over, &doomed] {
        world.wait(id, &["RUNNING"]).await?;
    }
    world.server.kill();
    wait::until("the job to end without a server", LONG, || async { tagged(&over).is_empty().then_some(()) }).await?;
    world.start_again().await?;
    let row = world.wait(&over, &["FAILED"]).await?;
    assert_eq!(row["return_code"], "5");
    assert_eq!(world.api.execution(&lasting).await?["info"]["status"], "RUNNING");
    std::fs::write(&gate, "")?;
    world.wait(&lasting, &["SUCCEEDED"]).await?;
    assert_eq!(world.api.log(&lasting, "stdout").await?, b"begun\ndone\n");
    world.api.delete(&format!("/job-executions/{doomed}")).await?;
    world.wait_gone(&doomed).await
}

async fn a_repeated_execute_makes_one_execution(on: On) -> Result<()> {
    let mut world = World::start(on, "").await?;
    let template = world.shell("once", "true").await?;
    let cluster = world.api.cluster("local").await?;
    let path = format!("/v1.1/{}/jobs/{template}/execute", world.api.project);
    let send = |api: &foggara_testkit::api::Api, body: serde_json::Value| {
        let (api, path) = (api.clone(), path.clone());
        async move {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k-1")];
            api.raw(Method::POST, &path, &headers, Some(body.to_string().into_bytes())).await
        }
    };
    let body = json!({"cluster_id": cluster});
    let (one, two, three) = tokio::try_join!(
        send(&world.api, body.clone()),
        send(&world.api, body.clone()),
        send(&world.api, body.clone())
    )?;
    let one = one.expect(202)?;
    assert_eq!(one, two.expect(202)?);
    assert_eq!(one, three.expect(202)?);
    world.restart_hard().await?;
    assert_eq!(send(&world.api, body).await?.expect(202)?, one, "also after a crash");
    let other = send(&world.api, json!({"cluster_id": cluster, "is_public": true})).await?;
    assert_eq!(other.status.as_u16(), 409, "{}", other.text());
    let list = world.api.get("/job-executions").await?;
    assert_eq!(list["job_executions"].as_array().map(Vec::len), Some(1));
    // A repeated delete: 404 without a key, 204 with the same one.
    let id = one["job_execution"]["id"].as_str().unwrap_or_default();
    let path = format!("/v1.1/{}/job-executions/{id}", world.api.project);
    for status in [204, 204] {
        world.api.raw(Method::DELETE, &path, &[("Idempotency-Key", "d-1")], None).await?.expect(status)?;
    }
    world.api.raw(Method::DELETE, &path, &[], None).await?.expect(404)?;
    Ok(())
}
