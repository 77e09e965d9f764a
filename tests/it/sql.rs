//! SQL jobs for real, sent as Sahara's job templates: on Spark, by its catalogue that lasts, and by a metastore elsewhere.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    engines::{ends, spark_home},
    metastore::Metastore,
    world::{On, World, member_of},
};

/// Spark as quick as it gets.
fn configs() -> Value {
    json!({
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": foggara_testkit::java::brief(),
        "spark.sql.shuffle.partitions": "1",
        "foggara.sql.engine": "spark",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_hive_run_on_spark_and_its_tables_last() -> Result<()> {
    let spark = spark_home()?;
    let dir = tempfile::tempdir()?;
    // It starts while the first jobs run.
    let metastore = Metastore::start(&spark, dir.path())?;
    let settings = format!("[clusters.shared]\nplugin = \"local\"\nmetastore = \"{}\"\n", metastore.address());
    let mut world = World::start(On::Sqlite, &settings).await?;
    let files = world.server.dir.join("data/files");
    std::fs::create_dir_all(files.join("in"))?;
    std::fs::write(files.join("in/words.txt"), "b,2\na,1\nb,3\n")?;
    let template = world.api.template("sql", "hql", &[], &[]).await?;
    let place = files.join("in").display().to_string();
    let script = format!(
        "CREATE EXTERNAL TABLE words (word STRING, many INT) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION '{place}';\n\
         -- a ; in a comment\nSELECT word, sum(many), ';' AS x FROM words GROUP BY word ORDER BY word"
    );
    let body = |text: &str| json!({"job_configs": {"configs": configs(), "args": [text]}});
    let id = world.execute(&template, body(&script)).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "a\t1\t;\nb\t5\t;\n");
    let path = format!("/api/v1/executions/{id}/explain");
    let explained = world.api.raw(Method::GET, &path, &[], None).await?.expect(200)?;
    assert!(explained.to_string().contains("by Spark"), "{explained}");

    // A second job sees the table. A text that is no number is NULL, as in the embedded engine.
    let id = world.execute(&template, body("select count(*) from words; select cast('x' as int), 1 + 'y'")).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "3\nNULL\tNULL\n");

    // What does not end in time is ended.
    let mut long = body("select max(a.id * b.id) from range(1000000000) a cross join range(1000000000) b");
    long["job_configs"]["configs"]["foggara.sql.timeout"] = json!("3");
    let id = world.execute(&template, long).await?;
    let row = ends(&world, &id, "FAILED").await?;
    assert!(row["info"]["reason"].to_string().contains("over the time limit of 3 seconds"), "{row}");

    // A cluster with a metastore knows the tables of that instead.
    metastore.is_up().await?;
    let script = "show tables; create table theirs using parquet as select 7 seven; select * from theirs";
    let id = on_shared(&world, &template, body(script)).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "7\n");

    // A job of another project sees them by the same metastore; it fails with Spark's words.
    world.api = member_of(&world.server, "others", "member").await?;
    let template = world.api.template("sql", "hql", &[], &[]).await?;
    let id = on_shared(&world, &template, body("select seven from theirs; select nothing from theirs")).await?;
    let row = ends(&world, &id, "FAILED").await?;
    let reason = row["info"]["reason"].as_str().context("a reason")?;
    assert!(reason.contains("nothing") && reason.contains("line 1"), "{reason}");
    assert!(String::from_utf8(world.api.log(&id, "stdout").await?)?.starts_with("7\n"));
    Ok(())
}

/// Runs a template on the cluster with a metastore.
async fn on_shared(world: &World, template: &str, mut body: Value) -> Result<String> {
    body["cluster_id"] = Value::from(world.api.cluster("shared").await?);
    let row = world.api.post(&format!("/jobs/{template}/execute"), body).await?;
    Ok(row["job_execution"]["id"].as_str().context("no id")?.to_owned())
}
