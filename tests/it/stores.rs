//! Stores as a whole: what doctor says of them, and jobs whose files lie in HDFS or in a mounted share.

use std::fs;

use anyhow::{Context, Result};
use foggara_testkit::webhdfs::FakeHdfs;
use serde_json::json;

use crate::world::{On, World};

const SHARE: &str = "00000000-0000-4000-8000-000000000abc";

/// Settings with a share that is mounted, and the fake HDFS as `cluster`.
fn settings(share: &std::path::Path, hdfs: &FakeHdfs) -> String {
    format!(
        "[stores.manila]\nmounts = {{ {SHARE} = '{}' }}\n[stores.hdfs]\nwebhdfs = {{ cluster = '{}' }}\nuser = 'me'\n",
        share.display(),
        hdfs.urls()
    )
}

#[tokio::test]
async fn doctor_asks_each_store_for_what_the_settings_name() -> Result<()> {
    let (share, hdfs) = (tempfile::tempdir()?, FakeHdfs::start()?);
    fs::write(share.path().join("file"), "12345")?;
    hdfs.put("/data/a", b"123");
    hdfs.put("/data/b/c", b"4");
    let plain = settings(share.path(), &hdfs);
    let world = World::start(On::Sqlite, &plain).await?;
    let doctor = |settings: &str| -> Result<(Option<i32>, String)> {
        fs::write(world.server.dir.join("foggara.toml"), settings)?;
        let output = world.server.run(&["doctor"])?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, text) = doctor(&plain)?;
    assert_eq!(code, Some(0), "{text}");
    for wanted in ["none was asked for anything", "as 'me'; known: cluster", &format!("manila://{SHARE} is ")] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let checks = |urls: &str| format!("{plain}[stores.check]\nurls = [{urls}]\n");
    let good = format!("'hdfs://cluster/data', 'manila://{SHARE}/file'");
    let (code, text) = doctor(&checks(&good))?;
    assert_eq!(code, Some(0), "{text}");
    for wanted in ["hdfs://cluster/data: a folder with 2 files, 4 bytes", "/file: a file of 5 bytes"] {
        assert!(text.lines().any(|line| line.starts_with("ok") && line.contains(wanted)), "{wanted}: {text}");
    }
    let web = world.server.url.replacen("http://", "http://me:hidden@", 1);
    let (code, text) =
        doctor(&checks(&format!("{good}, 'hdfs://cluster/none', '{web}/x?y=hidden', 's3a://b/k', 'x://y'")))?;
    assert_eq!(code, Some(1), "{text}");
    for wanted in [
        "hdfs://cluster/none does not exist",
        "[stores.http] allow",
        "s3a://b/k: there are no credentials",
        "no store of x urls",
    ] {
        assert!(text.lines().any(|line| line.starts_with("BAD") && line.contains(wanted)), "{wanted}: {text}");
    }
    assert!(!text.contains("hidden"), "{text}");
    Ok(())
}

#[tokio::test]
async fn jobs_have_their_files_in_hdfs_and_in_a_share() -> Result<()> {
    let (share, hdfs) = (tempfile::tempdir()?, FakeHdfs::start()?);
    fs::write(share.path().join("in.txt"), "from the share")?;
    hdfs.put("/jobs/main.sh", b"cat \"${1#file://}\" lib.txt");
    hdfs.put("/jobs/lib.txt", b", from HDFS");
    let world = World::start(On::Sqlite, &settings(share.path(), &hdfs)).await?;
    let binary = async |name: &str, url: String| -> Result<String> {
        let made = world.api.post("/job-binaries", json!({"name": name, "url": url})).await?;
        Ok(made["job_binary"]["id"].as_str().context("no id")?.to_owned())
    };
    let main = binary("main.sh", "hdfs://cluster/jobs/main.sh".to_owned()).await?;
    let lib = binary("lib.txt", format!("webhdfs://{}/jobs/lib.txt", hdfs.address(0))).await?;
    let source = json!({"name": "in", "type": "manila", "url": format!("manila://{SHARE}/in.txt")});
    world.api.post("/data-sources", source).await?;
    let template = world.api.template("t", "Shell", &[&main], &[&lib]).await?;
    let configs = json!({"configs": {"edp.substitute_data_source_for_name": true}, "args": ["datasource://in"]});
    let id = world.execute(&template, json!({"job_configs": configs})).await?;
    world.wait(&id, &["SUCCEEDED"]).await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "from the share, from HDFS");
    Ok(())
}
