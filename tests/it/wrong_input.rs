//! Wrong input (issue 3, section 10): each gives a clear error or a true final state, and the server goes on.

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{LONG, On, World};

async fn refused(world: &World, method: Method, path: &str, kind: Option<&str>, body: &[u8]) -> Result<(u16, Value)> {
    let path = format!("/v1.1/{}{path}", world.api.project);
    let headers: Vec<(&str, &str)> = kind.map(|kind| ("Content-Type", kind)).into_iter().collect();
    let answer = world.api.raw(method, &path, &headers, Some(body.to_vec())).await?;
    let json = answer.json();
    assert!(json.is_object(), "{path}: an error is an object: {}", answer.text());
    assert_eq!(json["error_code"], answer.status.as_u16(), "{path}: {json}");
    assert_eq!(json["error_message"], json["error_msg"], "{path}");
    Ok((answer.status.as_u16(), json))
}

#[tokio::test]
async fn bodies_that_are_none() -> Result<()> {
    let world = World::plain().await?;
    let json_type = Some("application/json");
    let long = format!("{{\"name\": \"{}\"}}", "n".repeat(2_000_000));
    for (kind, body, status, name) in [
        (json_type, "{nope", 400, "MALFORMED_REQUEST_BODY"),
        (json_type, "\u{1}", 400, "MALFORMED_REQUEST_BODY"),
        (json_type, "[]", 400, "VALIDATION_ERROR"),
        (json_type, "{}", 400, "VALIDATION_ERROR"),
        (json_type, r#"{"name": 5, "type": "hdfs", "url": "/p"}"#, 400, "VALIDATION_ERROR"),
        (json_type, r#"{"name": "n", "type": "hdfs", "url": "/p", "colour": 1}"#, 400, "VALIDATION_ERROR"),
        (json_type, r#"{"name": "a\u0000b", "type": "hdfs", "url": "/p"}"#, 400, "VALIDATION_ERROR"),
        (json_type, r#"{"name": "../../etc", "type": "hdfs", "url": "/p"}"#, 400, "VALIDATION_ERROR"),
        (Some("text/xml"), "<a/>", 400, "INVALID_DATA"),
        (json_type, long.as_str(), 413, ""),
    ] {
        let (got, json) = refused(&world, Method::POST, "/data-sources", kind, body.as_bytes()).await?;
        assert_eq!(got, status, "{:.60}: {json}", body);
        if !name.is_empty() {
            assert_eq!(json["error_name"], name, "{:.60}", body);
        }
    }
    let name = "n".repeat(81);
    let body = json!({"name": name, "type": "hdfs", "url": "/p"}).to_string();
    let (_, json) = refused(&world, Method::POST, "/data-sources", json_type, body.as_bytes()).await?;
    assert!(json["error_message"].as_str().is_some_and(|text| text.contains("is too long")));
    assert_eq!(world.api.get("/data-sources").await?["data_sources"], json!([]), "nothing was stored");
    Ok(())
}

#[tokio::test]
async fn ids_and_names_in_paths() -> Result<()> {
    let world = World::plain().await?;
    for path in ["/jobs/not-a-uuid", "/job-executions/%00", "/job-executions/..%2f..%2fetc", "/data-sources/%ff%fe"] {
        let (status, _) = refused(&world, Method::GET, path, None, b"").await.with_context(|| path.to_owned())?;
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    for name in ["..%2fup.sh", "a%20b", "-dash", "a%0ab"] {
        let path = format!("/job-binary-internals/{name}");
        let (status, json) = refused(&world, Method::PUT, &path, None, b"x").await?;
        assert_eq!((status, json["error_name"].as_str()), (400, Some("BAD_JOB_BINARY")), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn uploads_over_the_limit_and_broken_off() -> Result<()> {
    let world = World::start(On::Sqlite, "[limits]\ninternal_binary = 1000\n").await?;
    let (status, json) = refused(&world, Method::PUT, "/job-binary-internals/big", None, &vec![0u8; 1001]).await?;
    assert_eq!((status, json["error_name"].as_str()), (400, Some("DATA_TOO_BIG")));
    // Announced bytes that never come.
    let url = url_of(&world);
    let request = format!(
        "PUT /v1.1/{}/job-binary-internals/half HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {}\r\nContent-Length: 500\r\n\r\nhalf",
        world.api.project, world.api.token
    );
    {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(&url)?;
        stream.write_all(request.as_bytes())?;
    }
    world.api.binary("half", b"the whole one").await.context("the name is free")?;
    Ok(())
}

fn url_of(world: &World) -> String {
    world.api.url.trim_start_matches("http://").to_owned()
}

/// The reason of an execution that must fail.
async fn fails(world: &World, id: &str) -> Result<String> {
    let row = world.wait(id, &["FAILED", "SUCCEEDED", "KILLED"]).await?;
    assert_eq!(row["info"]["status"], "FAILED", "{row}");
    assert!(row["start_time"].is_string() && row["end_time"].is_string(), "{row}");
    Ok(row["info"]["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn binaries_that_cannot_be_fetched() -> Result<()> {
    let world =
        World::start(On::Sqlite, "[limits]\nstaged_binary = 100\n[stores.http]\nallow = ['127.0.0.1:9']\n").await?;
    let files = world.server.dir.join("files");
    std::fs::write(files.join("big.sh"), "#".repeat(101))?;
    std::fs::write(world.server.dir.join("outside.sh"), "true")?;
    std::os::unix::fs::symlink(world.server.dir.join("outside.sh"), files.join("link.sh"))?;
    let outside = world.server.dir.join("outside.sh").display().to_string();
    for (number, (url, reason)) in [
        (format!("file://{}/none.sh", files.display()), "does not exist"),
        (format!("file://{outside}"), "outside of the folders"),
        (format!("file://{}/link.sh", files.display()), "outside of the folders"),
        (format!("file://{}/big.sh", files.display()), "staged_binary is 100"),
        ("http://127.0.0.1:9/x.sh".to_owned(), "cannot be connected to"),
        ("http://127.0.0.1:8/x.sh".to_owned(), "[stores.http] allow"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "link-local"),
        ("webhdfs://localhost/x.sh".to_owned(), "[stores.http] allow"),
    ]
    .into_iter()
    .enumerate()
    {
        let made = world.api.post("/job-binaries", json!({"name": format!("b{number}.sh"), "url": url})).await?;
        let binary = made["job_binary"]["id"].as_str().context("no id")?.to_owned();
        let template = world.api.template(&format!("t{number}"), "Shell", &[&binary], &[]).await?;
        let id = world.execute(&template, json!({})).await?;
        let told = fails(&world, &id).await?;
        assert!(told.contains(reason), "{url}: {told}");
        assert!(told.contains(&format!("b{number}.sh")), "{told}");
    }
    // One that was deleted after the template was made.
    let path = format!("/v1.1/{}/job-binary-internals/gone", world.api.project);
    let internal = world.api.raw(Method::PUT, &path, &[], Some(b"true".to_vec())).await?.expect(202)?;
    let internal = internal["job_binary_internal"]["id"].as_str().context("no id")?.to_owned();
    let body = json!({"name": "gone", "url": format!("internal-db://{internal}")});
    let made = world.api.post("/job-binaries", body).await?;
    let binary = made["job_binary"]["id"].as_str().context("no id")?.to_owned();
    let template = world.api.template("gone", "Shell", &[&binary], &[]).await?;
    world.api.delete(&format!("/job-binary-internals/{internal}")).await?;
    let id = world.execute(&template, json!({})).await?;
    assert!(fails(&world, &id).await?.contains("does not exist any more"));
    let answer = world.api.call(Method::GET, &format!("/job-binaries/{binary}/data"), None).await?;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn scripts_of_every_kind() -> Result<()> {
    let world = World::plain().await?;
    let cases: [(&str, &[u8], Option<&str>); 4] = [
        ("no-shebang", b"echo from sh", Some("from sh\n")),
        ("shebang", b"#!/usr/bin/env python3\nprint('from python')\n", Some("from python\n")),
        ("no-interpreter", b"#!/no/such/thing\necho x\n", None),
        ("empty-line", b"\n\necho after\n", Some("after\n")),
    ];
    for (name, script, out) in cases {
        let binary = world.api.binary(name, script).await?;
        let template = world.api.template(name, "Shell", &[&binary], &[]).await?;
        let id = world.execute(&template, json!({})).await?;
        match out {
            Some(out) => {
                world.wait(&id, &["SUCCEEDED"]).await?;
                assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, out, "{name}");
            }
            None => assert!(fails(&world, &id).await?.contains("/no/such/thing"), "{name}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_output_that_exists_is_refused() -> Result<()> {
    let world = World::plain().await?;
    let files = world.server.dir.join("files");
    std::fs::create_dir(files.join("out"))?;
    std::fs::write(files.join("out/kept"), "kept")?;
    std::fs::write(files.join("in"), "a\n")?;
    let mut ids = Vec::new();
    for name in ["in", "out"] {
        let body = json!({"name": name, "type": "file", "url": format!("file://{}", files.join(name).display())});
        let made = world.api.post("/data-sources", body).await?;
        ids.push(made["data_source"]["id"].as_str().context("no id")?.to_owned());
    }
    let template = world.api.template("words", "MapReduce.Streaming", &[], &[]).await?;
    let configs = json!({"configs": {"edp.streaming.mapper": "cat", "edp.streaming.reducer": "cat"}});
    let body = json!({"input_id": ids[0], "output_id": ids[1], "job_configs": configs});
    let id = world.execute(&template, body).await?;
    fails(&world, &id).await?;
    let errors = String::from_utf8(world.api.log(&id, "stderr").await?)?;
    assert!(errors.contains("already exists"), "{errors}");
    assert_eq!(std::fs::read_to_string(files.join("out/kept"))?, "kept");
    Ok(())
}

#[tokio::test]
async fn types_that_the_host_lacks_are_refused_at_execute() -> Result<()> {
    let mut world = World::plain().await?;
    world.server.set("PATH", "/nowhere");
    world.server.set("SPARK_HOME", "");
    world.server.set("JAVA_HOME", "");
    world.restart_hard().await?;
    let lib = world.api.binary("a.jar", b"PK").await?;
    let java = world.api.template("java", "Java", &[], &[&lib]).await?;
    let pig = world.api.template("pig", "Pig", &[&lib], &[]).await?;
    let cluster = world.api.cluster("local").await?;
    for (template, word) in [(&java, "Java"), (&pig, "Pig")] {
        let configs = json!({"configs": {"edp.java.main_class": "Main"}});
        let body = json!({"cluster_id": cluster, "job_configs": configs}).to_string();
        let path = format!("/jobs/{template}/execute");
        let (status, json) = refused(&world, Method::POST, &path, Some("application/json"), body.as_bytes()).await?;
        assert_eq!((status, json["error_name"].as_str()), (400, Some("INVALID_REFERENCE")));
        let text = json["error_message"].as_str().unwrap_or_default();
        assert!(text.contains(&format!("doesn't support job type '{word}'")), "{text}");
        if word == "Java" {
            assert!(text.contains("foggara engines install spark"), "{text}");
        }
    }
    let doctor = world.server.run(&["doctor"])?;
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains("engines install spark"), "{text}");
    assert_eq!(doctor.status.code(), Some(0), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_a_job_leaves_behind_is_gone() -> Result<()> {
    let world = World::start(On::Sqlite, "[jobs]\nkill_grace = 1\n").await?;
    let script = "(trap '' TERM; while :; do sleep 1; done) & (setsid sleep 600 &) ; echo started; exit 4";
    let id = world.run("forker", script).await?;
    assert_eq!(fails(&world, &id).await?, "exit code 4");
    assert!(foggara_testkit::processes::tagged(&id).is_empty(), "ended means that nothing is left");
    Ok(())
}

#[tokio::test]
async fn a_log_over_its_limit_keeps_head_and_tail() -> Result<()> {
    let world = World::start(On::Sqlite, "[local]\nlog_limit = 1000000\n").await?;
    let script = "echo first; yes 0123456789 | head -c 300000000; echo; echo last";
    let id = world.run("writer", script).await?;
    world.wait(&id, &["SUCCEEDED"]).await?;
    let log = world.api.log(&id, "stdout").await?;
    assert!(log.starts_with(b"first\n") && log.ends_with(b"last\n"));
    assert!(String::from_utf8_lossy(&log).contains("bytes of this log were left out"));
    assert!(log.len() < 20_000_000, "{} bytes are read", log.len());
    let file =
        std::fs::read_dir(world.server.dir.join("logs"))?.flatten().next().context("a log")?.path().join("stdout");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(file)?) * 512;
    assert!(blocks < 20_000_000, "{blocks} bytes are on the disk");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_for_logs_harms_only_the_job() -> Result<()> {
    let world = World::plain().await?;
    // The job's own limit on files stands for the disk: a write beyond it fails as on a full one.
    let id = world.run("full", "ulimit -f 1; trap '' XFSZ; yes | head -c 3000000; echo status $? >&2; exit 9").await?;
    let reason = fails(&world, &id).await?;
    assert_eq!(reason, "exit code 9");
    let other = world.run("after", "echo fine").await?;
    world.wait(&other, &["SUCCEEDED"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_while_staging_ends_the_execution() -> Result<()> {
    let world = World::plain().await?;
    let template = world.shell("full", "true").await?;
    // A workspace that cannot be made stands for it: its place is taken by a file.
    let place = world.server.dir.join("workspaces");
    std::fs::remove_dir_all(&place).ok();
    std::fs::write(&place, "")?;
    let id = world.execute(&template, json!({})).await?;
    let reason = fails(&world, &id).await?;
    assert!(reason.contains("workspace"), "{reason}");
    std::fs::remove_file(&place)?;
    let id = world.execute(&template, json!({})).await?;
    world.wait(&id, &["SUCCEEDED"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_interpreter_that_cannot_be_run_is_told() -> Result<()> {
    let world = World::plain().await?;
    let binary = world.api.binary("broken-elf", b"\x7fELF nothing that the kernel takes").await?;
    let template = world.api.template("elf", "Shell", &[&binary], &[]).await?;
    let id = world.execute(&template, json!({})).await?;
    // The kernel refuses it, and as in every shell /bin/sh has a look at it then.
    let reason = fails(&world, &id).await?;
    assert!(reason.starts_with("exit code 12"), "{reason}");
    assert!(!world.api.log(&id, "stderr").await?.is_empty(), "the log says why");
    Ok(())
}

#[tokio::test]
async fn too_many_waiting_executions_are_refused_with_429() -> Result<()> {
    let world = World::start(On::Sqlite, "[local]\nmax_running = 1\n[jobs]\nmax_waiting = 2\n").await?;
    let template = world.shell("sleeper", "sleep 600").await?;
    let running = world.execute(&template, json!({})).await?;
    world.wait(&running, &["RUNNING"]).await?;
    for _ in 0..2 {
        world.execute(&template, json!({})).await?;
    }
    let body = json!({"cluster_id": world.api.cluster("local").await?});
    let answer = world.api.call(Method::POST, &format!("/jobs/{template}/execute"), Some(body)).await?;
    assert_eq!(answer.status.as_u16(), 429, "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(answer.json()["error_name"], "QUOTA_ERROR");
    world.api.delete(&format!("/job-executions/{running}")).await?;
    wait::until("the next one runs", LONG, || async {
        let list = world.api.get("/job-executions?status=RUNNING").await.ok()?;
        (!list["job_executions"].as_array()?.is_empty()).then_some(())
    })
    .await?;
    for row in world.api.get("/job-executions").await?["job_executions"].as_array().into_iter().flatten() {
        let id = row["id"].as_str().unwrap_or_default();
        world.api.delete(&format!("/job-executions/{id}")).await?;
        world.wait_gone(id).await?;
    }
    Ok(())
}
