//! Wrong requests to MRS's surface: each rule broken once, with the documented code.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    mrs::{Sim, code, v2},
    world::{On, World, member_of},
};

fn with(base: &Value, changes: Value) -> Value {
    let mut body = base.clone();
    for (member, value) in changes.as_object().into_iter().flatten() {
        body[member] = value.clone();
    }
    body
}

#[tokio::test]
async fn rules_of_submit_job() -> Result<()> {
    let sim = Sim::start("").await?;
    let good = json!({"job_name": "n", "cluster_id": sim.cluster, "job_type": 1, "jar_path": "/a.jar"});
    let idle = sim.world.api.cluster("sim-idle").await?;
    for (changes, wanted) in [
        (json!({"job_name": ""}), "12000009"),
        (json!({"job_name": "a.b"}), "12000009"),
        (json!({"job_name": "n".repeat(65)}), "12000009"),
        (json!({"job_name": 5}), "12000009"),
        (json!({"cluster_id": ""}), "12000009"),
        (json!({"cluster_id": "unknown"}), "12000003"),
        (json!({"cluster_id": idle}), "12000062"),
        (json!({"job_type": null}), "12000009"),
        (json!({"job_type": 8}), "12000009"),
        (json!({"job_type": "two"}), "12000009"),
        (json!({"jar_path": " "}), "12000081"),
        (json!({"jar_path": "", "job_type": 2}), "12000081"),
        (json!({"jar_path": "a.jar"}), "12000009"),
        (json!({"jar_path": "/a.sh"}), "12000009"),
        (json!({"jar_path": "/a;b.jar"}), "12000009"),
        (json!({"jar_path": format!("/{}.jar", "a".repeat(1020))}), "12000009"),
        (json!({"job_type": 3}), "12000114"),
        (json!({"job_type": 3, "hive_script_path": "/a.hql"}), "12000009"),
        (json!({"job_type": 6, "jar_path": ""}), "12000114"),
        (json!({"job_type": 6, "jar_path": "/a.jar"}), "12000009"),
        (json!({"input": "relative"}), "12000009"),
        (json!({"output": "/a$b"}), "12000009"),
        (json!({"job_log": format!("/{}", "l".repeat(1023))}), "12000009"),
        (json!({"arguments": "a | b"}), "12000009"),
        (json!({"arguments": "a".repeat(2048)}), "12000009"),
        (json!({"job_type": 5}), "12000009"),
        (json!({"job_type": 5, "file_action": "import", "input": "/x", "output": "/y"}), "12000009"),
        (json!({"job_type": 5, "file_action": "export", "input": "s3a://b/x", "output": "/y"}), "12000009"),
        (json!({"job_type": 7}), "12000009"),
        (json!({"job_type": 7, "hql": "g!!!"}), "12000009"),
        (json!({"job_type": 7, "hql": "1c2hvdyB0YWLsZXM7"}), "12000009"),
    ] {
        let body = with(&good, changes.clone());
        let answer = sim.world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?;
        assert_eq!(code(&answer), (400, wanted.to_owned()), "{changes:.80}: {}", answer.text());
    }
    sim.world.api.call(Method::POST, "/jobs/submit-job", Some(good)).await?.expect(200)?;
    let found = sim.world.api.get(&format!("/job-exes?cluster_id={}", sim.cluster)).await?;
    assert_eq!(found["totalRecord"], 1, "only the good one was stored");
    Ok(())
}

#[tokio::test]
async fn rules_of_v2() -> Result<()> {
    let sim = Sim::start("").await?;
    let good = json!({"job_name": "n", "job_type": "MapReduce", "arguments": ["/a.jar", "w"]});
    for (changes, wanted) in [
        (json!({"job_name": "a b"}), "12000009"),
        (json!({"job_type": "Pig"}), "12000009"),
        (json!({"job_type": "Presto"}), "12000009"),
        (json!({"job_type": null}), "12000009"),
        (json!({"arguments": "text"}), "12000009"),
        (json!({"arguments": [1]}), "12000009"),
        (json!({"arguments": []}), "12000009"),
        (json!({"arguments": ["/a.jar", "a;b"]}), "12000009"),
        (json!({"arguments": ["/a.jar", "\\"]}), "12000009"),
        (json!({"arguments": ["a".repeat(4097)]}), "12000009"),
        (json!({"job_type": "HiveSql", "arguments": ["a".repeat(4097)]}), "12000009"),
        (json!({"job_type": "SparkSubmit", "arguments": ["--master", "spark://h:1", "/a.jar"]}), "12000009"),
        (json!({"properties": {"k": "a`b"}}), "12000009"),
        (json!({"properties": {"k": "a".repeat(2049)}}), "12000009"),
        (json!({"properties": ["k"]}), "12000009"),
        (json!({"properties": {"k": {}}}), "12000009"),
    ] {
        let answer = sim.v2(Method::POST, "/job-executions", Some(with(&good, changes.clone()))).await?;
        assert_eq!(code(&answer), (400, wanted.to_owned()), "{changes:.80}");
        let inner = &answer.json()["job_submit_result"];
        assert_eq!(
            (&inner["error_code"], &inner["error_msg"]),
            (&answer.json()["error_code"], &answer.json()["error_msg"])
        );
    }
    let idle = sim.world.api.cluster("sim-idle").await?;
    let local = sim.world.api.cluster("local").await?;
    let flink = with(&good, json!({"job_type": "Flink", "arguments": ["run", "/a.jar"]}));
    for (cluster, body, status, wanted) in [
        ("unknown", &good, 400, "12000003"),
        (idle.as_str(), &good, 500, "0056"),
        (local.as_str(), &flink, 500, "0169"),
    ] {
        let answer = v2(&sim.world, Method::POST, cluster, "/job-executions", Some(body.clone())).await?;
        assert_eq!(code(&answer), (status, wanted.to_owned()), "{}", answer.text());
    }
    for query in [
        "limit=0",
        "limit=x",
        "offset=0",
        "sort_by=name",
        "job_state=running",
        "job_result=x",
        "job_type=Pig",
        "submitted_time_begin=now",
    ] {
        let answer = sim.v2(Method::GET, &format!("/job-executions?{query}"), None).await?;
        assert_eq!(code(&answer), (400, "12000009".to_owned()), "{query}");
    }
    for body in [json!({}), json!({"job_id_list": []}), json!({"job_id_list": [""]})] {
        let answer = sim.v2(Method::POST, "/job-executions/batch-delete", Some(body)).await?;
        assert_eq!(code(&answer), (500, "0178".to_owned()));
    }
    for path in ["/job-executions/none/kill", "/job-executions/none/sql-result"] {
        let method = if path.ends_with("kill") { Method::POST } else { Method::GET };
        assert_eq!(code(&sim.v2(method, path, None).await?), (404, "0176".to_owned()));
    }
    assert_eq!(
        code(&v2(&sim.world, Method::GET, "none", "/job-executions", None).await?),
        (400, "12000003".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn a_host_without_engines_says_so() -> Result<()> {
    let mut world = World::plain().await?;
    world.server.set("PATH", "/nowhere");
    world.server.set("SPARK_HOME", "");
    world.server.set("JAVA_HOME", "");
    // The same place that the test of the host's types takes: nothing is installed there.
    world.restart_hard().await?;
    let local = world.api.cluster("local").await?;
    for (word, args, wanted) in
        [("SparkSubmit", vec!["/a.py"], "0057"), ("HiveSql", vec!["x"], "0168"), ("MapReduce", vec!["/a.jar"], "0173")]
    {
        let body = json!({"job_name": "n", "job_type": word, "arguments": args});
        let answer = v2(&world, Method::POST, &local, "/job-executions", Some(body)).await?;
        assert_eq!(code(&answer), (500, wanted.to_owned()));
        assert!(answer.text().contains("foggara engines install spark"), "{}", answer.text());
    }
    for (number, wanted) in [(1, "12000061"), (2, "12000063")] {
        let body =
            json!({"job_name": "n", "cluster_id": local, "job_type": number, "jar_path": "/a.jar", "arguments": "A"});
        let answer = world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?;
        assert_eq!(code(&answer), (400, wanted.to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn paths_tokens_and_bodies() -> Result<()> {
    let world = World::plain().await?;
    let v11 = format!("/v1.1/{}", world.api.project);
    let cluster = world.api.cluster("local").await?;
    let jobs = format!("/v2/{}/clusters/{cluster}/job-executions", world.api.project);
    for (method, path, body, status, wanted) in [
        (Method::GET, format!("{v11}/job-exes"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/job-exes?cluster_id=unknown"), "", 400, "12000003"),
        (Method::GET, format!("{v11}/job-exes?cluster_id={cluster}&page_size=101"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/job-exes?cluster_id={cluster}&current_page=0"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/job-exes?cluster_id={cluster}&state=7"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/job-exes/unknown"), "", 404, "12000009"),
        (Method::GET, format!("{v11}/job-exes/a/b"), "", 404, "APIGW.0101"),
        (Method::DELETE, format!("{v11}/job-exes"), "", 405, "12000054"),
        (Method::GET, format!("{v11}/cluster_infos/unknown"), "", 400, "12000003"),
        (Method::GET, format!("{v11}/cluster_infos?clusterState=up"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/cluster_infos?pageSize=0"), "", 400, "12000009"),
        (Method::GET, format!("{v11}/clusters/unknown/hosts"), "", 400, "12000003"),
        (Method::POST, format!("{v11}/clusters/unknown/tags"), r#"{"tag": {"key": "k"}}"#, 400, "12000003"),
        (Method::POST, format!("{v11}/clusters/{cluster}/tags"), "{}", 400, "12000009"),
        (
            Method::POST,
            format!("{v11}/clusters/{cluster}/tags/action"),
            r#"{"action": "x", "tags": [{"key": "k"}]}"#,
            400,
            "12000009",
        ),
        (Method::POST, format!("{v11}/jobs/submit-job"), "{nope", 400, "12000009"),
        (Method::POST, format!("{v11}/jobs/submit-job"), "[]", 400, "12000009"),
        (Method::POST, jobs.clone(), "5", 400, "12000009"),
        (Method::PATCH, jobs.clone(), "{}", 405, "12000054"),
    ] {
        let answer = world.api.raw(method, &path, &[], Some(body.as_bytes().to_vec())).await?;
        assert_eq!(code(&answer), (status, wanted.to_owned()), "{path} {body}");
    }
    let large = format!("{{\"job_name\": \"{}\"}}", "n".repeat(2_000_000));
    let answer = world.api.raw(Method::POST, &jobs, &[], Some(large.into_bytes())).await?;
    assert_eq!(code(&answer), (413, "APIGW.0201".to_owned()));
    // Before routing too, also for a path without project.
    for path in [format!("{v11}/job-exes/x"), "/v1.1/cluster_infos".to_owned(), jobs.clone()] {
        let answer = world.api.raw(Method::GET, &path, &[("X-Auth-Token", "nonsense")], None).await?;
        assert_eq!(code(&answer), (401, "12000001".to_owned()));
    }
    let other = member_of(&world.server, "other", "member").await?;
    assert_eq!(code(&other.raw(Method::GET, &jobs, &[], None).await?), (401, "12000001".to_owned()));
    let reader = member_of(&world.server, "read", "reader").await?;
    let body = json!({"job_name": "n", "cluster_id": cluster, "job_type": 1});
    assert_eq!(code(&reader.call(Method::POST, "/jobs/submit-job", Some(body)).await?), (400, "12000052".to_owned()));
    reader.get(&format!("/job-exes?cluster_id={cluster}")).await?;
    Ok(())
}

#[tokio::test]
async fn errors_speak_the_callers_language() -> Result<()> {
    let world = World::plain().await?;
    let path = format!("/v1.1/{}/cluster_infos/unknown", world.api.project);
    for (language, text) in
        [("zh-cn", "集群不存在。"), ("en-us", "The cluster does not exist."), ("fr", "The cluster does not exist.")]
    {
        let answer = world.api.raw(Method::GET, &path, &[("X-Language", language)], None).await?;
        assert_eq!(code(&answer), (400, "12000003".to_owned()));
        assert!(answer.json()["error_msg"].as_str().is_some_and(|said| said.starts_with(text)), "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn too_many_waiting_jobs() -> Result<()> {
    let (world, cluster) = {
        let settings = "[jobs]\nmax_waiting = 1\n[sim]\nenabled = true\n";
        let world = World::start(On::Sqlite, settings).await?;
        let cluster = world.api.cluster("sim").await?;
        (world, cluster)
    };
    // Jobs of Sahara wait on a cluster that is not Active.
    let idle = world.api.cluster("sim-idle").await?;
    let template = world.shell("waits", "true").await?;
    world.api.post(&format!("/jobs/{template}/execute"), json!({"cluster_id": idle})).await?;
    let body = json!({"job_name": "n", "job_type": "HiveSql", "arguments": ["x"]});
    let answer = v2(&world, Method::POST, &cluster, "/job-executions", Some(body)).await?;
    assert_eq!(code(&answer), (429, "0177".to_owned()));
    assert!(answer.headers.contains_key("retry-after"));
    let body = json!({"job_name": "n", "cluster_id": cluster, "job_type": 1, "jar_path": "/a.jar"});
    let answer = world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?;
    assert_eq!(code(&answer), (429, "12000060".to_owned()));
    Ok(())
}
