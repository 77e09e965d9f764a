//! Two servers on one PostgreSQL: both answer, one works for a cluster, the other takes over when it is killed, and what a
//! lost host owes stays with it until it returns.

use anyhow::{Context, Result};
use foggara_testkit::{postgres::url_of_new_database, processes::tagged, program::Server, wait};
use serde_json::json;
use std::time::Duration;

use crate::world::{BINARY, World, log_in};

/// A takeover waits until the owner's counter has stood still for 20 s; a lost host a little longer.
const TAKEOVER: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_takes_over_and_a_lost_host_keeps_its_duties() -> Result<()> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    for dir in [&one, &two] {
        // A folder of other people's things is not taken as a data directory; a private one is.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    let control = one.path().join("control.json");
    std::fs::write(&control, r#"{"run": "RUNNING", "status": "RUNNING", "cancel": "KILLED"}"#)?;
    let settings = format!(
        "[jobs]\nhost_lost_after = 1\nkill_grace = 1\n[sim]\nenabled = true\ncontrol_file = {:?}\n",
        control.display().to_string()
    );
    let url = url_of_new_database("servers")?;
    let server = |dir: &std::path::Path| -> Result<Server> {
        std::fs::write(dir.join("foggara.toml"), &settings)?;
        let mut server = Server::new(BINARY, dir);
        server.set("FOGGARA__SERVER__DATABASE_URL", &url);
        Ok(server)
    };
    let mut first = server(one.path())?;
    first.start()?;
    // Servers that share a database share the keyring; the simulated engine's jobs are in a folder, so that is shared too.
    std::fs::copy(one.path().join("seal-keys.json"), two.path().join("seal-keys.json"))?;
    std::os::unix::fs::symlink(one.path().join("sim"), two.path().join("sim"))?;
    let mut second = server(two.path())?;
    second.start()?;
    let api = log_in(&first).await?;
    let mut world = World::of(first, api);
    let simulated = world.shell("simulated", "true").await?;
    let cluster = world.api.cluster("sim").await?;
    let row = world.api.post(&format!("/jobs/{simulated}/execute"), json!({"cluster_id": cluster})).await?;
    let simulated = row["job_execution"]["id"].as_str().unwrap_or_default().to_owned();
    let local = world.run("local", "trap '' TERM; while :; do sleep 1; done").await?;
    for id in [&simulated, &local] {
        world.wait(id, &["RUNNING"]).await?;
    }
    // Which of the two runs the local job is a matter of chance; the first is killed if it is its own.
    let of_first = one.path().join("attempts");
    let is_of_first =
        std::fs::read_dir(&of_first)?.flatten().any(|entry| entry.file_name().to_string_lossy().contains(&local));
    if !is_of_first {
        std::mem::swap(&mut world.server, &mut second);
    }
    world.server.kill();
    world.api.url.clone_from(&second.url);
    // The other one answers at once, and its wish is durable before it can be carried out.
    world.api.get(&format!("/job-executions/{simulated}/cancel")).await?;
    let ended = |id: String, status: &'static str| {
        let api = world.api.clone();
        wait::until("the takeover", TAKEOVER, move || {
            let (api, id) = (api.clone(), id.clone());
            async move {
                let row = api.execution(&id).await.ok()?;
                (row["info"]["status"] == status).then_some(row)
            }
        })
    };
    ended(simulated.clone(), "KILLED").await?;
    let row = ended(local.clone(), "FAILED").await?;
    assert!(row["info"]["reason"].as_str().is_some_and(|reason| reason.contains("host lost")), "{row}");
    assert!(!tagged(&local).is_empty(), "nobody but its host can stop it");
    world.server.start()?;
    let gone = world.wait_gone(&local).await;
    let path = format!("/api/v1/executions/{local}/events");
    let events = world.api.raw(reqwest::Method::GET, &path, &[], None).await?.text();
    gone.with_context(|| format!("{events} {}", world.server.log()))
}
