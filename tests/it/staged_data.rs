//! Input and output in a store for jobs whose processes open none: fetched before the launch, put back when they ended well. The store
//! is the fake of testkit, which speaks S3.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use foggara_testkit::{
    s3::{ACCESS_KEY, FakeS3, SECRET_KEY},
    wait::until,
};
use serde_json::{Value, json};

use crate::world::{On, World};

struct Place {
    world: World,
    s3: FakeS3,
    cluster: String,
    template: String,
}

impl Place {
    async fn start(settings: &str) -> Result<Self> {
        let s3 = FakeS3::start(&["data"])?;
        // The keys come with the data sources, and so does the address of the store, which is this host.
        let settings = format!("{settings}\n[stores.http]\nallow = [\"127.0.0.1\"]\n");
        let world = World::start(On::Sqlite, &settings).await?;
        let cluster = world.api.cluster("local").await?;
        let template = world.api.template("words", "MapReduce.Streaming", &[], &[]).await?;
        Ok(Self { world, s3, cluster, template })
    }

    async fn source(&self, name: &str, url: &str, secret: &str) -> Result<String> {
        let body = json!({"name": name, "type": "s3", "url": url, "credentials": {"accesskey": ACCESS_KEY,
            "secretkey": secret, "endpoint": self.s3.endpoint(), "ssl": false, "bucket_in_path": true}});
        let made = self.world.api.post("/data-sources", body).await?;
        Ok(made["data_source"]["id"].as_str().context("no id")?.to_owned())
    }

    async fn execute(&self, input: &str, output: &str, mapper: &str) -> Result<String> {
        let configs = json!({"edp.streaming.mapper": mapper, "edp.streaming.reducer": "uniq -c"});
        let body = json!({"cluster_id": self.cluster, "input_id": input, "output_id": output,
            "job_configs": {"configs": configs}});
        self.world.execute(&self.template, body).await
    }

    async fn ends(&self, id: &str, wanted: &str) -> Result<Value> {
        let row = self.world.wait(id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
        assert_eq!(row["info"]["status"], wanted, "{row}");
        assert!(!row.to_string().contains(SECRET_KEY));
        Ok(row)
    }

    async fn fails(&self, id: &str, words: &[&str]) -> Result<()> {
        let row = self.ends(id, "FAILED").await?;
        let reason = row["info"]["reason"].as_str().context("no reason")?;
        for word in words {
            assert!(reason.contains(word), "{reason}");
        }
        Ok(())
    }
}

#[tokio::test]
async fn streaming_reads_and_writes_a_bucket() -> Result<()> {
    let place = Place::start("").await?;
    place.s3.put("data", "in/a.txt", b"one\ntwo\n");
    place.s3.put("data", "in/b.txt", b"two\n");
    let input = place.source("in", "s3://data/in", SECRET_KEY).await?;
    let output = place.source("out", "s3://data/out/%JOB_EXEC_ID%", SECRET_KEY).await?;
    let id = place.execute(&input, &output, "cat").await?;
    place.ends(&id, "SUCCEEDED").await?;
    let folder = format!("out/{id}");
    let keys: Vec<String> = place.s3.keys("data").into_iter().filter(|key| key.starts_with(&folder)).collect();
    assert_eq!(keys, [format!("{folder}/_SUCCESS"), format!("{folder}/part-00000")]);
    let part = place.s3.get("data", &format!("{folder}/part-00000")).context("no part")?;
    let words: Vec<Vec<&str>> =
        std::str::from_utf8(&part)?.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.contains(&vec!["2", "two"]) || words.contains(&vec!["1", "two"]), "{words:?}");

    // One file is an input too, and what is there is not overwritten.
    let file = place.source("file", "s3://data/in/a.txt", SECRET_KEY).await?;
    let fixed = place.source("fixed", "s3://data/fixed", SECRET_KEY).await?;
    place.ends(&place.execute(&file, &fixed, "cat").await?, "SUCCEEDED").await?;
    place.fails(&place.execute(&file, &fixed, "cat").await?, &["output 'fixed'", "exists already"]).await?;

    // A cancel interrupts an output that a store does not take; what it has taken goes.
    let slow = place.source("slow", "s3://data/slow", SECRET_KEY).await?;
    place.s3.set_stuck_after(Some(1));
    let id = place.execute(&file, &slow, "cat").await?;
    let is_stuck = || place.s3.asked().iter().any(|line| line.starts_with("PUT /data/slow/_SUCCESS"));
    until("the store takes nothing more", Duration::from_secs(30), || async { is_stuck().then_some(()) }).await?;
    assert!(place.s3.keys("data").contains(&"slow/part-00000".to_owned()));
    let began = Instant::now();
    place.world.api.get(&format!("/job-executions/{id}/cancel")).await?;
    place.ends(&id, "KILLED").await?;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let left = || place.s3.keys("data").into_iter().filter(|key| key.starts_with("slow/")).count();
    until("nothing is left there", Duration::from_secs(30), || async { (left() == 0).then_some(()) }).await?;
    place.s3.set_stuck_after(None);

    // A job that fails leaves nothing at the place of its output.
    let nothing = place.source("nothing", "s3://data/nothing", SECRET_KEY).await?;
    place.ends(&place.execute(&file, &nothing, "false").await?, "FAILED").await?;
    assert!(!place.s3.keys("data").iter().any(|key| key.starts_with("nothing")), "{:?}", place.s3.keys("data"));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_or_written_is_the_reason() -> Result<()> {
    let place = Place::start("[limits]\nstaged_data = 10\n").await?;
    place.s3.put("data", "in/a.txt", b"one\n");
    place.s3.put("data", "large/a.txt", b"more than ten bytes\n");
    let good = place.source("in", "s3://data/in", SECRET_KEY).await?;
    let output = place.source("out", "s3://data/out", SECRET_KEY).await?;
    let missing = place.source("missing", "s3://data/no-such", SECRET_KEY).await?;
    let large = place.source("large", "s3://data/large", SECRET_KEY).await?;
    let stranger = place.source("stranger", "s3://data/stranger", "another secret").await?;
    place.fails(&place.execute(&missing, &output, "cat").await?, &["input 'missing'", "s3a://data/no-such"]).await?;
    place
        .fails(&place.execute(&large, &output, "cat").await?, &["input 'large'", "20 bytes", "staged_data is 10"])
        .await?;
    place.fails(&place.execute(&good, &stranger, "cat").await?, &["output 'stranger'"]).await?;
    Ok(())
}

/// The server dies when the job has ended and before its output is where it belongs: the next one puts it there.
#[tokio::test]
async fn an_output_survives_the_server() -> Result<()> {
    let mut place = Place::start("").await?;
    place.s3.put("data", "in/a.txt", b"one\n");
    let input = place.source("in", "s3://data/in", SECRET_KEY).await?;
    let output = place.source("out", "s3://data/out", SECRET_KEY).await?;
    let gate = place.world.server.dir.join("gate");
    // `tail` lets the words through when the gate is there.
    std::fs::write(place.world.server.dir.join("files/wait.sh"), "while [ ! -e \"$1\" ]; do sleep 0.05; done\ncat\n")?;
    let script = place.world.server.dir.join("files/wait.sh");
    let mapper = format!("sh {} {}", script.display(), gate.display());
    let id = place.execute(&input, &output, &mapper).await?;
    place.world.wait(&id, &["RUNNING"]).await?;
    place.world.server.kill();
    std::fs::write(&gate, "")?;
    let attempts = place.world.server.dir.join("attempts");
    until("the job has ended without a server", Duration::from_secs(30), || async {
        let mut found = std::fs::read_dir(&attempts).ok()?;
        found.any(|entry| entry.is_ok_and(|entry| entry.path().join("exit.json").exists())).then_some(())
    })
    .await?;
    assert!(place.s3.keys("data").iter().all(|key| !key.starts_with("out/")));
    place.world.start_again().await?;
    place.ends(&id, "SUCCEEDED").await?;
    let keys = place.s3.keys("data");
    assert!(keys.contains(&"out/_SUCCESS".to_owned()) && keys.contains(&"out/part-00000".to_owned()), "{keys:?}");
    Ok(())
}
