//! MRS's types on the real engines of `local`: MapReduce and Spark by jar and by Python, with secret words that no command line shows.
//! They need what scripts/setup-spark.sh gets.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use foggara_testkit::{processes::tagged, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    engines::{ends, jar, quick, spark_home},
    mrs::v2,
    world::{LONG, On, World},
};

const SECRET: &str = "a-very-secret-word";

/// Counts words by Hadoop's own mapper and reducer; waits for a file before, so that a test can look at it; says what it got.
const COUNT: &str = r#"
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.*;
import org.apache.hadoop.mapreduce.*;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.map.TokenCounterMapper;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;
import org.apache.hadoop.mapreduce.lib.reduce.IntSumReducer;
public class Count { public static void main(String[] a) throws Exception {
  System.out.println("GOT " + a.length + " " + new StringBuilder(a[0]).reverse());
  new java.io.File(a[1] + ".up").createNewFile();
  while (!new java.io.File(a[1]).exists()) Thread.sleep(20);
  Job job = Job.getInstance(new Configuration(), "count");
  job.setJarByClass(Count.class);
  job.setMapperClass(TokenCounterMapper.class);
  job.setReducerClass(IntSumReducer.class);
  job.setOutputKeyClass(Text.class);
  job.setOutputValueClass(IntWritable.class);
  FileInputFormat.addInputPath(job, new Path(a[2]));
  FileOutputFormat.setOutputPath(job, new Path(a[3]));
  System.exit(job.waitForCompletion(true) ? 0 : 1);
} }"#;

/// Sums on Spark, after the same wait.
const SUM: &str = r#"
import org.apache.spark.sql.*;
public class Sum { public static void main(String[] a) throws Exception {
  SparkSession s = SparkSession.builder().getOrCreate();
  System.out.println("GOT " + a.length + " " + new StringBuilder(a[0]).reverse());
  new java.io.File(a[1] + ".up").createNewFile();
  while (!new java.io.File(a[1]).exists()) Thread.sleep(20);
  System.out.println("COUNT " + s.range(1000).count());
  s.stop();
} }"#;

const PYTHON: &str = "import os, sys, time\nfrom pyspark.sql import SparkSession\ns = SparkSession.builder.getOrCreate()\n\
    print('GOT', len(sys.argv) - 1, sys.argv[1][::-1], flush=True)\nopen(sys.argv[2] + '.up', 'w').close()\n\
    while not os.path.exists(sys.argv[2]): time.sleep(0.02)\nprint('COUNT', s.range(1000).count())\n";

/// Submits, waits until the program is at work, looks for the secret in every command line, lets it go on to its good end.
async fn runs(world: &World, body: Value, go: &Path) -> Result<(String, String)> {
    let cluster = world.api.cluster("local").await?;
    let made = v2(world, Method::POST, &cluster, "/job-executions", Some(body)).await?.expect(200)?;
    let id = made["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned();
    let up = go.with_extension("go.up");
    let at_work = wait::until("the job is at work", LONG, || async {
        let row = world.api.execution(&id).await.ok()?;
        (up.exists() || row["info"]["status"] == "FAILED").then_some(())
    });
    at_work.await?;
    let found = tagged(&id);
    assert!(up.exists() && !found.is_empty(), "{}", String::from_utf8_lossy(&world.api.log(&id, "stderr").await?));
    for pid in found {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(SECRET), "a secret on a command line");
    }
    let shown = v2(world, Method::GET, &cluster, &format!("/job-executions/{id}"), None).await?;
    assert!(!shown.text().contains(SECRET) && !world.server.log().contains(SECRET), "{}", shown.text());
    fs::write(go, "")?;
    ends(world, &id, "SUCCEEDED").await?;
    let out = String::from_utf8(world.api.log(&id, "stdout").await?)?;
    assert!(out.contains(" drow-terces-yrev-a"), "the job had the secret: {out}");
    Ok((id, out))
}

async fn world() -> Result<World> {
    spark_home()?;
    let world = World::start(On::Sqlite, "").await?;
    fs::create_dir_all(world.server.dir.join("files"))?;
    Ok(world)
}

fn class_path() -> Result<String> {
    Ok(format!("{}/jars/*", spark_home()?.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jar_of_mapreduce_counts_words() -> Result<()> {
    let world = world().await?;
    let files = world.server.dir.join("files");
    fs::create_dir(files.join("in"))?;
    fs::write(files.join("in/a.txt"), "b a b\n")?;
    fs::write(files.join("count.jar"), jar(&world.server.dir, "Count", COUNT, &class_path()?)?)?;
    let go = files.join("job.go");
    let of = |out: &str| {
        json!({"job_name": "count", "job_type": "MapReduce", "arguments": [files.join("count.jar"), "Count",
            format!("@password={SECRET}"), go, files.join("in"), files.join(out)],
            "properties": {"mapreduce.job.reduces": "1"}})
    };
    let (id, out) = runs(&world, of("out"), &go).await?;
    assert!(out.contains("GOT 4"), "{out}");
    assert_eq!(fs::read_to_string(files.join("out/part-r-00000"))?, "a\t1\nb\t2\n");
    assert!(files.join("out/_SUCCESS").exists());
    let counters = String::from_utf8(world.api.log(&id, "stderr").await?)?;
    assert!(counters.contains("Map output records=3"), "{counters}");
    let row = world.api.own(&id).await?;
    assert_eq!(
        (&row["progress"], &row["counters"]["Map-Reduce Framework"]["Map output records"]),
        (&json!(100.0), &json!(3))
    );
    // An output that is there fails in Hadoop's own words.
    let cluster = world.api.cluster("local").await?;
    let made = v2(&world, Method::POST, &cluster, "/job-executions", Some(of("out"))).await?.expect(200)?;
    let id = made["job_submit_result"]["job_id"].as_str().context("no id")?;
    ends(&world, id, "FAILED").await?;
    let errors = String::from_utf8(world.api.log(id, "stderr").await?)?;
    assert!(errors.contains("FileAlreadyExistsException"), "{errors}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jar_of_spark_gets_a_secret_word() -> Result<()> {
    let world = world().await?;
    let files = world.server.dir.join("files");
    fs::write(files.join("sum.jar"), jar(&world.server.dir, "Sum", SUM, &class_path()?)?)?;
    let go = files.join("job.go");
    let body = json!({"job_name": "sum", "job_type": "SparkSubmit", "properties": quick(&[]), "arguments":
        ["--driver-memory", "512m", "--class", "Sum", files.join("sum.jar"), format!("@password={SECRET}"), go]});
    let (_, out) = runs(&world, body, &go).await?;
    assert!(out.contains("GOT 2") && out.contains("COUNT 1000"), "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_program_of_spark_gets_a_secret_word() -> Result<()> {
    let world = world().await?;
    let files = world.server.dir.join("files");
    fs::write(files.join("sum.py"), PYTHON)?;
    let go = files.join("job.go");
    let body = json!({"job_name": "sum", "job_type": "SparkPython", "properties": quick(&[]),
        "arguments": [files.join("sum.py"), format!("@password={SECRET}"), go]});
    let (_, out) = runs(&world, body, &go).await?;
    assert!(out.contains("GOT 2") && out.contains("COUNT 1000"), "{out}");
    Ok(())
}
