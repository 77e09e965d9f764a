//! Jobs in every view.

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Sim, code, v2};
use crate::world::LONG;

const TYPES: [(&str, &[&str]); 9] = [
    ("MapReduce", &["/a.jar", "wordcount", "/in", "/out"]),
    ("SparkSubmit", &["--master", "yarn-cluster", "--class", "org.App", "s3a://b/a.jar", "x;y"]),
    ("SparkPython", &["/a.py", "x"]),
    ("HiveScript", &["/a.sql"]),
    ("HiveSql", &["show tables; select '1'"]),
    ("DistCp", &["/a", "/b"]),
    ("SparkScript", &["--hiveconf", "a=b", "/a.sql"]),
    ("SparkSql", &["select 1"]),
    ("Flink", &["run", "-d", "/a.jar"]),
];

#[tokio::test]
async fn every_type_is_taken_and_shown() -> Result<()> {
    let sim = Sim::start("").await?;
    for (word, args) in TYPES {
        let body = json!({"job_name": format!("of-{word}"), "job_type": word, "arguments": args,
            "properties": {"fs.obs.endpoint": "h", "fs.obs.secret.key": "hidden-key"}});
        let id = sim.submit(body).await?;
        // Files are staged only by engines that run something.
        let job = wait::until(word, LONG, || async {
            let job = sim.job(&id).await.ok()?;
            (job["job_result"] != "UNDEFINED").then_some(job)
        })
        .await?;
        let shown = if word == "SparkPython" { "SparkSubmit" } else { word };
        assert_eq!(
            (&job["job_type"], &job["job_state"], &job["job_result"]),
            (&json!(shown), &json!("FINISHED"), &json!("SUCCEEDED")),
            "{job}"
        );
        assert_eq!(job["arguments"], format!("[{}]", args.join(", ")));
        assert_eq!(job["properties"], "{fs.obs.endpoint=h, fs.obs.secret.key=*}");
        assert_eq!(
            (&job["user"], &job["queue"], &job["job_progress"]),
            (&json!("admin"), &json!("default"), &json!(100.0))
        );
        assert!(job["finished_time"].as_i64() >= job["submitted_time"].as_i64(), "{job}");
    }
    Ok(())
}

#[tokio::test]
async fn one_job_in_three_views() -> Result<()> {
    let sim = Sim::start("").await?;
    sim.plays(&json!({"run": "RUNNING"}))?;
    let id = sim.submit(json!({"job_name": "j", "job_type": "MapReduce", "arguments": ["/a.jar", "w"]})).await?;
    let job = sim.wait(&id, "RUNNING").await?;
    assert_eq!((&job["finished_time"], &job["job_result"]), (&json!(0), &json!("UNDEFINED")));
    let exe = sim.world.api.get(&format!("/job-exes/{id}")).await?["job_execution"].take();
    assert_eq!((&exe["job_state"], &exe["job_final_status"], &exe["end_time"]), (&json!(2), &json!(0), &Value::Null));
    assert_eq!((&exe["job_type"], &exe["arguments"], &exe["job_id"]), (&json!(1), &json!("/a.jar w"), &json!("")));
    assert_eq!(exe["create_at"], job["submitted_time"]);
    let row = sim.world.api.execution(&id).await?;
    assert_eq!((&row["info"]["status"], &row["job_id"]), (&json!("RUNNING"), &Value::Null));
    // Killed twice: the second time it has ended.
    for _ in 0..2 {
        let killed = sim.v2(Method::POST, &format!("/job-executions/{id}/kill"), None).await?.expect(202)?;
        assert_eq!(killed, json!({"result": "succeeded"}));
        sim.wait(&id, "KILLED").await?;
    }
    let exe = sim.world.api.get(&format!("/job-exes/{id}")).await?["job_execution"].take();
    assert_eq!((&exe["job_state"], &exe["job_final_status"]), (&json!(-1), &json!(3)));
    assert!(exe["end_time"].is_i64() && exe["spend_time"].is_f64(), "{exe}");
    // And one that fails.
    sim.plays(&json!({"run": "FAILED"}))?;
    let failed = sim.submit(json!({"job_name": "f", "job_type": "SparkSql", "arguments": ["x"]})).await?;
    assert_eq!(sim.wait(&failed, "FAILED").await?["job_result"], "FAILED");
    let exe = sim.world.api.get(&format!("/job-exes/{failed}")).await?["job_execution"].take();
    assert_eq!((&exe["job_state"], &exe["job_final_status"]), (&json!(4), &json!(1)));
    Ok(())
}

#[tokio::test]
async fn submit_job_answers_in_both_envelopes() -> Result<()> {
    let sim = Sim::start("").await?;
    let body = json!({"job_name": "one", "cluster_id": sim.cluster, "job_type": "1", "jar_path": "/a.jar",
        "arguments": "wordcount @password=very-secret", "input": "/in", "output": "", "is_public": "false", "unknown": 1});
    let made = sim.world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?.expect(200)?;
    assert_eq!(made["job_execution"]["id"], made["id"]);
    for (member, value) in [
        ("job_id", json!("")),
        ("input_id", Value::Null),
        ("info", Value::Null),
        ("job_configs", Value::Null),
        ("arguments", json!("wordcount @password=*")),
        ("jar_path", json!("/a.jar")),
        ("job_type", json!(1)),
        ("job_final_status", json!(0)),
        ("group_id", made["id"].clone()),
        ("templated", json!(false)),
        ("step_num", json!(0)),
    ] {
        assert_eq!(made[member], value, "{member}: {made}");
    }
    assert!(made["start_time"].as_i64().is_some_and(|time| (1_000_000_000..10_000_000_000).contains(&time)));
    let id = made["id"].as_str().context("no id")?;
    assert_eq!(sim.wait(id, "FINISHED").await?["arguments"], "[/a.jar, wordcount, @password=*, /in]");
    Ok(())
}

#[tokio::test]
async fn lists_are_filtered_and_paged() -> Result<()> {
    let sim = Sim::start("").await?;
    let mut ids = Vec::new();
    for number in 0..5 {
        let word = if number % 2 == 0 { "HiveSql" } else { "SparkSql" };
        let body = json!({"job_name": format!("n{number}"), "job_type": word, "arguments": ["x"]});
        let id = sim.submit(body).await?;
        sim.wait(&id, "FINISHED").await?;
        ids.push(id);
    }
    ids.reverse();
    let of = |value: &Value, list: &str, id: &str| -> Vec<String> {
        value[list].as_array().into_iter().flatten().filter_map(|job| job[id].as_str().map(str::to_owned)).collect()
    };
    for (query, total, wanted) in [
        ("", 5, ids.clone()),
        ("?limit=2", 5, ids[..2].to_vec()),
        ("?limit=2&offset=3", 5, ids[2..4].to_vec()),
        ("?sort_by=asc&limit=1", 5, ids[4..].to_vec()),
        ("?job_name=n3", 1, ids[1..2].to_vec()),
        ("?job_type=SparkSql", 2, vec![ids[1].clone(), ids[3].clone()]),
        ("?job_state=FINISHED&job_result=SUCCEEDED&limit=1", 5, ids[..1].to_vec()),
        ("?job_state=KILLED", 0, vec![]),
        ("?job_state=NEW_SAVING", 0, vec![]),
        ("?user=admin&limit=1", 5, ids[..1].to_vec()),
        ("?user=nobody", 0, vec![]),
        ("?queue=other", 0, vec![]),
        ("?submitted_time_end=1000", 0, vec![]),
        ("?submitted_time_begin=1000&limit=1", 5, ids[..1].to_vec()),
    ] {
        let found = sim.v2(Method::GET, &format!("/job-executions{query}"), None).await?.expect(200)?;
        assert_eq!(
            (found["total_record"].as_i64(), of(&found, "job_list", "job_id")),
            (Some(total), wanted),
            "{query}"
        );
    }
    let found = sim.v2(Method::GET, &format!("/job-executions?job_id={}", ids[2]), None).await?.expect(200)?;
    assert_eq!(of(&found, "job_list", "job_id"), ids[2..3]);
    for (query, total, wanted) in [
        ("", 5, ids.clone()),
        ("&page_size=2&current_page=2", 5, ids[2..4].to_vec()),
        ("&job_name=n0", 1, ids[4..].to_vec()),
        ("&state=3&page_size=1", 5, ids[..1].to_vec()),
        ("&state=-1", 0, vec![]),
    ] {
        let found = sim.world.api.get(&format!("/job-exes?cluster_id={}{query}", sim.cluster)).await?;
        assert_eq!(
            (found["totalRecord"].as_i64(), of(&found, "job_executions", "id")),
            (Some(total), wanted),
            "{query}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn batch_delete_is_all_or_nothing() -> Result<()> {
    let sim = Sim::start("").await?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(sim.submit(json!({"job_name": "d", "job_type": "HiveSql", "arguments": ["x"]})).await?);
    }
    let protect = json!({"is_protected": true});
    sim.world.api.call(Method::PATCH, &format!("/job-executions/{}", ids[1]), Some(protect)).await?.expect(202)?;
    let delete = async |ids: &[String]| {
        sim.v2(Method::POST, "/job-executions/batch-delete", Some(json!({"job_id_list": ids}))).await
    };
    assert_eq!(code(&delete(&ids).await?), (500, "0161".to_owned()));
    for id in &ids {
        sim.job(id).await.context("nothing was deleted")?;
    }
    let answer = delete(&[ids[0].clone(), "unknown".to_owned(), ids[2].clone()]).await?;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    for id in [&ids[0], &ids[2]] {
        let gone = sim.v2(Method::GET, &format!("/job-executions/{id}"), None).await?;
        assert_eq!(code(&gone), (404, "0176".to_owned()));
        assert_eq!(sim.world.api.call(Method::GET, &format!("/job-exes/{id}"), None).await?.status.as_u16(), 404);
    }
    sim.job(&ids[1]).await?;
    Ok(())
}

#[tokio::test]
async fn a_job_is_only_found_below_its_cluster() -> Result<()> {
    let sim = Sim::start("").await?;
    let id = sim.submit(json!({"job_name": "j", "job_type": "HiveSql", "arguments": ["x"]})).await?;
    let local = sim.world.api.cluster("local").await?;
    let path = format!("/job-executions/{id}");
    assert_eq!(code(&v2(&sim.world, Method::GET, &local, &path, None).await?), (404, "0176".to_owned()));
    assert_eq!(code(&v2(&sim.world, Method::GET, "nowhere", &path, None).await?), (400, "12000003".to_owned()));
    // Deleting it by another cluster's path does nothing.
    let body = json!({"job_id_list": [id]});
    v2(&sim.world, Method::POST, &local, "/job-executions/batch-delete", Some(body)).await?.expect(204)?;
    sim.job(&id).await.map(|_| ())
}

#[tokio::test]
async fn a_repeated_submit_is_one_job() -> Result<()> {
    let sim = Sim::start("").await?;
    let path = format!("/v2/{}/clusters/{}/job-executions", sim.world.api.project, sim.cluster);
    let body = json!({"job_name": "once", "job_type": "HiveSql", "arguments": ["x"]}).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let headers = [("Idempotency-Key", "k1")];
        answers.push(
            sim.world.api.raw(Method::POST, &path, &headers, Some(body.clone().into_bytes())).await?.expect(200)?,
        );
    }
    assert_eq!(answers[0], answers[1]);
    let other = body.replace("once", "twice").into_bytes();
    let answer = sim.world.api.raw(Method::POST, &path, &[("Idempotency-Key", "k1")], Some(other)).await?;
    assert_eq!(code(&answer).0, 409);
    let found = sim.v2(Method::GET, "/job-executions", None).await?.expect(200)?;
    assert_eq!(found["total_record"], 1);
    Ok(())
}

/// A marked secret is found in no answer, no event, no log and not in the database.
#[tokio::test]
async fn a_secret_word_is_found_nowhere() -> Result<()> {
    let mut sim = Sim::start("").await?;
    let secret = "Zx81vQ-never-seen";
    let word = format!("@password={secret}");
    let mut texts = Vec::new();
    let v2_body = json!({"job_name": "v2", "job_type": "SparkSubmit", "arguments": ["--class", "A", "/a.jar", word],
        "properties": {"fs.obs.secret.key": format!("{secret}-2")}});
    let id = sim.submit(v2_body).await?;
    let v1_body = json!({"job_name": "v1", "cluster_id": sim.cluster, "job_type": 2, "jar_path": "/a.jar",
        "arguments": format!("org.App {word}")});
    let made = sim.world.api.call(Method::POST, "/jobs/submit-job", Some(v1_body)).await?;
    texts.push(made.text());
    let other = made.expect(200)?["id"].as_str().context("no id")?.to_owned();
    // A refused one must not repeat it either.
    for bad in [format!("{word}|x"), format!("{word}{}", "y".repeat(5000))] {
        let body = json!({"job_name": "bad", "job_type": "MapReduce", "arguments": ["/a.jar", bad]});
        let refused = sim.v2(Method::POST, "/job-executions", Some(body)).await?;
        assert_eq!(refused.status.as_u16(), 400);
        texts.push(refused.text());
    }
    for id in [&id, &other] {
        sim.wait(id, "FINISHED").await?;
        texts.push(sim.v2(Method::GET, &format!("/job-executions/{id}"), None).await?.text());
        for path in [format!("/job-exes/{id}"), format!("/job-executions/{id}")] {
            texts.push(sim.world.api.call(Method::GET, &path, None).await?.text());
        }
        for path in ["", "/events", "/explain"] {
            let path = format!("/api/v1/executions/{id}{path}");
            texts.push(sim.world.api.raw(Method::GET, &path, &[], None).await?.text());
        }
    }
    assert!(texts.iter().any(|text| text.contains("@password=*")), "the mask is shown");
    sim.world.server.kill();
    texts.push(sim.world.server.log());
    let mut files = 0;
    for entry in std::fs::read_dir(&sim.world.server.dir)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("foggara.db") {
            texts.push(String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned());
            files += 1;
        }
    }
    assert!(files >= 1, "the database was read");
    for text in texts {
        assert!(!text.contains(secret), "{:.300}", text);
    }
    Ok(())
}
