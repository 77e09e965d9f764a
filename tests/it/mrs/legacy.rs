//! What MRS does differently on the routes that it shares with Sahara (mrs-v1.1.md section 5, spec/README.md conflicts 5 to 19).

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Sim, code};
use crate::world::World;

#[tokio::test]
async fn data_sources_and_binaries() -> Result<()> {
    let world = World::plain().await?;
    for (name, kind, url) in [
        ("n".repeat(80), "obs", "s3a://bucket/path"),
        ("_obs-2".to_owned(), "obs", "obs://bucket/path"),
        ("-hdfs".to_owned(), "hdfs", "/user/in"),
    ] {
        let body = json!({"name": name, "type": kind, "url": url, "description": "d".repeat(65_535),
            "is_public": "false", "is_protected": "false"});
        let made = world.api.post("/data-sources", body).await?;
        assert_eq!((&made["data_source"]["is_public"], &made["data_source"]["url"]), (&json!(false), &json!(url)));
        let id = made["data_source"]["id"].as_str().context("no id")?.to_owned();
        let change = json!({"name": format!("x{}", name.len()), "type": kind, "url": url});
        world.api.call(Method::PUT, &format!("/data-sources/{id}"), Some(change)).await?.expect(202)?;
    }
    for (name, url) in [("a", "/user/a.jar"), ("b", "s3a://b/a.jar"), ("c", "obs://b/a.jar"), ("d", "hdfs:///a.jar")] {
        let body = json!({"name": name, "url": url, "description": "", "is_public": "true", "is_protected": "false"});
        let made = world.api.post("/job-binaries", body).await?;
        assert_eq!(made["job_binary"]["is_public"], true);
    }
    Ok(())
}

#[tokio::test]
async fn job_objects_of_every_type() -> Result<()> {
    let world = World::plain().await?;
    let body = json!({"name": "a.jar", "url": "/a.jar"});
    let binary = world.api.post("/job-binaries", body).await?["job_binary"]["id"].clone();
    for (kind, mains, libs) in [
        ("MapReduce", json!([]), json!([binary])),
        ("Spark", json!([]), json!([binary])),
        ("Hive", json!([binary]), json!([])),
        ("hql", json!([]), json!([])),
        ("DistCp", json!([]), json!([])),
        ("SparkScript", json!([binary]), json!([])),
        ("SparkSql", json!([]), json!([])),
    ] {
        let body = json!({"name": format!("j-{kind}"), "type": kind, "mains": mains, "libs": libs, "interface": [],
            "description": "d", "is_public": "false", "is_protected": "false"});
        let made = world.api.post("/jobs", body).await?;
        let id = made["job"]["id"].as_str().context("no id")?.to_owned();
        // These four may be sent and change nothing.
        let change = json!({"name": format!("k-{kind}"), "mains": [], "libs": [], "type": "Pig", "interface": []});
        let changed = world.api.call(Method::PATCH, &format!("/jobs/{id}"), Some(change)).await?.expect(202)?;
        assert_eq!((&changed["job"]["type"], &changed["job"]["name"]), (&json!(kind), &json!(format!("k-{kind}"))));
        assert_eq!(changed["job"]["mains"].as_array().map(Vec::len), mains.as_array().map(Vec::len), "{kind}");
    }
    for (kind, mains, libs) in [("MapReduce", json!([binary]), json!([])), ("SparkScript", json!([]), json!([]))] {
        let body = json!({"name": "wrong", "type": kind, "mains": mains, "libs": libs});
        let answer = world.api.call(Method::POST, "/jobs", Some(body)).await?;
        assert_eq!(answer.status.as_u16(), 400, "{kind}");
        assert_eq!(answer.json()["error_msg"], answer.json()["error_message"]);
    }
    Ok(())
}

#[tokio::test]
async fn executions_of_mrs_among_those_of_sahara() -> Result<()> {
    let sim = Sim::start("").await?;
    let api = &sim.world.api;
    let id = sim.submit(json!({"job_name": "one", "job_type": "HiveSql", "arguments": ["x"]})).await?;
    sim.wait(&id, "FINISHED").await?;
    let row = api.execution(&id).await?;
    for (member, value) in [
        ("is_public", json!(false)),
        ("input_id", Value::Null),
        ("output_id", Value::Null),
        ("engine_job_id", row["oozie_job_id"].clone()),
    ] {
        assert_eq!(row[member], value, "{member}");
    }
    assert!(row["info"]["status"] == "SUCCEEDED" && row["job_configs"].is_object(), "{row}");
    // Markers are exclusive and a list over all pages ends with an empty one.
    let page = api.get(&format!("/job-executions?limit=1073741822&marker={id}")).await?;
    assert_eq!(page["job_executions"], json!([]));
    // The template's name of an execution is its job's.
    let found = api.get("/job-executions?job.name=one").await?;
    assert_eq!(found["job_executions"].as_array().map(Vec::len), Some(1), "{found}");
    // Cancel by Sahara's route, delete by it, and gone in each view.
    api.get(&format!("/job-executions/{id}/cancel")).await?;
    api.delete(&format!("/job-executions/{id}")).await?;
    assert_eq!(api.call(Method::DELETE, &format!("/job-executions/{id}"), None).await?.status.as_u16(), 404);
    let answer = api.call(Method::GET, &format!("/job-exes/{id}"), None).await?;
    assert_eq!(code(&answer), (404, "12000009".to_owned()));
    Ok(())
}
