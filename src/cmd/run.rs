//! `foggara run`: one job from the shell. The file is uploaded, a template is made of it, the job runs, its log is shown, and
//! what was made for it is removed again; the execution stays.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Exit,
    client::{Body, Client, ClientArgs},
    jobs::follow_log,
    print,
};

/// Flags of `run` (decision 26).
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Job type; guessed from the file's name: .sh Shell, .py Spark, .jar Java
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Cluster by name or id
    #[arg(long, default_value = "local")]
    cluster: String,
    /// Library, may be given several times
    #[arg(long = "lib", value_name = "FILE")]
    libs: Vec<PathBuf>,
    /// Config of the job, may be given several times
    #[arg(long = "conf", value_name = "KEY=VALUE")]
    configs: Vec<String>,
    /// Param of the job (for Shell: its environment), may be given several times
    #[arg(long = "param", value_name = "KEY=VALUE")]
    params: Vec<String>,
    /// Do not wait: print the id of the execution and end
    #[arg(long)]
    detach: bool,
    /// Script, Python file or jar
    file: PathBuf,
    /// Arguments of the job
    #[arg(last = true)]
    args: Vec<String>,
}

fn guess(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("py") => "Spark",
        Some("jar") => "Java",
        _ => "Shell",
    }
}

fn pairs(texts: &[String], flag: &str) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=') else { bail!("{flag} {text}: KEY=VALUE is wanted") };
        map.insert(key.to_owned(), Value::from(value));
    }
    Ok(map)
}

/// What was made for the run, to be removed behind it.
#[derive(Default)]
struct Made {
    paths: Vec<String>,
}

impl Made {
    async fn remove(&self, client: &Client) {
        for path in self.paths.iter().rev() {
            // A template with an execution stays as long as the execution: that is Sahara's rule.
            if let Err(error) = client.sahara(Method::DELETE, path, Body::Empty, "").await {
                tracing::debug!("{path} stays: {error}");
            }
        }
    }
}

/// `foggara run`
pub async fn run(args: RunArgs) -> Result<Exit> {
    let job_type = args.job_type.clone().unwrap_or_else(|| guess(&args.file).to_owned());
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
    let row = follow_log(&client, &id, &["stdout", "stderr"], true).await?;
    made.remove(&client).await;
    let status = row["info"]["status"].as_str().unwrap_or_default();
    if status == "SUCCEEDED" {
        return Ok(Exit::Done);
    }
    let reason = row["info"]["reason"].as_str().unwrap_or("no reason is known");
    bail!("the job ended as {status}: {reason} (execution {id})")
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
    let template = json!({"name": unique(&args.file)?, "type": job_type, "mains": mains, "libs": libs});
    let template = client.sahara(Method::POST, "/jobs", Body::Json(template), "job").await?;
    let template = text(&template, "id")?;
    made.paths.push(format!("/jobs/{template}"));
    let configs = json!({
        "configs": pairs(&args.configs, "--conf")?,
        "params": pairs(&args.params, "--param")?,
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
    let internal = client.sahara(Method::PUT, &path, Body::Bytes(bytes), "job_binary_internal").await?;
    let internal = text(&internal, "id")?;
    made.paths.push(format!("/job-binary-internals/{internal}"));
    let body = json!({"name": name, "url": format!("internal-db://{internal}")});
    let binary = client.sahara(Method::POST, "/job-binaries", Body::Json(body), "job_binary").await?;
    let binary = text(&binary, "id")?;
    made.paths.push(format!("/job-binaries/{binary}"));
    Ok(binary)
}
