//! MRS's jobs that work on an object store: DistCp both ways, and SQL of the embedded engine over buckets. The store is the fake of
//! testkit, which speaks S3; tests/s3 copies from and to a server of other people.

use std::fs;

use anyhow::{Context, Result};
use foggara_testkit::s3::{ACCESS_KEY, FakeS3, SECRET_KEY};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    embedded::engine,
    mrs::v2,
    world::{On, World},
};

/// A server whose operator names the store, and the id of its cluster.
struct Place {
    world: World,
    cluster: String,
    s3: FakeS3,
}

impl Place {
    async fn start(more: &str) -> Result<Self> {
        let s3 = FakeS3::start(&["one", "two"])?;
        let settings = format!(
            "{more}\n[stores.s3]\nendpoint = \"{}\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\"\n",
            s3.endpoint()
        );
        let world = World::start(On::Sqlite, &settings).await?;
        let cluster = world.api.cluster("local").await?;
        fs::create_dir_all(world.server.dir.join("files"))?;
        Ok(Self { world, cluster, s3 })
    }

    async fn ends(&self, id: &str, wanted: &str) -> Result<Value> {
        let row = self.world.wait(id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
        let errors = String::from_utf8_lossy(&self.world.api.log(id, "stderr").await?).into_owned();
        assert_eq!(row["info"]["status"], wanted, "{row}\n{errors}");
        assert!(!errors.contains(SECRET_KEY) && !row.to_string().contains(SECRET_KEY));
        Ok(row)
    }

    async fn submit_v2(&self, kind: &str, arguments: Value) -> Result<String> {
        let body = json!({"job_name": "j", "job_type": kind, "arguments": arguments,
            "properties": {"foggara.sql.engine": "embedded"}});
        let made = v2(&self.world, Method::POST, &self.cluster, "/job-executions", Some(body)).await?.expect(200)?;
        Ok(made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned())
    }

    async fn submit_v1(&self, action: &str, input: &str, output: &str) -> Result<String> {
        let body = json!({"job_type": 5, "job_name": "copy", "cluster_id": self.cluster, "file_action": action,
            "input": input, "output": output, "arguments": "", "jar_path": "", "hql": "", "hive_script_path": ""});
        let made = self.world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?.expect(200)?;
        Ok(made["job_execution"]["id"].as_str().with_context(|| made.to_string())?.to_owned())
    }
}

#[tokio::test]
async fn distcp_copies_both_ways() -> Result<()> {
    let place = Place::start("").await?;
    let files = place.world.server.dir.join("files");
    place.s3.put("one", "in/a.txt", b"abc");
    place.s3.put("one", "in/b/c.txt", b"defg");
    let (here, back) = (files.join("here").display().to_string(), "s3a://two/back");
    let id = place.submit_v1("import", "s3a://one/in", &here).await?;
    place.ends(&id, "SUCCEEDED").await?;
    assert_eq!(fs::read_to_string(files.join("here/b/c.txt"))?, "defg");
    let id = place.submit_v1("export", &here, back).await?;
    place.ends(&id, "SUCCEEDED").await?;
    assert_eq!(place.s3.keys("two"), ["back/a.txt", "back/b/c.txt"]);
    let id = place.submit_v2("DistCp", json!(["s3a://one/nothing", here])).await?;
    let row = place.ends(&id, "FAILED").await?;
    assert!(row["info"]["reason"].to_string().contains("s3a://one/nothing"), "{row}");
    Ok(())
}

#[tokio::test]
async fn logs_are_copied_where_the_job_says() -> Result<()> {
    let place = Place::start("").await?;
    let files = place.world.server.dir.join("files");
    place.s3.put("one", "in/a.txt", b"abc");
    let run = async |job_log: &str, wanted: &str| -> Result<(String, Value)> {
        let to = files.join(format!("to-{}", job_log.len())).display().to_string();
        let body = json!({"job_type": 5, "job_name": "copy", "cluster_id": place.cluster, "file_action": "import",
            "input": "s3a://one/in", "output": to, "job_log": job_log});
        let made = place.world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?.expect(200)?;
        let id = made["id"].as_str().context("no id")?.to_owned();
        let row = place.ends(&id, wanted).await?;
        Ok((id, row))
    };
    let (id, _) = run("s3a://two/logs/", "SUCCEEDED").await?;
    assert_eq!(place.s3.keys("two"), [format!("logs/{id}/stderr"), format!("logs/{id}/stdout")]);
    let here = files.join("logs").display().to_string();
    let (id, _) = run(&here, "SUCCEEDED").await?;
    let copied = fs::read(files.join(format!("logs/{id}/stdout")))?;
    assert!(String::from_utf8_lossy(&copied).contains("Files Copied=1"));
    assert_eq!(copied, place.world.api.log(&id, "stdout").await?);
    // A place that cannot be written ends a good job as FAILED.
    for wrong in ["/not/below/a/root", "s3a://nobodys/logs"] {
        let (_, row) = run(wrong, "FAILED").await?;
        let reason = row["info"]["reason"].as_str().context("no reason")?;
        assert!(reason.contains("could not be copied to job_log") && reason.contains(wrong), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn sql_reads_and_writes_buckets() -> Result<()> {
    let place = Place::start(&format!("[sql]\nprogram = {:?}\n", engine()?)).await?;
    place.s3.put("one", "in/a.csv", b"b,2\na,1\n");
    place.s3.put("one", "in/c.csv", b"b,3\n");
    place.s3.put("one", "in/_SUCCESS", b"");
    let statements = "CREATE EXTERNAL TABLE words (word STRING, many INT) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' \
        LOCATION 's3a://one/in'; SELECT word, sum(many) AS n FROM words GROUP BY word ORDER BY word; \
        CREATE EXTERNAL TABLE sums (word STRING, n BIGINT) STORED AS PARQUET LOCATION 's3a://two/out'; \
        INSERT INTO sums SELECT word, sum(many) FROM words GROUP BY word; SELECT sum(n) AS n FROM sums";
    let id = place.submit_v2("SparkSql", json!([statements])).await?;
    place.ends(&id, "SUCCEEDED").await?;
    let path = format!("/job-executions/{id}/sql-result");
    let rows = v2(&place.world, Method::GET, &place.cluster, &path, None).await?.expect(200)?;
    assert_eq!(rows["sql_results"]["1"], json!([{"word": "a", "n": "1"}, {"word": "b", "n": "5"}]));
    assert_eq!(rows["sql_results"]["4"], json!([{"n": "6"}]));
    let made = place.s3.keys("two");
    assert!(made.iter().any(|key| key.starts_with("out/") && key.ends_with(".parquet")), "{made:?}");
    // A bucket that is not there is named.
    let statements = "CREATE EXTERNAL TABLE n (a INT) LOCATION 's3a://nobodys/x'; SELECT * FROM n";
    let id = place.submit_v2("HiveSql", json!([statements])).await?;
    let row = place.ends(&id, "FAILED").await?;
    assert!(row["info"]["reason"].to_string().contains("nobodys"), "{row}");
    Ok(())
}
