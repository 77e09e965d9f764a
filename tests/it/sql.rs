//! SQL jobs for real, sent as Sahara's job templates: on Spark, by its catalogue that lasts.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    engines::{ends, spark_home},
    world::World,
};

/// Spark as quick as it gets.
fn configs() -> Value {
    json!({
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.shuffle.partitions": "1",
        "foggara.sql.engine": "spark",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_hive_run_on_spark_and_its_tables_last() -> Result<()> {
    spark_home()?;
    let world = World::plain().await?;
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

    // A second job sees the table; a third fails with Spark's words.
    let id = world.execute(&template, body("select count(*) from words")).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "3\n");
    let id = world.execute(&template, body("select nothing from words")).await?;
    let row = ends(&world, &id, "FAILED").await?;
    let reason = row["info"]["reason"].as_str().context("a reason")?;
    assert!(reason.contains("nothing") && reason.contains("line 1"), "{reason}");
    Ok(())
}
