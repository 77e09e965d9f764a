//! `foggara clusters`: list, show, make, scale and delete clusters.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    Exit,
    client::{Body, Client, ClientArgs, part},
    output::{OutputArgs, Progress, members_table, rows_table, text_of},
    print,
};

/// How often a cluster that is awaited is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Flags of `clusters`.
#[derive(Args, Debug)]
pub struct ClustersArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// All clusters that the project sees
    List,
    /// One cluster, with its nodes and the steps of its way
    Show {
        /// Its name or id
        cluster: String,
    },
    /// Make a cluster, and wait until it is Active
    Create(CreateArgs),
    /// Change the count of a node group, and wait until the cluster is Active again
    Scale {
        /// Its name or id
        cluster: String,
        /// Node group and count, as workers=3
        #[arg(required = true, value_name = "GROUP=COUNT")]
        counts: Vec<String>,
    },
    /// Delete clusters; their jobs are stopped first
    Delete {
        /// Their names or ids
        #[arg(required = true)]
        clusters: Vec<String>,
        /// Do not wait until they are gone
        #[arg(long)]
        no_wait: bool,
    },
}

/// Flags of `clusters create`.
#[derive(Args, Debug)]
struct CreateArgs {
    /// Its name
    name: String,
    /// Its plugin: local, spark, flink, yarn, kubernetes, hive, storm
    #[arg(long, default_value = "local")]
    plugin: String,
    /// Version of the plugin; the first that there is without it
    #[arg(long)]
    plugin_version: Option<String>,
    /// A setting, as spark.memory_mb=2048 or spark.master=spark://host:7077
    #[arg(long = "set", value_name = "TARGET.NAME=VALUE")]
    settings: Vec<String>,
    /// A node group as NAME:COUNT:PROCESS,PROCESS. Without any, spark gets a master and the workers, local its slots
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Workers of a Spark cluster
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// Jobs that a local cluster runs at once
    #[arg(long, default_value_t = 1)]
    slots: u32,
    /// Do not wait until it is Active
    #[arg(long)]
    no_wait: bool,
}

/// `foggara clusters`
pub async fn run(args: ClustersArgs) -> Result<Exit> {
    let client = Client::connect(&args.client).await?;
    match args.action {
        Action::List => {
            let list = client.sahara(Method::GET, "/clusters", Body::Empty, "clusters").await?;
            args.output.show(&list, list_table)?;
        }
        Action::Show { cluster } => {
            let id = id_of(&client, &cluster).await?;
            let path = format!("/clusters/{id}?show_progress=true");
            let shown = client.sahara(Method::GET, &path, Body::Empty, "cluster").await?;
            args.output.show(&shown, cluster_table)?;
        }
        Action::Create(create) => {
            let body = body_of(&client, &create).await?;
            let made = client.sahara(Method::POST, "/clusters", Body::Json(body), "cluster").await?;
            let made = if create.no_wait { made } else { settled(&client, &text_of(&made["id"])).await? };
            args.output.show(&made, cluster_table)?;
            return Ok(if made["status"] == "Error" { Exit::Failed } else { Exit::Done });
        }
        Action::Scale { cluster, counts } => {
            let id = id_of(&client, &cluster).await?;
            let resize = counts.iter().map(|text| count_of(text)).collect::<Result<Vec<_>>>()?;
            let body = json!({"resize_node_groups": resize});
            client.sahara(Method::PUT, &format!("/clusters/{id}"), Body::Json(body), "cluster").await?;
            let scaled = settled(&client, &id).await?;
            args.output.show(&scaled, cluster_table)?;
            return Ok(if scaled["status"] == "Error" { Exit::Failed } else { Exit::Done });
        }
        Action::Delete { clusters, no_wait } => {
            for cluster in clusters {
                let path = format!("/clusters/{}", id_of(&client, &cluster).await?);
                client.sahara(Method::DELETE, &path, Body::Empty, "").await?;
                if !no_wait {
                    gone(&client, &path).await?;
                }
                print(&format!("{cluster}\n"))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// A cluster by its name, its id, or the beginning of one.
async fn id_of(client: &Client, wanted: &str) -> Result<String> {
    let list = client.sahara(Method::GET, "/clusters", Body::Empty, "clusters").await?;
    let all = list.as_array().into_iter().flatten();
    let found: Vec<&Value> = all.filter(|cluster| cluster["name"] == wanted || cluster["id"] == wanted).collect();
    match found.as_slice() {
        [one] => Ok(part(&text_of(&one["id"]))),
        [] => Err(anyhow!("there is no cluster '{wanted}'; `foggara clusters list` shows those that there are")),
        _ => Err(anyhow!("several clusters are called '{wanted}': give the id of one")),
    }
}

async fn body_of(client: &Client, args: &CreateArgs) -> Result<Value> {
    let version = match &args.plugin_version {
        Some(version) => version.clone(),
        None => {
            let path = format!("/plugins/{}", part(&args.plugin));
            let plugin = client.sahara(Method::GET, &path, Body::Empty, "plugin").await?;
            text_of(&plugin["versions"][0])
        }
    };
    let mut configs: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for setting in &args.settings {
        let (key, value) = setting.split_once('=').with_context(|| format!("'{setting}' is not TARGET.NAME=VALUE"))?;
        let (target, name) = key.split_once('.').with_context(|| format!("'{setting}' is not TARGET.NAME=VALUE"))?;
        let value = value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number));
        configs.entry(target.to_owned()).or_default().insert(name.to_owned(), value);
    }
    let is_external = configs.get("spark").is_some_and(|spark| spark.contains_key("master"));
    let groups = match args.groups.as_slice() {
        [] if args.plugin == "spark" && !is_external => {
            vec![group("master", 1, &["master"]), group("workers", i64::from(args.workers), &["slave"])]
        }
        [] if args.plugin == "local" => vec![group("slots", i64::from(args.slots), &["local"])],
        groups => groups.iter().map(|text| group_of(text)).collect::<Result<_>>()?,
    };
    Ok(json!({
        "name": args.name,
        "plugin_name": args.plugin,
        "hadoop_version": version,
        "cluster_configs": configs,
        "node_groups": groups,
    }))
}

/// Flavors mean nothing to our plugins, and every node group has one.
fn group(name: &str, count: i64, processes: &[&str]) -> Value {
    json!({"name": name, "count": count, "node_processes": processes, "flavor_id": "1"})
}

fn group_of(text: &str) -> Result<Value> {
    let parts: Vec<&str> = text.split(':').collect();
    let [name, count, processes] = parts.as_slice() else { bail!("'{text}' is not NAME:COUNT:PROCESS,PROCESS") };
    let count = count.parse().with_context(|| format!("'{text}': '{count}' is not a count"))?;
    Ok(group(name, count, &processes.split(',').collect::<Vec<_>>()))
}

fn count_of(text: &str) -> Result<Value> {
    let (name, count) = text.split_once('=').with_context(|| format!("'{text}' is not GROUP=COUNT"))?;
    let count: u32 = count.parse().with_context(|| format!("'{text}': '{count}' is not a count"))?;
    Ok(json!({"name": name, "count": count}))
}

/// The cluster when nothing is under way any more.
async fn settled(client: &Client, id: &str) -> Result<Value> {
    let mut progress = Progress::new(true);
    let path = format!("/clusters/{}?show_progress=true", part(id));
    loop {
        let cluster = client.sahara(Method::GET, &path, Body::Empty, "cluster").await?;
        let status = text_of(&cluster["status"]);
        if ["Active", "Error"].contains(&status.as_str()) {
            progress.clear();
            return Ok(cluster);
        }
        progress.say(&status);
        tokio::time::sleep(LOOK).await;
    }
}

async fn gone(client: &Client, path: &str) -> Result<()> {
    while client.status_of(path).await? != StatusCode::NOT_FOUND {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn list_table(list: &Value) -> String {
    let nodes = |cluster: &Value| -> i64 {
        cluster["node_groups"].as_array().into_iter().flatten().filter_map(|group| group["count"].as_i64()).sum()
    };
    let rows = list.as_array().into_iter().flatten().map(|cluster| {
        let mut row: Vec<String> =
            ["id", "name", "plugin_name", "status"].iter().map(|key| text_of(&cluster[key])).collect();
        row.push(nodes(cluster).to_string());
        row
    });
    rows_table(&["id", "name", "plugin", "status", "nodes"], rows)
}

fn cluster_table(cluster: &Value) -> String {
    let members =
        ["id", "name", "description", "plugin_name", "hadoop_version", "status", "status_description", "created_at"];
    let mut head: Map<String, Value> = members.iter().map(|key| ((*key).to_owned(), cluster[key].clone())).collect();
    for (part, info) in cluster["info"].as_object().into_iter().flatten() {
        for (name, value) in info.as_object().into_iter().flatten() {
            head.insert(format!("{part} {name}"), value.clone());
        }
    }
    let nodes = cluster["node_groups"].as_array().into_iter().flatten().flat_map(|group| {
        let processes: Vec<String> = group["node_processes"].as_array().into_iter().flatten().map(text_of).collect();
        let (name, processes) = (text_of(&group["name"]), processes.join(" "));
        let nodes = group["instances"].as_array().into_iter().flatten();
        nodes.map(move |node| {
            vec![text_of(&node["instance_name"]), name.clone(), processes.clone(), text_of(&node["internal_ip"])]
        })
    });
    let nodes = rows_table(&["node", "group", "processes", "address"], nodes);
    format!("{}\n{nodes}", members_table(&Value::Object(head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_counts_are_read() {
        let read = group_of("w:2:slave,datanode").expect("a group");
        assert_eq!(
            (&read["name"], &read["count"], &read["node_processes"]),
            (&json!("w"), &json!(2), &json!(["slave", "datanode"]))
        );
        assert!(group_of("w:2").is_err() && group_of("w:x:slave").is_err());
        assert_eq!(count_of("workers=3").expect("a count"), json!({"name": "workers", "count": 3}));
        assert!(count_of("workers").is_err() && count_of("workers=-1").is_err());
    }
}
