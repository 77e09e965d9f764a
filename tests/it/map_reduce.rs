//! MapReduce by the classes of mapper and reducer on `local`, for real: Hadoop's local runner out of Spark's jars. Needs what
//! scripts/setup-spark.sh gets.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use foggara_testkit::{processes::tagged, wait};
use serde_json::{Value, json};

use crate::{
    engines::{ends, jar, spark_home},
    world::{LONG, On, World},
};

const SECRET: &str = "a-very-secret-word";

/// Counts words by both interfaces. The newer mapper fails at one word, and at another says that it is up and waits for ever.
const WORDS: &str = r#"
import java.io.IOException;
import java.util.Iterator;
import org.apache.hadoop.io.*;
import org.apache.hadoop.mapred.*;
public class Words {
  private static final IntWritable ONE = new IntWritable(1);
  public static class OldMap extends MapReduceBase implements Mapper<LongWritable, Text, Text, IntWritable> {
    public void map(LongWritable key, Text line, OutputCollector<Text, IntWritable> out, Reporter r) throws IOException {
      for (String word : line.toString().split(" ")) out.collect(new Text(word), ONE);
    }
  }
  public static class OldReduce extends MapReduceBase implements Reducer<Text, IntWritable, Text, IntWritable> {
    public void reduce(Text word, Iterator<IntWritable> all, OutputCollector<Text, IntWritable> out, Reporter r)
        throws IOException {
      int sum = 0;
      while (all.hasNext()) sum += all.next().get();
      out.collect(word, new IntWritable(sum));
    }
  }
  public static class NewMap extends org.apache.hadoop.mapreduce.Mapper<LongWritable, Text, Text, IntWritable> {
    public void map(LongWritable key, Text line, Context out) throws IOException, InterruptedException {
      for (String word : line.toString().split(" ")) {
        if (word.equals("fail")) throw new IllegalStateException("no such thing as " + word);
        if (word.equals("wait")) {
          new java.io.File(out.getConfiguration().get("words.up")).createNewFile();
          while (true) Thread.sleep(1000);
        }
        out.write(new Text(word), ONE);
      }
    }
  }
  public static class NewReduce extends org.apache.hadoop.mapreduce.Reducer<Text, IntWritable, Text, IntWritable> {
    public void reduce(Text word, Iterable<IntWritable> all, Context out) throws IOException, InterruptedException {
      int sum = 0;
      for (IntWritable one : all) sum += one.get();
      out.write(word, new IntWritable(sum));
    }
  }
}"#;

const OLD: [(&str, &str); 2] = [("mapred.mapper.class", "Words$OldMap"), ("mapred.reducer.class", "Words$OldReduce")];
const NEW: [(&str, &str); 2] =
    [("mapreduce.job.map.class", "Words$NewMap"), ("mapreduce.job.reduce.class", "Words$NewReduce")];

/// A server with the jar as a template, and a folder of its files.
struct Place {
    world: World,
    template: String,
    files: PathBuf,
}

impl Place {
    async fn new() -> Result<Self> {
        let class_path = format!("{}/jars/*", spark_home()?.display());
        let world = World::start(On::Sqlite, "[jobs]\nkill_grace = 5\n").await?;
        let files = world.server.dir.join("files");
        fs::create_dir_all(&files)?;
        let bytes = jar(&world.server.dir, "Words", WORDS, &class_path)?;
        let lib = world.api.binary("words.jar", &bytes).await?;
        let template = world.api.template("words", "MapReduce", &[], &[&lib]).await?;
        Ok(Self { world, template, files })
    }

    async fn source(&self, name: &str) -> Result<String> {
        let url = format!("file://{}", self.files.join(name).display());
        let body = json!({"name": format!("source-{name}"), "type": "file", "url": url});
        let made = self.world.api.post("/data-sources", body).await?;
        Ok(made["data_source"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Starts a job over a folder with one file; gives its id.
    async fn start(&self, name: &str, text: &str, configs: &[(&str, &str)]) -> Result<String> {
        let (input, output) = (format!("in-{name}"), format!("out-{name}"));
        fs::create_dir_all(self.files.join(&input))?;
        fs::write(self.files.join(&input).join("a.txt"), text)?;
        let (input, output) = (self.source(&input).await?, self.source(&output).await?);
        self.execute(&input, &output, configs).await
    }

    async fn execute(&self, input: &str, output: &str, configs: &[(&str, &str)]) -> Result<String> {
        let classes = [
            ("mapreduce.job.output.key.class", "org.apache.hadoop.io.Text"),
            ("mapreduce.job.output.value.class", "org.apache.hadoop.io.IntWritable"),
            ("fs.s3a.secret.key", SECRET),
        ];
        let configs: serde_json::Map<String, Value> =
            classes.iter().chain(configs).map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let body = json!({"input_id": input, "output_id": output, "job_configs": {"configs": configs}});
        self.world.execute(&self.template, body).await
    }

    fn part(&self, name: &str, part: &str) -> Result<String> {
        let folder = self.files.join(format!("out-{name}"));
        assert!(folder.join("_SUCCESS").exists());
        fs::read_to_string(folder.join(part)).with_context(|| format!("{part} in {}", folder.display()))
    }

    /// Why a job failed.
    async fn reason(&self, id: &str) -> Result<String> {
        let row = ends(&self.world, id, "FAILED").await?;
        assert_eq!(row["return_code"], "1");
        Ok(row["info"]["reason"].as_str().context("no reason")?.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_counted_by_both_interfaces() -> Result<()> {
    let place = Place::new().await?;
    for (name, classes, part) in [("old", OLD, "part-00000"), ("new", NEW, "part-r-00000")] {
        let id = place.start(name, "b a b\n", &classes).await?;
        ends(&place.world, &id, "SUCCEEDED").await?;
        assert_eq!(place.part(name, part)?, "a\t1\nb\t2\n");
        let log = String::from_utf8(place.world.api.log(&id, "stderr").await?)?;
        for told in ["map 100% reduce 100%", "Map output records=3", "Reduce output records=2"] {
            assert!(log.contains(told), "{told}: {log}");
        }
        assert!(!log.contains(SECRET));
        let row = place.world.api.own(&id).await?;
        assert_eq!(row["progress"], 100.0, "{row}");
        assert_eq!(row["counters"]["Map-Reduce Framework"]["Map output records"], 3, "{row}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_says_what_is_wrong() -> Result<()> {
    let place = Place::new().await?;
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 3] = [
        ("missing", "a\n", &[("mapred.mapper.class", "Words.OldMap")], "there is no class Words.OldMap"),
        ("swapped", "a\n", &[("mapreduce.job.map.class", "Words$OldMap")], "go under mapred.mapper.class"),
        ("task", "a fail\n", &NEW, "java.lang.IllegalStateException: no such thing as fail"),
    ];
    for (name, text, configs, why) in cases {
        let reason = place.reason(&place.start(name, text, configs).await?).await?;
        assert!(reason.starts_with("exit code 1: ") && reason.contains(why), "{reason}");
    }
    // The output of the last one is there, and an input that is none.
    let (input, output) = (place.source("none").await?, place.source("fresh").await?);
    let reason = place.reason(&place.execute(&input, &output, &OLD).await?).await?;
    assert!(reason.contains("Input path does not exist") && reason.contains("none"), "{reason}");
    fs::create_dir_all(place.files.join("out-taken"))?;
    let reason = place.reason(&place.start("taken", "a\n", &OLD).await?).await?;
    assert!(reason.contains("out-taken already exists"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_job_is_gone_with_its_half_made_output() -> Result<()> {
    let place = Place::new().await?;
    let up = place.files.join("up");
    let mut configs = NEW.to_vec();
    let path = up.display().to_string();
    configs.push(("words.up", &path));
    // The largest file comes first; the second of the two never ends.
    fs::create_dir_all(place.files.join("in-waits"))?;
    fs::write(place.files.join("in-waits/b.txt"), "wait\n")?;
    let id = place.start("waits", "a b c\n", &configs).await?;
    wait::until("the mapper waits", LONG, || async { up.exists().then_some(()) }).await?;
    let row = wait::until("its progress is shown", LONG, || async {
        let row = place.world.api.own(&id).await.ok()?;
        row["progress"].as_f64().is_some_and(|percent| percent > 0.0).then_some(row)
    })
    .await?;
    let percent = row["progress"].as_f64().context("percent")?;
    assert!((20.0..=50.0).contains(&percent), "one of two mappers is done: {row}");
    assert!(row["counters"]["Map-Reduce Framework"]["Map output records"].as_i64() >= Some(3), "{row}");
    let shown = place.world.api.get(&format!("/job-exes/{id}")).await?;
    assert_eq!(shown["job_execution"]["progress"], format!("{}%", percent.round()), "{shown}");
    let events = place.world.api.own(&format!("{id}/events")).await?;
    let kinds: Vec<&str> =
        events["events"].as_array().context("events")?.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["submitted", "staging", "launching", "running"], "progress is no event");
    let found = tagged(&id);
    assert!(!found.is_empty(), "a JVM");
    for pid in found {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(SECRET), "a secret on a command line");
    }
    let temporary = place.files.join("out-waits/_temporary");
    assert!(temporary.exists(), "Hadoop makes the output in a folder of its own");
    place.world.api.delete(&format!("/job-executions/{id}")).await?;
    place.world.wait_unknown(&id).await?;
    place.world.wait_gone(&id).await?;
    assert!(!temporary.exists(), "the stopped job cleared it");
    Ok(())
}
