//! Results of SQL through the real `local` engine. A script stands for the embedded SQL program and speaks its protocol, so that
//! these tests need no other build; what the statements mean is tested where that program is.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Sim, code, v2};
use crate::world::{LONG, On, World};

/// Answers every script with two statements: one with rows, one without.
const ENGINE: &str = r#"#!/usr/bin/env python3
import json, os, sys
request = json.load(open(sys.argv[sys.argv.index("--request") + 1]))
if "fail" in request["script"]:
    sys.exit("the statement is wrong")
folder = request["results"]
with open(os.path.join(folder, "0.jsonl"), "w") as rows:
    rows.write('["1", "one"]\n["2", "two"]\n')
cut = "cut" in request["script"]
statements = [
    {"kind": "SELECT", "columns": ["n", "word"], "rows": 2, "truncated": cut, "file": "0.jsonl", "seconds": 0.1},
    {"kind": "CREATE", "columns": None, "rows": 0, "truncated": False, "file": None, "seconds": 0.1},
]
with open(os.path.join(folder, "answer.json"), "w") as answer:
    json.dump({"total": 2, "statements": statements}, answer)
"#;

/// A server whose `local` runs SQL by the script above; gives the cluster's id too. The folder has to outlive the server.
pub async fn with_sql() -> Result<(World, String, tempfile::TempDir)> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("stand-in");
    std::fs::write(&program, ENGINE)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let mut world = World::start(On::Sqlite, &format!("[sql]\nprogram = \"{}\"\n", program.display())).await?;
    // Statements would go to Spark, where this host has it.
    world.server.set("SPARK_HOME", "/nothing/is/here");
    world.restart_hard().await?;
    let cluster = world.api.cluster("local").await?;
    Ok((world, cluster, dir))
}

async fn ended(world: &World, cluster: &str, body: Value) -> Result<String> {
    let made = v2(world, Method::POST, cluster, "/job-executions", Some(body)).await?.expect(200)?;
    let id = made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned();
    world.wait(&id, &["SUCCEEDED", "FAILED"]).await?;
    Ok(id)
}

#[tokio::test]
async fn rows_of_an_sql_job() -> Result<()> {
    let (world, cluster, _dir) = with_sql().await?;
    let body = |text: &str| {
        json!({"job_name": "s", "job_type": "SparkSql", "arguments": [text],
            "properties": {"foggara.sql.engine": "embedded"}})
    };
    let id = ended(&world, &cluster, body("select 1; create table t (a int)")).await?;
    let path = format!("/job-executions/{id}/sql-result");
    let answer = v2(&world, Method::GET, &cluster, &path, None).await?;
    assert!(!answer.headers.contains_key("x-foggara-truncated"));
    let rows = json!([{"n": "1", "word": "one"}, {"n": "2", "word": "two"}]);
    assert_eq!(answer.expect(200)?, json!({"sql_results": {"0": rows, "1": [{"result": "succeed"}]}}));
    let cut = ended(&world, &cluster, body("select cut")).await?;
    let answer = v2(&world, Method::GET, &cluster, &format!("/job-executions/{cut}/sql-result"), None).await?;
    assert_eq!(answer.headers.get("x-foggara-truncated").and_then(|value| value.to_str().ok()), Some("true"));
    let failed = ended(&world, &cluster, body("fail")).await?;
    let answer = v2(&world, Method::GET, &cluster, &format!("/job-executions/{failed}/sql-result"), None).await?;
    assert_eq!(code(&answer), (500, "0172".to_owned()));
    Ok(())
}

#[tokio::test]
async fn results_that_are_not_there_have_codes() -> Result<()> {
    let sim = Sim::start("").await?;
    let submit = async |word: &str| sim.submit(json!({"job_name": "s", "job_type": word, "arguments": ["x"]})).await;
    let result = async |id: &str| -> Result<(u16, String)> {
        Ok(code(&sim.v2(Method::GET, &format!("/job-executions/{id}/sql-result"), None).await?))
    };
    let hive = submit("HiveSql").await?;
    assert_eq!(result(&hive).await?, (500, "0179".to_owned()));
    let empty = submit("SparkSql").await?;
    sim.wait(&empty, "FINISHED").await?;
    assert_eq!(result(&empty).await?, (500, "0181".to_owned()));
    sim.plays(&json!({"run": "RUNNING"}))?;
    let running = submit("SparkScript").await?;
    sim.wait(&running, "RUNNING").await?;
    assert_eq!(result(&running).await?, (500, "0183".to_owned()));
    // One that waits for ever: its cluster is not Active any more.
    assert_eq!(result("unknown").await?, (404, "0176".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_statement_of_presto() -> Result<()> {
    let (world, cluster, _dir) = with_sql().await?;
    let body = json!({"sql_type": "presto", "sql_content": "select 1", "database": "default"});
    let made = v2(&world, Method::POST, &cluster, "/sql-execution", Some(body)).await?.expect(200)?;
    assert_eq!(
        (&made["status"], &made["statement"], &made["content"]),
        (&json!("QUEUED"), &json!("select 1"), &json!([]))
    );
    assert_eq!(made["id"], made["sql_id"]);
    let path = format!("/sql-execution/{}", made["sql_id"].as_str().context("no id")?);
    let done = wait::until("FINISHED", LONG, || async {
        let shown = v2(&world, Method::GET, &cluster, &path, None).await.ok()?.expect(200).ok()?;
        (shown["status"] == "FINISHED").then_some(shown)
    })
    .await?;
    assert_eq!(done["content"], json!([["1", "one"], ["2", "two"]]));
    // It has ended, and a cancel is no mistake.
    let cancelled = v2(&world, Method::POST, &cluster, &format!("{path}/cancel"), None).await?.expect(200)?;
    assert_eq!(cancelled, json!({"status": "SUCCEED"}));
    let body = json!({"sql_type": "presto", "sql_content": "fail"});
    let made = v2(&world, Method::POST, &cluster, "/sql-execution", Some(body)).await?.expect(200)?;
    let path = format!("/sql-execution/{}", made["id"].as_str().context("no id")?);
    wait::until("FAILED", LONG, || async {
        let shown = v2(&world, Method::GET, &cluster, &path, None).await.ok()?.expect(200).ok()?;
        (shown["status"] == "FAILED" && shown["message"] != "").then_some(())
    })
    .await?;
    for (body, wanted) in [
        (json!({"sql_type": "hive", "sql_content": "x"}), "MRS.0011"),
        (json!({"sql_type": "presto", "sql_content": "a; b"}), "MRS.0011"),
        (json!({"sql_type": "presto", "sql_content": "a", "archive_path": "s3a://b/x"}), "MRS.0011"),
        (json!({"sql_type": "presto", "sql_content": "x".repeat(70_000)}), "0165"),
    ] {
        let answer = v2(&world, Method::POST, &cluster, "/sql-execution", Some(body)).await?;
        assert_eq!((code(&answer), answer.json()["status"].as_str()), ((500, wanted.to_owned()), Some("FAILED")));
    }
    let answer = v2(&world, Method::POST, &cluster, "/sql-execution/unknown/cancel", None).await?;
    assert_eq!((code(&answer).1.as_str(), answer.json()["message"].as_str()), ("0176", Some("Cancel sql error")));
    Ok(())
}
