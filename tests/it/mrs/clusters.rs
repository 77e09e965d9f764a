//! Clusters as MRS's clients read them, and their tags.

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::code;
use crate::world::{LONG, World};

#[tokio::test]
async fn clusters_of_sahara_in_the_words_of_mrs() -> Result<()> {
    let world = World::plain().await?;
    let group = json!({"name": "workers", "count": 2, "flavor_id": "2", "node_processes": ["local"]});
    let body = json!({"name": "mine", "plugin_name": "local", "hadoop_version": "1.0", "node_groups": [group]});
    let id = world.api.post("/clusters", body).await?["cluster"]["id"].as_str().context("no id")?.to_owned();
    let path = format!("/cluster_infos/{id}");
    let running = wait::until("running", LONG, || async {
        let mut shown = world.api.get(&path).await.ok()?;
        let cluster = shown["cluster"].take();
        (cluster["clusterState"] == "running").then_some(cluster)
    })
    .await?;
    for (member, value) in [
        ("clusterName", json!("mine")),
        ("totalNodeNum", json!("2")),
        ("safeMode", json!(0)),
        ("clusterVersion", json!("local 1.0")),
        ("isMrsManagerFinish", json!(true)),
    ] {
        assert_eq!(running[member], value, "{member}");
    }
    assert!(running["createAt"].as_str().is_some_and(|text| text.len() == 10 && text.parse::<i64>().is_ok()));
    assert_eq!(
        (&running["nodeGroups"][0]["groupName"], &running["nodeGroups"][0]["nodeNum"]),
        (&json!("workers"), &json!(2))
    );
    for (query, total) in [
        ("", 2),
        ("?clusterName=mine", 1),
        ("?clusterState=running", 2),
        ("?clusterState=existing&pageSize=1&currentPage=2", 2),
        ("?clusterState=failed", 0),
        ("?clusterState=history", 0),
        ("?tags=team*blue", 0),
    ] {
        let found = world.api.get(&format!("/cluster_infos{query}")).await?;
        assert_eq!(found["clusterTotal"], total, "{query}: {found}");
    }
    let hosts = world.api.get(&format!("/clusters/{id}/hosts")).await?;
    assert_eq!(hosts["total"].as_u64(), hosts["hosts"].as_array().map(|hosts| hosts.len() as u64));
    world.api.delete(&format!("/clusters/{id}")).await?;
    wait::until("gone", LONG, || async {
        let answer = world.api.call(Method::GET, &path, None).await.ok()?;
        (answer.status.as_u16() == 400).then(|| assert_eq!(code(&answer).1, "12000003"))
    })
    .await
}

#[tokio::test]
async fn tags_are_kept_and_found() -> Result<()> {
    let world = World::plain().await?;
    let path = format!("/v2/{}/clusters", world.api.project);
    let body = json!({"cluster_name": "tagged", "cluster_version": "MRS 3.1.0", "tags": [{"key": "team", "value": "blue"}],
        "node_root_password": "Pass-word-1", "node_groups": [{"group_name": "master_node_default_group", "node_num": 1},
        {"group_name": "core_node_analysis_group", "node_num": "2", "node_size": "c3.large"}]});
    let made = world.api.raw(Method::POST, &path, &[], Some(body.to_string().into_bytes())).await?.expect(200)?;
    let id = made["cluster_id"].as_str().context("no id")?.to_owned();
    assert_eq!(made, json!({"cluster_id": id}));
    let tags = async || -> Result<Value> { Ok(world.api.get(&format!("/clusters/{id}/tags")).await?["tags"].take()) };
    assert_eq!(tags().await?, json!([{"key": "team", "value": "blue"}]));
    let post = async |path: &str, body: Value| {
        world.api.call(Method::POST, &format!("/clusters/{id}{path}"), Some(body)).await?.expect(204)
    };
    post("/tags", json!({"tag": {"key": "env", "value": "test"}})).await?;
    post("/tags/action", json!({"action": "create", "tags": [{"key": "team", "value": "red"}, {"key": "x"}]})).await?;
    post("/tags/action", json!({"action": "delete", "tags": [{"key": "env"}, {"key": "none"}]})).await?;
    assert_eq!(tags().await?, json!([{"key": "team", "value": "red"}, {"key": "x", "value": ""}]));
    assert_eq!(world.api.get("/cluster_infos?tags=team*red,x").await?["clusters"][0]["clusterId"], id.as_str());
    assert_eq!(world.api.get("/cluster_infos?tags=team*blue").await?["clusterTotal"], 0);
    world.api.delete(&format!("/clusters/{id}/tags/x")).await?;
    let shown = world.api.get(&format!("/cluster_infos/{id}")).await?["cluster"].take();
    assert_eq!((&shown["tags"], &shown["clusterVersion"]), (&json!("team=red"), &json!("MRS 3.1.0")));
    assert_eq!((&shown["masterNodeNum"], &shown["coreNodeNum"]), (&json!("1"), &json!("2")));
    assert!(!shown.to_string().contains("Pass-word-1"));
    // Sahara's form on the same path.
    let body = json!({"name": "plain", "plugin_name": "local", "plugin_version": "1.0"});
    let made = world.api.raw(Method::POST, &path, &[], Some(body.to_string().into_bytes())).await?.expect(202)?;
    assert_eq!(made["cluster"]["name"], "plain");
    // The program's own cluster is not the project's to tag.
    let local = world.api.cluster("local").await?;
    let body = json!({"tag": {"key": "a", "value": "b"}});
    let refused = world.api.call(Method::POST, &format!("/clusters/{local}/tags"), Some(body)).await?;
    assert_eq!(code(&refused), (400, "12000009".to_owned()));
    Ok(())
}
