//! `DELETE /clusters/{id}` (decision 13): waiting jobs end at once, running ones are stopped for certain, and nothing is left.

use anyhow::Result;
use foggara_testkit::processes::tagged;
use reqwest::Method;
use serde_json::json;

use super::*;
use crate::world::member_of;

/// A job that leaves its session and ignores SIGTERM.
const STUBBORN: &str =
    "trap '' TERM; (setsid sh -c \"trap '' TERM; while :; do sleep 1; done\" &); echo up; while :; do sleep 1; done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_jobs_end_and_then_it_is_gone_sqlite() -> Result<()> {
    its_jobs_end_and_then_it_is_gone(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_jobs_end_and_then_it_is_gone_postgres() -> Result<()> {
    its_jobs_end_and_then_it_is_gone(On::Postgres).await
}

async fn its_jobs_end_and_then_it_is_gone(on: On) -> Result<()> {
    let world = World::start(on, "[jobs]\nkill_grace = 5\n").await?;
    let api = &world.api;
    let id = make(api, local("doomed", 1)).await?;
    let path = format!("/clusters/{id}");
    let template = world.shell("stubborn", STUBBORN).await?;
    let running = execute_on(api, &id, &template, json!({})).await?;
    world.wait(&running, &["RUNNING"]).await?;
    wait::until("all of its processes", LONG, || async { (tagged(&running).len() >= 3).then_some(()) }).await?;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(execute_on(api, &id, &template, json!({})).await?);
    }
    api.delete(&path).await?;
    // At once, without any wait.
    for job in &waiting {
        let row = api.execution(job).await?;
        assert_eq!((&row["info"]["status"], &row["cluster_id"]), (&json!("KILLED"), &json!(id)), "{row}");
        assert!(row["end_time"].is_string(), "{row}");
    }
    // The running one does not listen to SIGTERM, so for as long as the grace lasts the cluster is on its way out.
    let going = cluster(api, &id).await?;
    assert_eq!(going["status"], "Deleting");
    let execute = json!({"cluster_id": id});
    let (name, words) = refusal(api, Method::POST, &format!("/jobs/{template}/execute"), Some(execute)).await?;
    assert!(name == "INVALID_REFERENCE" && words.contains("being deleted"), "{name} {words}");
    let scale = json!({"resize_node_groups": [{"name": "workers", "count": 2}]});
    let (name, _) = refusal(api, Method::PUT, &path, Some(scale)).await?;
    assert_eq!(name, "INVALID_REFERENCE");
    let verify = json!({"verification": {"status": "START"}});
    let (name, _) = refusal(api, Method::PATCH, &path, Some(verify)).await?;
    assert_eq!(name, "CANNOT_VERIFY");
    let (name, _) = refusal(api, Method::POST, "/clusters", Some(local("doomed", 1))).await?;
    assert_eq!(name, "NAME_ALREADY_EXISTS", "not before it is gone");
    // A new name does not save it, and a second wish changes nothing.
    ask(api, "v1.1", Method::PATCH, &path, Some(json!({"description": "last words"}))).await?.expect(202)?;
    api.delete(&path).await?;
    vanishes(&world, &id).await?;
    assert!(tagged(&running).is_empty(), "gone means that no job of it runs");
    let row = world.wait(&running, &["KILLED"]).await?;
    assert_eq!(row["cluster_id"], json!(id));
    world.wait_gone(&running).await?;
    assert_eq!(folders(&world), Vec::<PathBuf>::new());
    let (name, _) =
        refusal(api, Method::POST, &format!("/jobs/{template}/execute"), Some(json!({"cluster_id": id}))).await?;
    assert_eq!(name, "INVALID_REFERENCE");
    let again = make(api, local("doomed", 1)).await?;
    settles(&world, &again, "Active").await?;
    // The log of a job outlives the cluster.
    assert_eq!(api.log(&running, "stdout").await?, b"up\n");
    api.delete(&format!("/job-executions/{running}")).await?;
    world.wait_unknown(&running).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_stage_of_its_way() -> Result<()> {
    let mut world = with_stand_in(On::Sqlite, "[jobs]\nkill_grace = 1\n", false).await?;
    let _sweep = Sweep::of(&world);
    for (number, wanted) in ["Validating", "Waiting", "Waiting", "Active"].into_iter().enumerate() {
        let id = make(&world.api, spark(&format!("c{number}"), 1, 100)).await?;
        if wanted == "Active" {
            open_gate(&world)?;
        }
        if wanted != "Validating" {
            settles(&world, &id, wanted).await?;
            wait::until("a node runs", LONG, || async {
                (!node_processes(&world.server.dir).is_empty()).then_some(())
            })
            .await?;
        }
        world.api.delete(&format!("/clusters/{id}")).await?;
        if number == 2 {
            world.restart_hard().await?;
        }
        vanishes(&world, &id).await?;
        assert_eq!((node_processes(&world.server.dir), folders(&world)), (vec![], vec![]), "{number}: {wanted}");
    }
    Ok(())
}

#[tokio::test]
async fn the_clusters_of_the_program_stay() -> Result<()> {
    let world = World::start(On::Sqlite, "[sim]\nenabled = true\n").await?;
    let member = member_of(&world.server, "other", "member").await?;
    for name in ["local", "sim", "sim-idle"] {
        let id = world.api.cluster(name).await?;
        let path = format!("/clusters/{id}");
        let shown = world.api.get(&path).await?;
        assert_eq!(
            (&shown["cluster"]["tenant_id"], &shown["cluster"]["is_protected"]),
            (&json!("0".repeat(32)), &json!(true))
        );
        for session in [&member, &world.api] {
            for (method, body, code) in [
                (Method::DELETE, None, "DELETION_FAILED"),
                (Method::PATCH, Some(json!({"is_protected": false, "name": "mine"})), "UPDATE_FAILED"),
                (Method::PUT, Some(json!({"add_node_groups": [group("g", 1)]})), "UPDATE_FAILED"),
            ] {
                let (told, words) = refusal(session, method.clone(), &path, body).await?;
                assert!(
                    told == code && words.contains("wasn't created in this tenant"),
                    "{name} {method}: {told} {words}"
                );
            }
            let answer = ask(session, "v2", Method::DELETE, &path, Some(json!({"force": true}))).await?;
            assert_eq!(answer.json()["error_name"], "DELETION_FAILED", "{}", answer.text());
        }
        assert_eq!(world.api.get(&path).await?["cluster"]["name"], name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_of_v2_tells_a_name() -> Result<()> {
    let world = World::plain().await?;
    for (number, body, status) in [
        (1, Some(json!({"force": true})), 200),
        (2, Some(json!({"force": false})), 204),
        (3, Some(json!({})), 204),
        (4, None, 204),
    ] {
        let name = format!("c{number}");
        let id = make(&world.api, local(&name, 1)).await?;
        let path = format!("/clusters/{id}");
        let wrong = ask(&world.api, "v2", Method::DELETE, &path, Some(json!({"force": "yes"}))).await?;
        assert_eq!(wrong.json()["error_name"], "VALIDATION_ERROR", "{}", wrong.text());
        let answer = ask(&world.api, "v2", Method::DELETE, &path, body).await?;
        assert_eq!(answer.status.as_u16(), status, "{number}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.json(), json!({"stack_name": name}));
        } else {
            assert!(answer.bytes.is_empty());
        }
        vanishes(&world, &id).await?;
    }
    ask(&world.api, "v2", Method::DELETE, &format!("/clusters/{NOBODY}"), None).await?.expect(404)?;
    Ok(())
}
