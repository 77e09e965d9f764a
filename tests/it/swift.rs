//! Swift with an outside Keystone: who a job's files are fetched as, and what needs no project because Keystone knows it. The
//! clouds are the fake of testkit; tests/swift has a real Swift.

use std::fs;

use anyhow::{Context, Result};
use foggara_testkit::{
    api::Api,
    program::Server,
    swift::{FakeSwift, PASSWORD, PROJECT_NAME, SERVICE, SERVICE_PASSWORD, USER},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    mrs::v2,
    world::{BINARY, World},
};

const SCRIPT: &[u8] = b"#!/bin/sh\necho from swift\n";

struct Place {
    world: World,
    swift: FakeSwift,
    _dirs: (tempfile::TempDir, tempfile::TempDir),
}

impl Place {
    async fn start() -> Result<Self> {
        let swift = FakeSwift::start(&["jobs"])?;
        swift.put("jobs", "bin/main.sh", SCRIPT);
        let (dir, beside) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let password = beside.path().join("password");
        fs::write(&password, SERVICE_PASSWORD)?;
        let settings = format!(
            "[keystone]\nauth_url = \"{}\"\nusername = \"{SERVICE}\"\npassword_file = \"{}\"\n",
            swift.keystone(),
            password.display()
        );
        fs::write(dir.path().join("foggara.toml"), settings)?;
        let mut server = Server::new(BINARY, dir.path());
        server.start()?;
        let url = server.url.clone();
        let mut api = Api::log_in(swift.keystone().trim_end_matches("/v3"), USER, PASSWORD, PROJECT_NAME).await?;
        api.url = url;
        fs::create_dir_all(dir.path().join("files"))?;
        Ok(Self { world: World::of(server, api), swift, _dirs: (dir, beside) })
    }

    /// A job binary of a swift url that keeps no log-in of its own, as one of Sahara's proxy users.
    async fn binary(&self, name: &str, url: &str) -> Result<String> {
        let api = &self.world.api;
        let body = json!({"name": name, "url": url, "extra": {"user": USER, "password": PASSWORD}});
        let made = api.post("/job-binaries", body).await?;
        let id = made["job_binary"]["id"].as_str().context("no id")?.to_owned();
        let path = format!("/job-binaries/{id}");
        api.call(Method::PUT, &path, Some(json!({"extra": {}}))).await?.expect(202)?;
        Ok(id)
    }

    async fn ends(&self, id: &str, wanted: &str) -> Result<Value> {
        let row = self.world.wait(id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
        assert_eq!(row["info"]["status"], wanted, "{row}\n{}", self.world.server.log());
        assert!(!row.to_string().contains(PASSWORD) && !self.world.server.log().contains(PASSWORD));
        Ok(row)
    }
}

#[tokio::test]
async fn a_jobs_files_come_in_the_name_of_its_user() -> Result<()> {
    let place = Place::start().await?;
    let api = &place.world.api;
    let binary = place.binary("main.sh", "swift://jobs.sahara/bin/main.sh").await?;
    let path = format!("/v1.1/{}/job-binaries/{binary}/data", api.project);
    let data = api.raw(Method::GET, &path, &[], None).await?;
    assert_eq!((data.status.as_u16(), data.bytes.as_slice()), (200, SCRIPT), "by the caller's token: {}", data.text());
    let template = api.template("from-swift", "Shell", &[&binary], &[]).await?;
    let before = place.swift.logins();
    let id = place.world.execute(&template, json!({})).await?;
    place.ends(&id, "SUCCEEDED").await?;
    assert_eq!(api.log(&id, "stdout").await?, b"from swift\n");
    assert!(place.swift.logins() > before, "nobody is there any more whose token could be used: a trust was");
    let missing = place.binary("none.sh", "swift://jobs/none").await?;
    let template = api.template("missing", "Shell", &[&missing], &[]).await?;
    let row = place.ends(&place.world.execute(&template, json!({})).await?, "FAILED").await?;
    assert!(row.to_string().contains("swift://jobs/none does not exist"), "{row}");
    Ok(())
}

#[tokio::test]
async fn a_copy_logs_in_to_the_project_that_it_is_made_for() -> Result<()> {
    let place = Place::start().await?;
    let (api, server) = (&place.world.api, &place.world.server);
    let here = server.dir.join("files/copied.sh");
    let cluster = api.cluster("local").await?;
    let copy = async |from: &str, to: &str, password: &str, wanted: &str| {
        let mut properties =
            json!({"fs.swift.service.sahara.username": USER, "fs.swift.service.sahara.password": password});
        if password.is_empty() {
            properties = json!({});
        }
        let body = json!({"job_name": "j", "job_type": "DistCp", "arguments": [from, to], "properties": properties});
        let made = v2(&place.world, Method::POST, &cluster, "/job-executions", Some(body)).await?.expect(200)?;
        let id = made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned();
        place.ends(&id, wanted).await
    };
    let here_text = here.display().to_string();
    copy("swift://jobs/bin/main.sh", &here_text, PASSWORD, "SUCCEEDED").await?;
    assert_eq!(fs::read(&here)?, SCRIPT);
    copy(&here_text, "swift://jobs.sahara/copies/one", PASSWORD, "SUCCEEDED").await?;
    assert_eq!(place.swift.get("jobs", "copies/one").as_deref(), Some(SCRIPT));
    // Without a user of its own a copy acts for the one who started it, by a token that no command line and no environment shows.
    let before = place.swift.logins();
    copy(&here_text, "swift://jobs/copies/two", "", "SUCCEEDED").await?;
    assert_eq!(place.swift.get("jobs", "copies/two").as_deref(), Some(SCRIPT));
    assert!(place.swift.logins() > before, "a trust was used");
    let row = copy("swift://jobs/none", &here_text, "", "FAILED").await?;
    assert!(row.to_string().contains("swift://jobs/none"), "{row}");
    let row = copy("swift://jobs/bin", &here_text, "another-secret", "FAILED").await?;
    assert!(row.to_string().contains("does not let the user 'ada' in"), "{row}");
    assert!(!row.to_string().contains("another-secret"));
    Ok(())
}
