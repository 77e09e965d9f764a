//! The server as a program: settings, the directory's lock, the ready line, first start, orderly end.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::Result;
use foggara_testkit::program::Server;
use reqwest::Method;

use crate::world::{BINARY, World};

#[tokio::test]
async fn the_first_start_makes_private_files() -> Result<()> {
    let world = World::plain().await?;
    let mode =
        |name: &str| -> Result<u32> { Ok(fs::metadata(world.server.dir.join(name))?.permissions().mode() & 0o777) };
    for name in ["openrc.sh", "clouds.yaml", "seal-keys.json", "lock"] {
        assert_eq!(mode(name)?, 0o600, "{name}");
    }
    assert_eq!(mode(".")?, 0o700);
    let clusters = world.api.get("/clusters").await?;
    let local = &clusters["clusters"][0];
    assert_eq!(
        (&local["name"], &local["status"], &local["is_public"]),
        (&"local".into(), &"Active".into(), &true.into())
    );
    assert_eq!(local["tenant_id"], "0".repeat(32));
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_directory_is_refused() -> Result<()> {
    let world = World::plain().await?;
    let output = world.server.run(&["serve", "--listen", "127.0.0.1:0"])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let pid = world.server.pid().unwrap_or_default().to_string();
    assert!(text.contains("used by another server") && text.contains(&pid), "{text}");
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_it_soon_and_jobs_go_on() -> Result<()> {
    let mut world = World::plain().await?;
    let id = world.run("lasting", "echo up; sleep 300").await?;
    world.wait(&id, &["RUNNING"]).await?;
    // A followed log must not hold the server up.
    let api = world.api.clone();
    let path = format!("/api/v1/executions/{id}/logs/stdout?follow=true");
    let following = tokio::spawn(async move { api.raw(Method::GET, &path, &[], None).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, took) = world.server.stop()?;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let _ = following.await?;
    assert!(!foggara_testkit::processes::tagged(&id).is_empty(), "the job goes on");
    world.start_again().await?;
    assert_eq!(world.api.execution(&id).await?["info"]["status"], "RUNNING");
    world.api.delete(&format!("/job-executions/{id}")).await?;
    world.wait_gone(&id).await
}

#[tokio::test]
async fn wrong_settings_stop_the_start_with_their_place() -> Result<()> {
    let refused = |settings: &str, args: &[&str]| -> Result<String> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("foggara.toml"), settings)?;
        let server = Server::new(BINARY, dir.path());
        let mut all = vec!["serve", "--check"];
        all.extend(args);
        let output = server.run(&all)?;
        assert!(!output.status.success(), "{settings} {args:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let text = refused("[jobs]\nkill_graze = 1\n", &[])?;
    assert!(text.contains("foggara.toml: jobs.kill_graze") && text.contains("jobs.kill_grace"), "{text}");
    let text = refused("[local]\nmax_running = \"many\"\n", &[])?;
    assert!(text.contains("local.max_running"), "{text}");
    let text = refused("", &["--listen", "0.0.0.0:0"])?;
    assert!(text.contains("insecure_http"), "{text}");
    let text = refused("", &["--listen", "nowhere"])?;
    assert!(text.contains("host:port"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() -> Result<()> {
    let mut world = World::plain().await?;
    world.server.stop()?;
    let file = world.server.dir.join("foggara.db");
    let before = fs::read(&file)?;
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\
         c.execute(\"INSERT INTO schema_migration VALUES (9999, 'later', 0)\")\nc.commit()\nc.close()";
    assert!(std::process::Command::new("python3").args(["-c", script]).arg(&file).status()?.success());
    assert_ne!(before, fs::read(&file)?);
    let output = world.server.run(&["serve", "--listen", "127.0.0.1:0"])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("9999") && text.contains("newer"), "{text}");
    let check = world.server.run(&["migrate", "--check"])?;
    assert_eq!(check.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn commands_work_without_any_setup_on_the_same_host() -> Result<()> {
    let world = World::plain().await?;
    let script = world.server.dir.join("hello.sh");
    fs::write(&script, "echo hello $1; exit ${CODE:-0}")?;
    let path = script.display().to_string();
    // `run` follows the log and ends with the job's outcome.
    let dir = world.server.dir.display().to_string();
    let run = |args: &[&str]| std::process::Command::new(BINARY).args(args).output();
    let output = run(&["run", "--data-dir", &dir, &path, "--", "you"])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello you\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    let output = run(&["run", "--data-dir", &dir, "--param", "CODE=3", &path])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("exit code 3"), "{text}");
    let ids = world.server.must_run(&["jobs", "list", "-q"])?;
    assert!(ids.lines().count() >= 2, "{ids}");
    let shown = world.server.must_run(&["jobs", "list", "--output", "json"])?;
    assert!(serde_json::from_str::<serde_json::Value>(&shown)?.is_array());
    let output = world.server.run(&["jobs", "show", "no-such-id"])?;
    assert_eq!(output.status.code(), Some(1));
    let output = run(&["jobs", "list", "--data-dir", &dir, "--os-auth-url", "http://127.0.0.1:1/v3"])?;
    assert_eq!(output.status.code(), Some(3), "nobody is there");
    let output = run(&["jobs", "lisst"])?;
    assert_eq!(output.status.code(), Some(2), "wrong usage");
    Ok(())
}

#[tokio::test]
async fn the_key_rotation_keeps_tokens_and_secrets() -> Result<()> {
    let mut world = World::plain().await?;
    let source = serde_json::json!({"name": "s", "type": "swift", "url": "swift://c/o",
        "credentials": {"user": "u", "password": "p"}});
    world.api.post("/data-sources", source).await?;
    world.server.must_run(&["keys", "rotate"])?;
    world.restart_hard().await?;
    let list = world.api.get("/data-sources").await?;
    assert_eq!(list["data_sources"][0]["name"], "s");
    assert!(list["data_sources"][0].get("credentials").is_none());
    Ok(())
}
