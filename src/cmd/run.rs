//! `foggara run`: one job from the shell. The file is uploaded, a template is made of it, the job runs, and its log is shown.
//!
//! The execution stays for a later look, and with it what was made for it, because a template with executions cannot be
//! removed (sahara-v1.1.md section 7). `--rm` removes all of it at the end, `foggara jobs delete` later.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Exit,
    client::{Body, Client, ClientArgs, part},
    complain,
    jobs::{self, follow_log},
    print,
};

/// Description of the templates that are made for one run.
const MARK: &str = "Made by foggara run";

/// Flags of `run` (decision 26).
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Job type; guessed from the file's name: .sh Shell, .py Spark, .jar Java, or Spark with a spark.* config
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Cluster by name or id
    #[arg(long, default_value = "local")]
    cluster: String,
    /// Library, may be given several times
    #[arg(long = "lib", value_name = "FILE", value_parser = existing)]
    libs: Vec<PathBuf>,
    /// Config of the job, may be given several times
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    /// Param of the job (for Shell: its environment), may be given several times
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Do not wait: print the id of the execution and end
    #[arg(long, conflicts_with = "rm")]
    detach: bool,
    /// Remove the execution at its end, with all that was made for it
    #[arg(long)]
    rm: bool,
    /// Script, Python file or jar
    #[arg(value_parser = existing)]
    file: PathBuf,
    /// Arguments of the job
    #[arg(last = true)]
    args: Vec<String>,
}

fn guess(file: &Path, configs: &[(String, String)]) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("py") => "Spark",
        Some("jar") if configs.iter().any(|(key, _)| key.starts_with("spark.")) => "Spark",
        Some("jar") => "Java",
        _ => "Shell",
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is wanted")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn existing(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let found = path.metadata().map_err(|error| error.to_string())?;
    if found.is_dir() { Err("it is a folder".to_owned()) } else { Ok(path) }
}

fn object(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
}

/// What was made for a run, in the order in which it was made.
#[derive(Default)]
pub struct Made {
    paths: Vec<String>,
}

impl Made {
    /// Removes it, what refers to something before that.
    pub async fn remove(&self, client: &Client) {
        for path in self.paths.iter().rev() {
            // What is used elsewhere by now stays, and so does what lies below it.
            if let Err(error) = client.sahara(Method::DELETE, path, Body::Empty, "").await {
                tracing::debug!("{path} stays: {error}");
                return;
            }
        }
    }
}

/// What `foggara run` made for the run of a template, if it was that.
pub async fn made_for_one_run(client: &Client, template: &str) -> Option<Made> {
    let path = format!("/jobs/{}", part(template));
    let template = client.sahara(Method::GET, &path, Body::Empty, "job").await.ok()?;
    if template["description"] != MARK {
        return None;
    }
    let mut made = Made::default();
    for binary in ["mains", "libs"].iter().filter_map(|key| template[*key].as_array()).flatten() {
        let internal = binary["url"].as_str().and_then(|url| url.strip_prefix("internal-db://"));
        made.paths.extend(internal.map(|id| format!("/job-binary-internals/{id}")));
        made.paths.extend(binary["id"].as_str().map(|id| format!("/job-binaries/{id}")));
    }
    made.paths.push(path);
    Some(made)
}

/// `foggara run`
pub async fn run(args: RunArgs) -> Result<Exit> {
    let job_type = args.job_type.clone().unwrap_or_else(|| guess(&args.file, &args.configs).to_owned());
    let client = Client::connect(&args.client).await?;
    let mut made = Made::default();
    let submitted = submit(&client, &args, &job_type, &mut made).await;
    let id = match submitted {
        Ok(id) => id,
        Err(error) => {
            made.remove(&client).await;
            return Err(error);
        }
    };
    if args.detach {
        print(&format!("{id}\n"))?;
        return Ok(Exit::Done);
    }
    let followed = tokio::select! {
        row = follow_log(&client, &id, &["stdout", "stderr"], true) => row,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bail!("the job goes on: `foggara jobs logs -f {id}` shows it, `foggara jobs cancel {id}` stops it");
        }
    };
    let row = followed.with_context(|| format!("execution {id}"))?;
    let status = row["info"]["status"].as_str().unwrap_or_default();
    let reason = row["info"]["reason"].as_str().unwrap_or("no reason is known");
    if status != "SUCCEEDED" {
        complain(&anyhow!("the job ended as {status}: {reason} (execution {id})"));
    }
    if args.rm {
        jobs::delete(&client, &id).await?;
    }
    Ok(if status == "SUCCEEDED" { Exit::Done } else { Exit::Failed })
}

async fn submit(client: &Client, args: &RunArgs, job_type: &str, made: &mut Made) -> Result<String> {
    let cluster = cluster(client, &args.cluster).await?;
    let mut mains = vec![upload(client, &args.file, made).await?];
    let mut libs = Vec::new();
    for lib in &args.libs {
        libs.push(upload(client, lib, made).await?);
    }
    // These types have no mains: the file is their library.
    if matches!(job_type, "Java" | "MapReduce" | "MapReduce.Streaming") {
        libs.splice(0..0, mains.drain(..));
    }
    let template = json!({"name": unique(&args.file)?, "type": job_type, "mains": mains, "libs": libs,
        "description": MARK});
    let template = client.sahara(Method::POST, "/jobs", Body::Json(template), "job").await?;
    let template = text(&template, "id")?;
    made.paths.push(format!("/jobs/{template}"));
    let configs = json!({
        "configs": object(&args.configs),
        "params": object(&args.params),
        "args": args.args,
    });
    let body = json!({"cluster_id": cluster, "job_configs": configs});
    let row =
        client.sahara(Method::POST, &format!("/jobs/{template}/execute"), Body::Json(body), "job_execution").await?;
    text(&row, "id")
}

fn text(object: &Value, key: &str) -> Result<String> {
    Ok(object[key].as_str().with_context(|| format!("the server's answer has no {key}"))?.to_owned())
}

/// The id of a cluster that has this name or id.
pub async fn cluster(client: &Client, wanted: &str) -> Result<String> {
    let list = client.sahara(Method::GET, "/clusters", Body::Empty, "clusters").await?;
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|cluster| cluster["id"] == wanted || cluster["name"] == wanted);
    if let Some(found) = found {
        return text(found, "id");
    }
    let names: Vec<&str> = all.iter().filter_map(|cluster| cluster["name"].as_str()).collect();
    bail!("there is no cluster '{wanted}'; there are: {}", names.join(", "))
}

/// A name for the server that keeps the ending of the file: it decides how the file is run.
fn unique(file: &Path) -> Result<String> {
    let name =
        file.file_name().and_then(|name| name.to_str()).with_context(|| format!("{}: no file", file.display()))?;
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
    let tail: String = safe.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    Ok(format!("run-{since}-{tail}"))
}

/// Uploads a file and gives the id of the job binary for it.
async fn upload(client: &Client, file: &Path, made: &mut Made) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let name = unique(file)?;
    let path = format!("/job-binary-internals/{name}");
    let internal = client.sahara(Method::PUT, &path, Body::Bytes(bytes.into()), "job_binary_internal").await?;
    let internal = text(&internal, "id")?;
    made.paths.push(format!("/job-binary-internals/{internal}"));
    let body = json!({"name": name, "url": format!("internal-db://{internal}")});
    let binary = client.sahara(Method::POST, "/job-binaries", Body::Json(body), "job_binary").await?;
    let binary = text(&binary, "id")?;
    made.paths.push(format!("/job-binaries/{binary}"));
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_guessed_and_pairs_are_read() {
        let of = |file: &str, key: &str| guess(Path::new(file), &[(key.to_owned(), String::new())]);
        assert_eq!((of("a.py", "x"), of("a.sh", "spark.x"), of("a", "x")), ("Spark", "Shell", "Shell"));
        assert_eq!((of("a.jar", "edp.java.main_class"), of("a.jar", "spark.executor.cores")), ("Java", "Spark"));
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err());
    }

    #[test]
    fn names_keep_the_ending_and_hold_nothing_odd() {
        let name = unique(Path::new("/tmp/my script $(x).sh")).expect("a name");
        assert!(name.starts_with("run-") && name.ends_with("my_script___x_.sh"), "{name}");
        assert!(unique(Path::new("/")).is_err());
    }
}
