//! Java and Spark on `local`, for real: a JDK and a Spark of scripts/setup-spark.sh. Without them these tests fail and say so.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use foggara_testkit::{java::brief, processes::tagged, wait};
use serde_json::{Value, json};

use crate::world::{LONG, On, World};

pub fn spark_home() -> Result<PathBuf> {
    let home = std::env::var_os("SPARK_HOME").map(PathBuf::from);
    home.filter(|home| home.join("bin/spark-submit").is_file())
        .context("SPARK_HOME names no Spark: scripts/setup-spark.sh gets one and prints its place")
}

/// Compiles one Java class into a jar.
pub fn jar(dir: &Path, class: &str, source: &str, class_path: &str) -> Result<Vec<u8>> {
    let file = dir.join(format!("{class}.java"));
    std::fs::write(&file, source)?;
    let compiled = Command::new("javac").args(["-cp", class_path, "-d"]).arg(dir.join("classes")).arg(&file).output();
    let compiled = compiled.context("javac: scripts/setup-spark.sh installs a JDK")?;
    if !compiled.status.success() {
        bail!("javac: {}", String::from_utf8_lossy(&compiled.stderr));
    }
    let script = "import sys, zipfile, os\nz = zipfile.ZipFile(sys.argv[1], 'w')\nfor n in os.listdir(sys.argv[2]):\n    z.write(os.path.join(sys.argv[2], n), n)\nz.close()";
    let jar = dir.join(format!("{class}.jar"));
    let zipped = Command::new("python3").args(["-c", script]).arg(&jar).arg(dir.join("classes")).status()?;
    assert!(zipped.success());
    Ok(std::fs::read(jar)?)
}

pub async fn ends(world: &World, id: &str, wanted: &str) -> Result<Value> {
    let row = world.wait(id, &["SUCCEEDED", "FAILED", "KILLED"]).await?;
    if row["info"]["status"] != wanted {
        let errors = String::from_utf8_lossy(&world.api.log(id, "stderr").await?).into_owned();
        bail!("{row}\n{errors}");
    }
    Ok(row)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_java_job_gets_options_arguments_and_its_class_path() -> Result<()> {
    let world = World::plain().await?;
    let source = "public class Main { public static void main(String[] a) throws Exception {\n\
        System.out.println(System.getProperty(\"greeting\") + \" \" + a[0] + \" \" + a.length);\n\
        if (a.length > 1) { System.exit(7); } } }";
    let lib = world.api.binary("main.jar", &jar(&world.server.dir, "Main", source, ".")?).await?;
    let template = world.api.template("java", "Java", &[], &[&lib]).await?;
    let configs = json!({"edp.java.main_class": "Main", "edp.java.java_opts": "-Dgreeting='hello there' -Xmx64m"});
    let body = |args: Value| json!({"job_configs": {"configs": configs, "args": args}});
    let id = world.execute(&template, body(json!(["one arg"]))).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "hello there one arg 1\n");
    let id = world.execute(&template, body(json!(["a", "b"]))).await?;
    let row = ends(&world, &id, "FAILED").await?;
    assert_eq!(row["return_code"], "7");
    Ok(())
}

pub fn quick(more: &[(&str, &str)]) -> Value {
    [("spark.ui.enabled", "false"), ("spark.driver.extraJavaOptions", &brief())]
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_job_of_spark_gets_settings_secrets_and_libraries() -> Result<()> {
    spark_home()?;
    let world = World::plain().await?;
    let main = "import sys, helper\nfrom pyspark.sql import SparkSession\n\
        s = SparkSession.builder.getOrCreate()\nc = s.sparkContext.getConf()\n\
        k = c.get('spark.hadoop.fs.s3a.secret.key')\n\
        n = s.sparkContext.parallelize(range(100), 2).map(helper.double).sum()\n\
        print('RESULT', n, c.get('spark.foggara.id'), k[::-1], k, sys.argv[1:])\n\
        import time\nopen(sys.argv[2], 'w').close()\n\
        while not __import__('os').path.exists(sys.argv[3]): time.sleep(0.05)\n";
    let main = world.api.binary("app.py", main.as_bytes()).await?;
    let lib = world.api.binary("helper.py", b"def double(x):\n    return 2 * x\n").await?;
    let template = world.api.template("pyspark", "Spark", &[&main], &[&lib]).await?;
    let (up, go) = (world.server.dir.join("up"), world.server.dir.join("go"));
    let configs = quick(&[("fs.s3a.secret.key", "a-very-secret-word")]);
    let args = json!(["two words", up, go]);
    let id = world.execute(&template, json!({"job_configs": {"configs": configs, "args": args}})).await?;
    wait::until("the job is at work", LONG, || async { up.exists().then_some(()) }).await?;
    for pid in tagged(&id) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains("a-very-secret-word"), "a secret on a command line");
    }
    let shown = world.api.execution(&id).await?;
    assert_eq!(shown["job_configs"]["configs"]["fs.s3a.secret.key"], "");
    assert!(!world.server.log().contains("a-very-secret-word"));
    std::fs::write(&go, "")?;
    ends(&world, &id, "SUCCEEDED").await?;
    let out = String::from_utf8(world.api.log(&id, "stdout").await?)?;
    let line = out.lines().find(|line| line.starts_with("RESULT")).context("no result")?.to_owned();
    assert!(line.starts_with("RESULT 9900 fg-") && line.contains(&id), "{line}");
    // The job had it, and whoever reads the log does not see it.
    assert!(line.contains("drow-terces-yrev-a ****************** ['two words'"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jar_of_spark_runs_its_class_and_a_missing_one_fails() -> Result<()> {
    let home = spark_home()?;
    let world = World::plain().await?;
    let source = "import org.apache.spark.sql.*;\npublic class Sum { public static void main(String[] a) {\n\
        SparkSession s = SparkSession.builder().getOrCreate();\n\
        System.out.println(\"COUNT \" + s.range(1000).count() + \" \" + a[0]); s.stop(); } }";
    let bytes = jar(&world.server.dir, "Sum", source, &format!("{}/jars/*", home.display()))?;
    let main = world.api.binary("sum.jar", &bytes).await?;
    let template = world.api.template("jar", "Spark", &[&main], &[]).await?;
    let body = |class: &str| {
        let configs = quick(&[("edp.java.main_class", class)]);
        json!({"job_configs": {"configs": configs, "args": ["x"]}})
    };
    let id = world.execute(&template, body("Sum")).await?;
    ends(&world, &id, "SUCCEEDED").await?;
    assert!(String::from_utf8(world.api.log(&id, "stdout").await?)?.contains("COUNT 1000 x"));
    let id = world.execute(&template, body("NoSuchClass")).await?;
    let row = ends(&world, &id, "FAILED").await?;
    assert_eq!(row["info"]["reason"], "exit code 101");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_python_driver_that_sleeps_is_gone_with_its_jvm() -> Result<()> {
    spark_home()?;
    let world = World::start(On::Sqlite, "[jobs]\nkill_grace = 2\n").await?;
    let main = "import sys, time\nfrom pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate()\n\
        open(sys.argv[1], 'w').close()\nwhile True: time.sleep(1)\n";
    let main = world.api.binary("sleep.py", main.as_bytes()).await?;
    let template = world.api.template("sleeper", "Spark", &[&main], &[]).await?;
    let up = world.server.dir.join("up");
    let id = world.execute(&template, json!({"job_configs": {"configs": quick(&[]), "args": [up]}})).await?;
    wait::until("the driver sleeps", LONG, || async { up.exists().then_some(()) }).await?;
    assert!(tagged(&id).len() >= 2, "a JVM and a Python driver");
    world.api.delete(&format!("/job-executions/{id}")).await?;
    world.wait_unknown(&id).await?;
    world.wait_gone(&id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_ours_are_refused_by_name() -> Result<()> {
    spark_home()?;
    let world = World::plain().await?;
    let main = world.api.binary("app.py", b"pass").await?;
    let template = world.api.template("ours", "Spark", &[&main], &[]).await?;
    let cluster = world.api.cluster("local").await?;
    for key in ["spark.foggara.id", "spark.master", "spark.submit.deployMode"] {
        let body = json!({"cluster_id": cluster, "job_configs": {"configs": {key: "x"}}});
        let answer = world.api.call(reqwest::Method::POST, &format!("/jobs/{template}/execute"), Some(body)).await?;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.text().contains(key), "{}", answer.text());
    }
    Ok(())
}
