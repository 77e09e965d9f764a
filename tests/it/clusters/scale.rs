//! Scaling: other counts, named nodes, more groups; of `local`, where nodes are slots, and of managed Spark.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_follow_the_counts_sqlite() -> Result<()> {
    slots_follow_the_counts(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_follow_the_counts_postgres() -> Result<()> {
    slots_follow_the_counts(On::Postgres).await
}

async fn scaled(world: &World, version: &str, id: &str, body: Value) -> Result<Value> {
    let answer = ask(&world.api, version, Method::PUT, &format!("/clusters/{id}"), Some(body)).await?.expect(202)?;
    assert_eq!(answer["cluster"]["status"], "Scaling", "{answer}");
    settles(world, id, "Active").await
}

fn resize(name: &str, count: i64) -> Value {
    json!({"resize_node_groups": [{"name": name, "count": count}]})
}

async fn slots_follow_the_counts(on: On) -> Result<()> {
    let world = World::start(on, "").await?;
    let api = &world.api;
    let id = make(api, local("c", 1)).await?;
    settles(&world, &id, "Active").await?;
    let gate = world.server.dir.join("gate");
    let template = world.shell("gated", &format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display())).await?;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(execute_on(api, &id, &template, json!({})).await?);
    }
    world.wait(&jobs[0], &["RUNNING"]).await?;
    let up = scaled(&world, "v1.1", &id, resize("workers", 3)).await?;
    assert_eq!(nodes(&up), ["c-workers-1", "c-workers-2", "c-workers-3"]);
    for job in &jobs[1..3] {
        world.wait(job, &["RUNNING"]).await?;
    }
    assert_eq!(api.execution(&jobs[3]).await?["info"]["status"], "PENDING", "three slots");
    // Fewer: what runs goes on, and nothing more is started until there is room.
    let down = scaled(&world, "v2", &id, resize("workers", 1)).await?;
    assert_eq!(nodes(&down), ["c-workers-1"]);
    for job in &jobs[..3] {
        assert_eq!(api.execution(job).await?["info"]["status"], "RUNNING");
    }
    assert_eq!(api.execution(&jobs[3]).await?["info"]["status"], "PENDING");
    // More groups, from a template and bare, and another count in one request.
    let new = json!({"name": "ngt", "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0",
                     "node_processes": ["local"], "node_configs": {"local": {"slots": 2}}});
    let made = api.post("/node-group-templates", new).await?;
    let of_template = text(&made["node_group_template"], "id");
    let body = json!({
        "resize_node_groups": [{"name": "workers", "count": 2}],
        "add_node_groups": [group("bare", 1), {"name": "made", "count": 1, "node_group_template_id": of_template}],
    });
    let up = scaled(&world, "v1.1", &id, body).await?;
    assert_eq!(nodes(&up), ["c-bare-1", "c-made-1", "c-workers-1", "c-workers-2"]);
    assert_eq!(up["node_groups"][2]["node_group_template_id"], json!(of_template), "{up}");
    world.wait(&jobs[3], &["RUNNING"]).await?;
    // Named ones go first, by name or by id, and their names are free again.
    let named = |leaving: Value, count: i64| json!({"resize_node_groups": [{"name": "workers", "count": count, "instances": leaving}]});
    let down = scaled(&world, "v2", &id, named(json!(["c-workers-1"]), 1)).await?;
    assert_eq!(nodes(&down), ["c-bare-1", "c-made-1", "c-workers-2"]);
    let up = scaled(&world, "v1.1", &id, resize("workers", 2)).await?;
    assert_eq!(nodes(&up), ["c-bare-1", "c-made-1", "c-workers-1", "c-workers-2"]);
    let workers = up["node_groups"].as_array().into_iter().flatten().find(|group| group["name"] == "workers");
    let ids: Vec<String> = workers
        .into_iter()
        .flat_map(|group| group["instances"].as_array().into_iter().flatten())
        .map(|node| text(node, "id"))
        .collect();
    assert_eq!(ids.len(), 2);
    for (leaving, count, code) in [
        (json!(["c-workers-1", "c-workers-2"]), 1, "INVALID_DATA"),
        (json!(["c-workers-1", "c-workers-1"]), 0, "INVALID_DATA"),
        (json!(["c-workers-1", ids[0]]), 0, "INVALID_REFERENCE"),
        (json!(["c-workers-9"]), 1, "INVALID_REFERENCE"),
        (json!(["c-bare-1"]), 1, "INVALID_REFERENCE"),
        (json!(["c-workers-1"]), 3, "INVALID_DATA"),
    ] {
        let body = named(leaving, count);
        let answer = ask(api, "v2", Method::PUT, &format!("/clusters/{id}"), Some(body.clone())).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error_name"].as_str()),
            (400, Some(code)),
            "{body}: {}",
            answer.text()
        );
    }
    for (body, code, words) in [
        (resize("nobody", 1), "INVALID_REFERENCE", "nobody"),
        (
            json!({"resize_node_groups": [{"name": "bare", "count": 1}, {"name": "bare", "count": 2}]}),
            "INVALID_DATA",
            "bare",
        ),
        (json!({"add_node_groups": [group("bare", 1)]}), "INVALID_REFERENCE", "bare"),
        (json!({"add_node_groups": [group("x", 1), group("x", 1)]}), "INVALID_DATA", "x"),
        (
            json!({"add_node_groups": [{"name": "x", "count": 1, "node_group_template_id": NOBODY}]}),
            "NOT_FOUND",
            NOBODY,
        ),
        (json!({}), "VALIDATION_ERROR", ""),
        (json!({"resize_node_groups": []}), "VALIDATION_ERROR", ""),
        (resize("bare", -1), "VALIDATION_ERROR", "-1"),
        (resize("bare", 10_000), "INVALID_DATA", "1000"),
        (named(json!(["c-workers-1"]), 1), "VALIDATION_ERROR", "instances"),
        (
            json!({"resize_node_groups": [{"name": "workers", "count": 0}, {"name": "bare", "count": 0}, {"name": "made", "count": 0}]}),
            "INVALID_REFERENCE",
            "no slot",
        ),
    ] {
        let (name, told) = refusal(api, Method::PUT, &format!("/clusters/{id}"), Some(body.clone())).await?;
        assert!(name == code && told.contains(words), "{body}: {name} {told}");
    }
    let same = cluster(api, &id).await?;
    assert_eq!(
        (&same["status"], nodes(&same)),
        (&json!("Active"), nodes(&up)),
        "nothing of a refused request was done"
    );
    let down = scaled(&world, "v2", &id, named(json!([ids[0]]), 1)).await?;
    assert!(!down.to_string().contains(&ids[0]) && down.to_string().contains(&ids[1]), "{down}");
    std::fs::write(&gate, "")?;
    for job in &jobs {
        world.wait(job, &["SUCCEEDED"]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_spark_come_and_go() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "[jobs]\nkill_grace = 1\n", true).await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("s", 1, 100)).await?;
    let before = settles(&world, &id, "Active").await?;
    let count = |process: &str| node_processes(&world.server.dir).iter().filter(|line| line.contains(process)).count();
    assert_eq!((count("master.Master"), count("worker.Worker")), (1, 1));
    let up = scaled(&world, "v1.1", &id, resize("workers", 3)).await?;
    assert_eq!(nodes(&up), ["s-master-1", "s-workers-1", "s-workers-2", "s-workers-3"]);
    assert_eq!((count("master.Master"), count("worker.Worker")), (1, 3));
    assert_eq!((&up["info"], &up["status_description"]), (&before["info"], &json!("")), "the master is the same");
    let body =
        json!({"resize_node_groups": [{"name": "workers", "count": 1, "instances": ["s-workers-1", "s-workers-3"]}]});
    let down = scaled(&world, "v2", &id, body).await?;
    assert_eq!(nodes(&down), ["s-master-1", "s-workers-2"]);
    assert_eq!((count("master.Master"), count("worker.Worker")), (1, 1), "Active means that the others are gone");
    let own = folders(&world);
    assert_eq!(own.len(), 1);
    assert_eq!(std::fs::read_dir(&own[0])?.count(), 2, "a folder for each node that is left");
    for (body, words) in [
        (resize("master", 0), "exactly 1 node"),
        (resize("master", 2), "exactly 1 node"),
        (resize("workers", 0), "at least 1 node"),
        (resize("workers", 64), "64"),
    ] {
        let (name, told) = refusal(&world.api, Method::PUT, &format!("/clusters/{id}"), Some(body)).await?;
        assert!(name == "INVALID_REFERENCE" && told.contains(words), "{name} {told}");
    }
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    assert_eq!((node_processes(&world.server.dir), folders(&world)), (vec![], vec![]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_comes_during_a_look_is_kept() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "[jobs]\nkill_grace = 1\n", true).await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("s", 1, 100)).await?;
    settles(&world, &id, "Active").await?;
    // The server looks at the master, which takes its time and then tells of trouble; meanwhile somebody scales.
    let file = |name: &str| world.server.dir.join("stand-in").join(name);
    std::fs::write(file("hide"), "")?;
    std::fs::write(file("hold"), "")?;
    wait::until("a look", LONG, || async { file("held").exists().then_some(()) }).await?;
    let path = format!("/clusters/{id}");
    let answer = ask(&world.api, "v1.1", Method::PUT, &path, Some(resize("workers", 2))).await?.expect(202)?;
    assert_eq!(answer["cluster"]["status"], "Scaling");
    std::fs::remove_file(file("hold"))?;
    // No worker is listed, so the cluster cannot have become as it is wished to be.
    let next = wait::until("the look's end", LONG, || async {
        let seen = cluster(&world.api, &id).await.ok()?;
        (seen["status"] != "Scaling").then_some(seen)
    })
    .await?;
    assert_eq!(next["status"], "Adding Instances", "{next}");
    std::fs::remove_file(file("hide"))?;
    let seen = wait::until("the wish is carried out", LONG, || async {
        let seen = cluster(&world.api, &id).await.ok()?;
        (seen["status"] == "Active" && nodes(&seen).len() == 3).then_some(seen)
    })
    .await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return Err(error.context(cluster(&world.api, &id).await?.to_string())),
    };
    assert_eq!(seen["node_groups"][1]["count"], 2);
    world.api.delete(&path).await?;
    vanishes(&world, &id).await
}
