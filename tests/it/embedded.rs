//! SQL jobs by the embedded engine, the real `foggara-sql`, on a host that has nothing else: no Spark, no Java, no Python.
//! scripts/test.sh builds it and names it in FOGGARA_SQL; without it these tests fail and say so.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use foggara_testkit::{processes::tagged, program::Server, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    mrs::v2,
    world::{BINARY, LONG, World, log_in, member_of},
};

pub fn engine() -> Result<PathBuf> {
    let program = std::env::var_os("FOGGARA_SQL").map(PathBuf::from);
    program.filter(|path| path.is_file()).context(
        "FOGGARA_SQL names no program: `cargo build --profile sql-test -p foggara-sqljob` makes one, target/sql-test/foggara-sql",
    )
}

/// A server that finds no program but ours, and the id of its cluster.
struct Bare {
    world: World,
    cluster: String,
    files: PathBuf,
    _dir: tempfile::TempDir,
}

impl Bare {
    async fn start(settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("foggara.toml"), format!("[sql]\nprogram = {:?}\n{settings}\n", engine()?))?;
        let mut server = Server::new(BINARY, dir.path());
        for variable in ["PATH", "SPARK_HOME", "JAVA_HOME"] {
            server.set(variable, "/nothing/is/here");
        }
        server.start()?;
        let api = log_in(&server).await?;
        let files = dir.path().join("files");
        fs::create_dir_all(&files)?;
        let cluster = api.cluster("local").await?;
        Ok(Self { world: World::of(server, api), cluster, files, _dir: dir })
    }

    async fn submit(&self, kind: &str, statements: &str, properties: Value) -> Result<String> {
        let body = json!({"job_name": "s", "job_type": kind, "arguments": [statements], "properties": properties});
        let made = v2(&self.world, Method::POST, &self.cluster, "/job-executions", Some(body)).await?.expect(200)?;
        Ok(made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned())
    }

    /// Runs statements of Hive to their good end; gives what was printed. MRS has a document of rows for Spark's SQL alone.
    async fn printed(&self, statements: &str) -> Result<String> {
        let id = self.submit("HiveSql", statements, json!({})).await?;
        self.ends(&id, "SUCCEEDED").await?;
        Ok(String::from_utf8(self.world.api.log(&id, "stdout").await?)?)
    }

    /// Runs statements of Spark to their good end; gives the document of the rows.
    async fn rows(&self, statements: &str) -> Result<Value> {
        let id = self.submit("SparkSql", statements, json!({})).await?;
        self.ends(&id, "SUCCEEDED").await?;
        let path = format!("/job-executions/{id}/sql-result");
        let mut body = v2(&self.world, Method::GET, &self.cluster, &path, None).await?.expect(200)?;
        Ok(body["sql_results"].take())
    }

    async fn ends(&self, id: &str, wanted: &str) -> Result<Value> {
        let row = self.world.wait(id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
        let errors = String::from_utf8_lossy(&self.world.api.log(id, "stderr").await?).into_owned();
        ensure!(row["info"]["status"] == wanted, "{row}\n{errors}");
        Ok(row)
    }

    /// Why statements fail.
    async fn reason(&self, statements: &str, properties: Value) -> Result<String> {
        let id = self.submit("HiveSql", statements, properties).await?;
        let row = self.ends(&id, "FAILED").await?;
        Ok(row["info"]["reason"].as_str().context("no reason")?.to_owned())
    }
}

/// Makes a table of ten digits, and says a number of so many digits and from where to select it.
fn numbers(power: usize) -> (&'static str, String, String) {
    let make = "CREATE TABLE IF NOT EXISTS d STORED AS PARQUET AS SELECT explode(array(0,1,2,3,4,5,6,7,8,9)) AS x;";
    let from: Vec<_> = (0..power).map(|index| format!("d t{index}")).collect();
    let number: Vec<_> = (0..power).map(|index| format!("t{index}.x * 1{}", "0".repeat(index))).collect();
    (make, number.join(" + "), from.join(" CROSS JOIN "))
}

#[tokio::test]
async fn hive_sql_runs_where_there_is_nothing_but_two_programs() -> Result<()> {
    let mut bare = Bare::start("").await?;
    let place = bare.files.join("in");
    fs::create_dir(&place)?;
    fs::write(place.join("words.csv"), "b,2\na,1\nb,3\n")?;
    fs::write(place.join("_SUCCESS"), "")?;
    fs::write(place.join(".words.csv.crc"), "xyz")?;
    let statements = format!(
        "CREATE EXTERNAL TABLE words (word STRING, many INT) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION '{}';\n\
         SELECT word, sum(many) AS total FROM words GROUP BY word ORDER BY word",
        place.display()
    );
    assert_eq!(bare.printed(&statements).await?, "a\t1\nb\t5\n");
    // The table lasts, over another kind of job and a restart; and it is of this project alone.
    bare.world.restart_hard().await?;
    assert_eq!(
        bare.rows("drop table if exists x; select count(*) n from words").await?,
        json!({"0": [{"result": "succeed"}], "1": [{"n": "3"}]})
    );
    bare.world.api = member_of(&bare.world.server, "other", "member").await?;
    assert_eq!(bare.printed("show tables").await?, "");
    Ok(())
}

#[tokio::test]
async fn a_script_runs_and_tells_its_engine_and_progress() -> Result<()> {
    let bare = Bare::start("").await?;
    let script = "-- two statements\nCREATE TABLE t STORED AS PARQUET AS SELECT 1 AS a;\nSELECT a FROM ${name};\n";
    let binary = bare.world.api.binary("t.sql", script.as_bytes()).await?;
    let template = bare.world.api.template("script", "SparkScript", &[&binary], &[]).await?;
    let id = bare.world.execute(&template, json!({"job_configs": {"params": {"name": "t"}}})).await?;
    bare.ends(&id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(bare.world.api.log(&id, "stdout").await?)?, "1\n");
    let progress = String::from_utf8(bare.world.api.log(&id, "stderr").await?)?;
    assert!(progress.contains("statement 2 of 2: SELECT"), "{progress}");
    let path = format!("/api/v1/executions/{id}/explain");
    let explained = bare.world.api.raw(Method::GET, &path, &[], None).await?.expect(200)?;
    assert!(explained.to_string().contains("by the embedded SQL engine"), "{explained}");
    // Spark is not here; who asks for it is told so, with the way to get it.
    let body = json!({"job_name": "s", "job_type": "HiveSql", "arguments": ["select 1"],
        "properties": {"foggara.sql.engine": "spark"}});
    let made = v2(&bare.world, Method::POST, &bare.cluster, "/job-executions", Some(body)).await?.expect(200)?;
    let id = made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned();
    let row = bare.ends(&id, "FAILED").await?;
    assert!(row["info"]["reason"].to_string().contains("foggara engines install spark"), "{row}");
    Ok(())
}

#[tokio::test]
async fn what_fails_says_why() -> Result<()> {
    let bare = Bare::start("memory_mb = 16").await?;
    let reason = bare.reason("SELECT 1;\nSELECT 2 AS\n  FROM t", json!({})).await?;
    assert!(reason.contains("line 3, column"), "{reason}");
    let reason = bare.reason("SELECT date_format(now(), 'G')", json!({})).await?;
    assert!(reason.contains("\"G\"") && reason.contains("line 1"), "{reason}");
    let (make, number, from) = numbers(6);
    let big =
        format!("{make} SELECT size(collect_list(concat('some text that is rather long ', {number}))) FROM {from}");
    let reason = bare.reason(&big, json!({})).await?;
    assert!(reason.contains("over the memory limit of 16777216 bytes"), "{reason}");
    let (make, number, from) = numbers(12);
    let long = format!("{make} SELECT max({number}) FROM {from}");
    let reason = bare.reason(&long, json!({"foggara.sql.timeout": "1"})).await?;
    assert!(reason.contains("time limit of 1 second"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn a_cut_result_says_so() -> Result<()> {
    let bare = Bare::start("result_rows = 10").await?;
    let (make, number, from) = numbers(2);
    for (limit, cut) in [(10, None), (11, Some("true"))] {
        let statement = format!("{make} SELECT {number} AS n FROM {from} ORDER BY n LIMIT {limit}");
        let id = bare.submit("SparkSql", &statement, json!({})).await?;
        bare.ends(&id, "SUCCEEDED").await?;
        let path = format!("/job-executions/{id}/sql-result");
        let answer = v2(&bare.world, Method::GET, &bare.cluster, &path, None).await?;
        let told = answer.headers.get("x-foggara-truncated").map(|value| value.to_str()).transpose()?;
        assert_eq!(told, cut);
        assert_eq!(answer.json()["sql_results"]["1"].as_array().map(Vec::len), Some(10));
    }
    Ok(())
}

#[tokio::test]
async fn a_long_operator_is_cancelled_and_gone() -> Result<()> {
    let bare = Bare::start("").await?;
    let (make, number, from) = numbers(14);
    let id = bare.submit("HiveSql", &format!("{make} SELECT max({number}) FROM {from}"), json!({})).await?;
    bare.world.wait(&id, &["RUNNING"]).await?;
    wait::until("the engine at work", LONG, || async { (!tagged(&id).is_empty()).then_some(()) }).await?;
    let kill = format!("/job-executions/{id}/kill");
    let answer = v2(&bare.world, Method::POST, &bare.cluster, &kill, None).await?.expect(202)?;
    assert_eq!(answer, json!({"result": "succeeded"}));
    bare.ends(&id, "KILLED").await?;
    assert_eq!(tagged(&id), Vec::<i32>::new());
    Ok(())
}

#[tokio::test]
async fn a_statement_of_presto_runs_on_it() -> Result<()> {
    let bare = Bare::start("").await?;
    let statement = "select \"n\", length('ab') from (values (7)) as t (\"n\")";
    let body = json!({"sql_type": "presto", "sql_content": statement, "database": "default"});
    let made = v2(&bare.world, Method::POST, &bare.cluster, "/sql-execution", Some(body)).await?.expect(200)?;
    let path = format!("/sql-execution/{}", made["sql_id"].as_str().context("no id")?);
    let done = wait::until("an end", LONG, || async {
        let shown = v2(&bare.world, Method::GET, &bare.cluster, &path, None).await.ok()?.expect(200).ok()?;
        (shown["status"] == "FINISHED" || shown["status"] == "FAILED").then_some(shown)
    })
    .await?;
    assert_eq!(done["content"], json!([["7", "2"]]), "{done}");
    Ok(())
}

/// The most memory that a process had, in MiB.
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_million_rows_stream_through_the_server() -> Result<()> {
    let bare = Bare::start("result_rows = 0").await?;
    let pid = bare.world.server.pid().context("no server")?;
    let (make, number, from) = numbers(7);
    let id = bare.submit("SparkSql", &format!("{make} SELECT {number} AS n FROM {from}"), json!({})).await?;
    bare.ends(&id, "SUCCEEDED").await?;
    let before = peak(pid)?;
    let api = &bare.world.api;
    let url = format!("{}/v2/{}/clusters/{}/job-executions/{id}/sql-result", api.url, api.project, bare.cluster);
    let mut answer = foggara_testkit::api::http().get(url).header("X-Auth-Token", &api.token).send().await?;
    assert_eq!(answer.status().as_u16(), 200);
    // Every row is an object: as many `{` as rows, one for the first statement, and two around them.
    let (mut opened, mut bytes) = (0_u64, 0_u64);
    while let Some(chunk) = answer.chunk().await? {
        opened += u64::try_from(chunk.iter().filter(|byte| **byte == b'{').count())?;
        bytes += u64::try_from(chunk.len())?;
    }
    assert_eq!(opened, 10_000_000 + 3);
    assert!(bytes > 100_000_000, "{bytes}");
    // The answer has 170 MB; buffers are far smaller.
    let grown = peak(pid)?.saturating_sub(before);
    assert!(grown < 48, "the server grew by {grown} MiB over {bytes} bytes");
    Ok(())
}

#[tokio::test]
async fn doctor_and_engines_show_what_runs_sql() -> Result<()> {
    let bare = Bare::start("").await?;
    for (words, wanted) in [
        (vec!["doctor"], engine()?.display().to_string()),
        (vec!["engines", "list"], "Hive, Spark SQL      ready".to_owned()),
    ] {
        let output = bare.world.server.run(&words)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&wanted), "{words:?}: {text}");
    }
    Ok(())
}
