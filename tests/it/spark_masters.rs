//! Spark clusters of the operator's configuration whose master is a fake, for what a real one cannot be asked for cheaply: a submission
//! that is neither answered nor obeyed, masters that stand by and recover, files of jobs in a store.

use std::time::Duration;

use anyhow::{Context, Result};
use foggara_testkit::{
    program::Server,
    s3::{ACCESS_KEY, FakeS3, SECRET_KEY},
    spark_master::FakeSparkMaster,
    wait::until,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{BINARY, LONG, World, log_in};

const SOON: Duration = Duration::from_secs(30);

struct Place {
    world: World,
    s3: FakeS3,
    standby: FakeSparkMaster,
    master: FakeSparkMaster,
    template: String,
    _dir: TempDir,
}

impl Place {
    /// Two masters, of which the first one stands by; the second one has this status.
    async fn start(status: &str) -> Result<Self> {
        let (standby, master) = (FakeSparkMaster::start("STANDBY")?, FakeSparkMaster::start(status)?);
        let s3 = FakeS3::start(&["jars"])?;
        let both = format!("{},{}", standby.url(), master.url());
        let settings = format!(
            "[stores.s3]\nendpoint = \"{}\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\"\n\
             [clusters.far]\nplugin = \"spark\"\nmaster = \"spark://127.0.0.1:7077\"\ndeploy = \"rest\"\n\
             rest = \"{both}\"\nweb_ui = \"{both}\"\nartifacts = \"s3a://jars/here\"\n",
            s3.endpoint()
        );
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("foggara.toml"), settings)?;
        let mut server = Server::new(BINARY, dir.path());
        // This host has neither Spark nor Java and needs none.
        for variable in ["PATH", "SPARK_HOME", "JAVA_HOME"] {
            server.set(variable, "/nothing/is/here");
        }
        server.start()?;
        let api = log_in(&server).await?;
        let world = World::of(server, api);
        let main = world.api.binary("app.jar", b"PK\x05\x06 the jar of a job").await?;
        let template = world.api.template("app", "Spark", &[&main], &[]).await?;
        Ok(Self { world, s3, standby, master, template, _dir: dir })
    }

    async fn execute(&self) -> Result<String> {
        let cluster = self.world.api.cluster("far").await?;
        let configs = json!({"edp.java.main_class": "test.Main"});
        let body = json!({"cluster_id": cluster, "job_configs": {"configs": configs}});
        let made = self.world.api.post(&format!("/jobs/{}/execute", self.template), body).await?;
        Ok(made["job_execution"]["id"].as_str().context("no id")?.to_owned())
    }

    async fn explanation(&self, id: &str) -> Result<String> {
        let path = format!("/api/v1/executions/{id}/explain");
        let explained = self.world.api.raw(Method::GET, &path, &[], None).await?.expect(200)?;
        Ok(explained["explanation"].as_str().unwrap_or_default().to_owned())
    }
}

/// Nobody knows whether the master took the driver: the execution ends with its duty open, nothing is sent twice, and whoever asks for
/// its deletion is answered.
#[tokio::test]
async fn a_lost_submission_is_launch_unknown_and_never_sent_again() -> Result<()> {
    let place = Place::start("ALIVE").await?;
    place.master.hold_back();
    let id = place.execute().await?;
    let row = place.world.wait(&id, &["FAILED", "SUCCEEDED", "KILLED"]).await?;
    assert_eq!(row["info"]["status"], "FAILED", "{row}");
    let told = place.explanation(&id).await?;
    assert!(told.contains("launch_unknown: ") && told.contains("still being stopped"), "{told}");
    assert_eq!((place.master.creates().len(), place.master.kills().len()), (1, 0));

    // `delete` expects 204.
    place.world.api.delete(&format!("/job-executions/{id}")).await?;
    place.world.wait_unknown(&id).await?;
    for (list, member) in [("/job-executions", "job_executions"), ("/jobs", "jobs")] {
        let shown = place.world.api.get(list).await?;
        assert!(shown[member].is_array() && !shown.to_string().contains(&id), "{shown}");
    }
    let own = place.world.api.raw(Method::GET, "/api/v1/executions", &[], None).await?.expect(200)?;
    assert!(!own.to_string().contains(&id), "{own}");

    // The master is looked at seldom when no job is under way, hence the long wait.
    let asked = place.master.asked();
    until("the master is asked again", LONG, || async { (place.master.asked() > asked + 3).then_some(()) }).await?;
    assert_eq!(place.master.creates().len(), 1, "it was sent once");

    // The submission has its effect after all: the driver of a record that is gone has to go too.
    place.master.let_through();
    until("the late driver is killed", LONG, || async { (place.master.states() == ["KILLED"]).then_some(()) })
        .await
        .with_context(|| place.world.server.log())?;
    assert_eq!(place.master.creates().len(), 1, "it was sent once");
    Ok(())
}

/// The property of a submission.
fn property<'a>(request: &'a Value, name: &str) -> &'a str {
    request["sparkProperties"][name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_master_that_leads_is_found_and_waited_for_and_fetches_files_from_a_store() -> Result<()> {
    let place = Place::start("RECOVERING").await?;
    let first = place.execute().await?;
    until("its launch has begun", SOON, || async {
        let path = format!("/api/v1/executions/{first}/explain");
        let explained = place.world.api.raw(Method::GET, &path, &[], None).await.ok()?.expect(200).ok()?;
        (explained["phase"] == "launching").then_some(())
    })
    .await
    .with_context(|| place.world.server.log())?;
    let asked = place.master.asked();
    until("it was tried again", SOON, || async { (place.master.asked() > asked + 3).then_some(()) }).await?;
    let row = place.world.api.execution(&first).await?;
    assert_eq!((&row["info"]["status"], place.master.states().len()), (&json!("READYTORUN"), 0), "{row}");
    place.master.set_status("ALIVE");
    place.world.wait(&first, &["RUNNING"]).await?;
    let sent = place.master.creates().pop().context("nothing was sent")?;
    let jars = |keys: Vec<String>| keys.into_iter().filter(|key| key.ends_with("/app.jar")).collect::<Vec<_>>();
    let lies = jars(place.s3.keys("jars"));
    let url = format!("s3a://jars/{}", lies.first().context("its jar is not in the store")?);
    assert_eq!((&sent["appResource"], property(&sent, "spark.jars")), (&json!(url), url.as_str()), "{sent}");
    assert_eq!(sent["mainClass"], "test.Main");

    // What the master does not run is refused at once.
    let api = &place.world.api;
    let sql = api.template("statement", "Hive", &[&api.binary("a.hql", b"SELECT 1").await?], &[]).await?;
    let body = json!({"cluster_id": api.cluster("far").await?, "job_configs": {}});
    let refused = api.call(Method::POST, &format!("/jobs/{sql}/execute"), Some(body)).await?.expect(400)?;
    assert!(refused.to_string().contains("use one with spark.deploy = client"), "{refused}");

    // The same jar again lies there once, and is named again.
    let second = place.execute().await?;
    place.world.wait(&second, &["RUNNING"]).await?;
    assert_eq!(jars(place.s3.keys("jars")), lies);
    let sent = place.master.creates().pop().context("nothing was sent")?;
    assert_eq!(sent["appResource"], json!(url));
    assert_eq!(place.standby.states().len(), 0, "who stands by runs nothing");

    place.master.end_all("FINISHED");
    for id in [&first, &second] {
        place.world.wait(id, &["SUCCEEDED"]).await?;
    }
    until("nobody uses the jar", SOON, || async {
        (!place.s3.keys("jars").iter().any(|key| key.starts_with("here/.use/"))).then_some(())
    })
    .await
}
