//! `foggara jobs`: list, show, follow, cancel, delete and explain job executions.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use reqwest::Method;
use serde_json::Value;

use super::{
    Exit,
    client::{Body, Client, ClientArgs},
    print,
};

/// Statuses in which an execution does not change any more.
pub const ENDED: [&str; 4] = ["SUCCEEDED", "FAILED", "KILLED", "DONEWITHERROR"];
/// How often a followed job is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Flags of `jobs`.
#[derive(Args, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Form of the output
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Only ids
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    action: Action,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// All executions of the project
    List {
        /// Only those with this status
        #[arg(long)]
        status: Option<String>,
    },
    /// One execution
    Show {
        /// Its id
        id: String,
    },
    /// The output of a job
    Logs {
        /// Its id
        id: String,
        /// Go on until the job has ended
        #[arg(short, long)]
        follow: bool,
        /// Standard error instead of standard output
        #[arg(long)]
        stderr: bool,
    },
    /// Stop jobs
    Cancel {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Stop jobs and remove their records
    Delete {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// What happened to a job
    Events {
        /// Its id
        id: String,
    },
    /// Why a job is where it is
    Explain {
        /// Its id
        id: String,
    },
}

/// `foggara jobs`
pub async fn run(args: JobsArgs) -> Result<Exit> {
    let client = Client::connect(&args.client).await?;
    let show = |value: &Value, table: &dyn Fn(&Value) -> String| -> Result<()> {
        print(&match args.output {
            Output::Table => table(value),
            Output::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
            Output::Yaml => serde_yaml_ng::to_string(value)?,
        })
    };
    match args.action {
        Action::List { status } => {
            let filter = status.map(|status| format!("?status={status}")).unwrap_or_default();
            let path = format!("/job-executions{filter}");
            let list = client.sahara(Method::GET, &path, Body::Empty, "job_executions").await?;
            if args.quiet {
                let ids = list.as_array().into_iter().flatten().filter_map(|row| row["id"].as_str());
                return print(&ids.map(|id| format!("{id}\n")).collect::<String>()).map(|()| Exit::Done);
            }
            show(&list, &list_table)?;
        }
        Action::Show { id } => {
            let row = client.own(&format!("/executions/{id}")).await?;
            if args.quiet {
                return print(&format!("{id}\n")).map(|()| Exit::Done);
            }
            show(&row, &members_table)?;
        }
        Action::Logs { id, follow, stderr } => {
            let stream = if stderr { "stderr" } else { "stdout" };
            if follow {
                follow_log(&client, &id, &[stream], false).await?;
            } else {
                copy_log(&client, &id, stream, 0).await?;
            }
        }
        Action::Cancel { ids } => {
            for id in ids {
                client
                    .sahara(Method::GET, &format!("/job-executions/{id}/cancel"), Body::Empty, "job_execution")
                    .await?;
                print(&format!("{id}\n"))?;
            }
        }
        Action::Delete { ids } => {
            for id in ids {
                client.sahara(Method::DELETE, &format!("/job-executions/{id}"), Body::Empty, "").await?;
                print(&format!("{id}\n"))?;
            }
        }
        Action::Events { id } => show(&client.own(&format!("/executions/{id}/events")).await?, &events_table)?,
        Action::Explain { id } => {
            show(&client.own(&format!("/executions/{id}/explain")).await?, &|value| {
                format!("{}\n", text_of(value.get("explanation").unwrap_or(value)))
            })?;
        }
    }
    Ok(Exit::Done)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn rows_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}

fn list_table(list: &Value) -> String {
    let row = |row: &Value| {
        vec![
            text_of(&row["id"]),
            text_of(&row["info"]["status"]),
            text_of(&row["start_time"]),
            text_of(&row["end_time"]),
            text_of(&row["info"]["reason"]),
        ]
    };
    rows_table(&["id", "status", "start", "end", "reason"], list.as_array().into_iter().flatten().map(row))
}

fn members_table(object: &Value) -> String {
    let members = object.as_object().into_iter().flatten();
    rows_table(&["field", "value"], members.map(|(key, value)| vec![key.clone(), text_of(value)]))
}

fn events_table(answer: &Value) -> String {
    let events = answer.get("events").unwrap_or(answer).as_array();
    let row = |event: &Value| {
        ["sequence", "at", "kind", "status", "text"].iter().map(|key| text_of(&event[*key])).collect::<Vec<_>>()
    };
    rows_table(&["#", "at", "event", "status", "text"], events.into_iter().flatten().map(row))
}

/// Copies a log from an offset to its present end; gives the offset behind it.
pub async fn copy_log(client: &Client, id: &str, stream: &str, mut offset: u64) -> Result<u64> {
    loop {
        let (bytes, next) = client.log(id, stream, offset).await?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        let written = match stream {
            "stderr" => std::io::stderr().lock().write_all(&bytes),
            _ => {
                let mut out = std::io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush())
            }
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(next),
            other => other?,
        }
        offset = next;
    }
}

/// Copies logs until the job has ended; gives the execution as it is then. `progress`: a line on a terminal while it waits.
pub async fn follow_log(client: &Client, id: &str, streams: &[&str], progress: bool) -> Result<Value> {
    let mut offsets = vec![0u64; streams.len()];
    let mut line = Progress::new(progress);
    loop {
        let row = client.sahara(Method::GET, &format!("/job-executions/{id}"), Body::Empty, "job_execution").await?;
        let status = text_of(&row["info"]["status"]);
        line.clear();
        for (offset, stream) in offsets.iter_mut().zip(streams) {
            *offset = copy_log(client, id, stream, *offset).await?;
        }
        if ENDED.contains(&status.as_str()) {
            return Ok(row);
        }
        line.say(&status);
        tokio::time::sleep(LOOK).await;
    }
}

/// One line that is written over and over, only on a terminal.
pub struct Progress {
    on: bool,
    began: std::time::Instant,
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new(wanted: bool) -> Self {
        Self { on: wanted && std::io::stderr().is_terminal(), began: std::time::Instant::now(), shown: false }
    }

    /// Shows a state and the time since the beginning.
    pub fn say(&mut self, state: &str) {
        if self.on {
            self.shown = true;
            // A terminal that went away is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{state} {:.1} s", self.began.elapsed().as_secs_f64());
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
