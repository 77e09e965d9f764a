//! `foggara jobs`: list, show, follow, cancel, delete and explain job executions.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::{
    Exit,
    client::{Body, Client, ClientArgs, Refused, part},
    complain,
    output::{OutputArgs, Progress, members_table, rows_table, text_of},
    print,
    run::made_for_one_run,
};

/// Statuses in which an execution does not change any more.
pub const ENDED: [&str; 4] = ["SUCCEEDED", "FAILED", "KILLED", "DONEWITHERROR"];
/// How often a followed job is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a followed job may not run before it is said why.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may be away while a job is followed: jobs go on without it, and it comes back.
const AWAY: Duration = Duration::from_secs(60);

/// Flags of `jobs`.
#[derive(Args, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    action: Action,
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
    /// Stop jobs and remove their records, with what `foggara run` made for them
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
    let own = async |id: &str, more: &str| client.own(&format!("/executions/{}{more}", part(id))).await;
    match args.action {
        Action::List { status } => {
            let filter = status.map(|status| format!("?status={}", part(&status))).unwrap_or_default();
            let path = format!("/job-executions{filter}");
            let list = client.sahara(Method::GET, &path, Body::Empty, "job_executions").await?;
            args.output.show(&list, list_table)?;
        }
        Action::Show { id } => args.output.show(&own(&id, "").await?, members_table)?,
        Action::Logs { id, follow, stderr } => {
            let (id, stream) = (part(&id), if stderr { "stderr" } else { "stdout" });
            if follow {
                follow_log(&client, &id, &[stream], false).await?;
            } else {
                copy_log(&client, &id, stream, &mut 0, true).await?;
            }
        }
        Action::Cancel { ids } => {
            let cancel = async |id: &str| {
                let path = format!("/job-executions/{}/cancel", part(id));
                client.sahara(Method::GET, &path, Body::Empty, "job_execution").await.map(|_| ())
            };
            return each(&ids, cancel).await;
        }
        Action::Delete { ids } => return each(&ids, async |id: &str| delete(&client, id).await).await,
        Action::Events { id } => {
            let answer = own(&id, "/events").await?;
            args.output.show(answer.get("events").unwrap_or(&answer), events_table)?;
        }
        Action::Explain { id } => {
            args.output.show(&own(&id, "/explain").await?, |value| {
                format!("{}\n", text_of(value.get("explanation").unwrap_or(value)))
            })?;
        }
    }
    Ok(Exit::Done)
}

/// Does one thing to each id and prints those for which it was done; the first failure decides the exit code, and does not
/// keep the others from their turn.
async fn each(ids: &[String], work: impl AsyncFn(&str) -> Result<()>) -> Result<Exit> {
    let mut exit = Exit::Done;
    for id in ids {
        match work(id).await {
            Ok(()) => print(&format!("{id}\n"))?,
            Err(error) => {
                let failed = complain(&error.context(id.clone()));
                exit = if exit == Exit::Done { failed } else { exit };
            }
        }
    }
    Ok(exit)
}

/// Deletes an execution, and what `foggara run` made for it.
pub async fn delete(client: &Client, id: &str) -> Result<()> {
    let path = format!("/job-executions/{}", part(id));
    let row = client.sahara(Method::GET, &path, Body::Empty, "job_execution").await?;
    let template = made_for_one_run(client, &text_of(&row["job_id"])).await;
    client.sahara(Method::DELETE, &path, Body::Empty, "").await?;
    if let Some(template) = template {
        template.remove(client).await;
    }
    Ok(())
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

fn events_table(events: &Value) -> String {
    let row = |event: &Value| {
        ["sequence", "at", "kind", "status", "text"].iter().map(|key| text_of(&event[*key])).collect::<Vec<_>>()
    };
    rows_table(&["#", "at", "event", "status", "text"], events.as_array().into_iter().flatten().map(row))
}

/// Copies a log from an offset to its present end. The offset is moved with each piece: when a later one cannot be had, what
/// was shown is not shown again. What a job wrote to its standard error goes to ours, unless it is the only stream that is
/// asked for (`alone`).
async fn copy_log(client: &Client, id: &str, stream: &str, offset: &mut u64, alone: bool) -> Result<()> {
    loop {
        let (bytes, next) = client.log(id, stream, *offset).await?;
        if bytes.is_empty() {
            return Ok(());
        }
        *offset = next;
        let written = if stream == "stderr" && !alone {
            std::io::stderr().lock().write_all(&bytes)
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(&bytes).and_then(|()| out.flush())
        };
        match written {
            // The reader has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
}

/// Copies logs until the job has ended; gives the execution as it is then. `progress`: a line on a terminal while it waits.
pub async fn follow_log(client: &Client, id: &str, streams: &[&str], progress: bool) -> Result<Value> {
    let mut offsets = vec![0u64; streams.len()];
    let mut line = Progress::new(progress);
    let mut heard = Instant::now();
    let mut why = Waits::default();
    loop {
        let looked = async {
            let path = format!("/job-executions/{id}");
            let row = client.sahara(Method::GET, &path, Body::Empty, "job_execution").await?;
            line.clear();
            let mut logs = Ok(());
            for (offset, stream) in offsets.iter_mut().zip(streams) {
                logs = logs.and(copy_log(client, id, stream, offset, streams.len() == 1).await);
            }
            anyhow::Ok((row, logs))
        };
        match looked.await {
            // An engine that gives no log at the moment is not a server that is away.
            Ok((row, Err(error))) if !Refused::may_pass(&error) => return Err(error).with_context(|| row_words(&row)),
            Ok((row, logs)) => {
                let status = text_of(&row["info"]["status"]);
                let has_ended = ENDED.contains(&status.as_str());
                match logs {
                    Ok(()) if has_ended => return Ok(row),
                    // It may still come; after a while the outcome counts more.
                    Err(error) if has_ended && heard.elapsed() >= AWAY => {
                        complain(&error.context("the job has ended, and its log cannot be had"));
                        return Ok(row);
                    }
                    Err(_) if has_ended => {}
                    _ => heard = Instant::now(),
                }
                if let Some(text) = why.news(client, id, status == "RUNNING").await {
                    // As with the line, a terminal that went away is no reason to stop.
                    let _ = writeln!(std::io::stderr(), "foggara: {text}");
                }
                line.say(&status);
            }
            Err(error) if heard.elapsed() < AWAY && Refused::may_pass(&error) => line.say("waiting for the server"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is said of a job whose log is refused.
fn row_words(row: &Value) -> String {
    format!("the job is {} and goes on; `foggara jobs delete` stops it", text_of(&row["info"]["status"]))
}

/// Why a job that is followed does not run, for whoever would otherwise see nothing for a long time.
#[derive(Default)]
struct Waits {
    since: Option<Instant>,
    told: String,
}

impl Waits {
    /// The reason, when it has waited for a while and the reason was not told yet.
    async fn news(&mut self, client: &Client, id: &str, runs: bool) -> Option<String> {
        if runs {
            self.since = None;
            return None;
        }
        if self.since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            return None;
        }
        let explained = client.own(&format!("/executions/{id}/explain")).await.ok()?;
        let text = text_of(&explained["explanation"]);
        (text != self.told).then(|| {
            self.told.clone_from(&text);
            text
        })
    }
}
