//! The hidden subcommand `distcp --task FILE`: a job of the local engine that copies between stores as Hadoop's `distcp` does,
//! with its options, its rules for names and its counters. It runs under the shim; nothing of the task stands on its command
//! line.

mod file;
mod layout;
mod work;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use foggara_domain::{ProjectId, plan::Plan};
use foggara_engines::local::{CopySettings, CopyTask};
use foggara_stores::{
    Access, HdfsSettings, HdfsStore, Lent, LocalRoots, LocalStore, MountStore, Mounts, Reach, S3Settings, S3Store,
    Store, Stores, SwiftSettings, SwiftStore,
};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How long unfinished files may take to be given up once the job is to stop.
const GIVE_UP: Duration = Duration::from_secs(3);
/// As shells tell an end by SIGTERM.
const TERMINATED: u8 = 128 + 15;

/// What goes wrong, as one line.
type Fault = String;

/// Runs the subcommand when it is this one.
#[allow(clippy::print_stderr, reason = "stderr is the job's log")]
pub fn run_hidden(args: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().filter_map(|word| word.to_str()).collect();
    let (["distcp", "--task", _], Some(file)) = (words.as_slice(), args.last()) else { return None };
    let task = match CopyTask::take(Path::new(file)) {
        Ok(task) => task,
        Err(fault) => {
            eprintln!("{fault}");
            return Some(ExitCode::FAILURE);
        }
    };
    let ended = run(&task);
    if let Ended::Failed(fault) = &ended {
        eprintln!("{fault}");
        // The shim puts it into the exit record.
        if let Err(error) = std::fs::write(&task.fault, fault) {
            eprintln!("{}: {error}", task.fault.display());
        }
    }
    Some(match ended {
        Ended::Done => ExitCode::SUCCESS,
        Ended::Failed(_) => ExitCode::FAILURE,
        Ended::Stopped => ExitCode::from(TERMINATED),
    })
}

enum Ended {
    Done,
    Failed(Fault),
    Stopped,
}

fn run(task: &CopyTask) -> Ended {
    // reqwest is built without a provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Ended::Failed(format!("cannot start the runtime: {error}")),
    };
    let ended = runtime.block_on(until_told(task));
    // What hangs does not keep the process.
    runtime.shutdown_background();
    ended
}

/// Copies until the end, or until SIGTERM; then what is unfinished is given up.
async fn until_told(task: &CopyTask) -> Ended {
    let stop = CancellationToken::new();
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return Ended::Failed(format!("cannot listen for signals: {error}")),
    };
    let copying = copy(task, &stop);
    tokio::pin!(copying);
    tokio::select! {
        done = &mut copying => done.map_or_else(Ended::Failed, |()| Ended::Done),
        _ = terminate.recv() => {
            stop.cancel();
            // Whether it came to an end in time or not, the job was stopped; what is dropped removes its unfinished files.
            let _ = tokio::time::timeout(GIVE_UP, copying).await;
            Ended::Stopped
        }
    }
}

async fn copy(task: &CopyTask, stop: &CancellationToken) -> Result<(), Fault> {
    let Plan::DistCp { sources, destination, options, settings, project, ticket } = &task.plan else {
        return Err("the plan is not one of DistCp".to_owned());
    };
    let credentials: Map<String, Value> =
        settings.0.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let project = ProjectId::from(project.as_str());
    let stores = stores(&task.stores)?;
    let places = Places { stores, credentials, project, ticket: ticket.clone(), block: task.stores.block };
    let sources = sources.iter().map(|source| url(source)).collect::<Result<Vec<_>, _>>()?;
    let layout = layout::make(&places, &sources, &url(destination)?, *options).await?;
    work::run(&places, layout, *options, stop, &task.progress).await
}

fn stores(settings: &CopySettings) -> Result<Stores, Fault> {
    let text = |error: foggara_stores::StoreError| error.to_string();
    let reach = Reach::of(&settings.allow)?;
    let local = Arc::new(LocalStore::new(LocalRoots::new(settings.roots.clone())));
    let hdfs = HdfsStore::new(HdfsSettings::of_words(&settings.hdfs.0)?, reach.clone(), local.clone()).map_err(text)?;
    let swift = SwiftStore::new(SwiftSettings::of_words(&settings.swift), None, reach.clone()).map_err(text)?;
    let s3 = S3Store::new(S3Settings::of_words(&settings.s3.0), reach).map_err(text)?;
    Ok(Stores::new()
        .with(local)
        .with(Arc::new(hdfs))
        .with(Arc::new(MountStore::new(Mounts::of_words(settings.mounts.clone()))))
        .with(Arc::new(swift))
        .with(Arc::new(s3)))
}

/// A url of an argument, without a slash at its end. A path is taken as it stands, a url is decoded.
fn url(text: &str) -> Result<Url, Fault> {
    let malformed = || format!("'{text}' is neither a url nor an absolute path");
    if text.starts_with('/') {
        let path = text.trim_end_matches('/');
        return Url::from_file_path(if path.is_empty() { "/" } else { path }).map_err(|()| malformed());
    }
    let mut url = Url::parse(text).map_err(|_| malformed())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{}: ? is written %3F and # is written %23", shown(&url)));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.is_empty() { "/" } else { &path });
    Ok(url)
}

/// A url as it may be shown, readable.
fn shown(url: &Url) -> String {
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The stores, and what they are asked with.
struct Places {
    stores: Stores,
    credentials: Map<String, Value>,
    project: ProjectId,
    /// Where a token for Swift lies.
    ticket: Option<PathBuf>,
    /// Larger files are copied in blocks of so many bytes.
    block: u64,
}

impl Places {
    fn store(&self, url: &Url) -> Result<&Arc<dyn Store>, Fault> {
        let store = self.stores.get(url.scheme());
        store.ok_or_else(|| format!("DistCp cannot copy '{}' urls", url.scheme()))
    }

    /// Removes what killed copies have left. What cannot be removed is no reason for a copy to fail.
    #[allow(clippy::print_stderr, reason = "stderr is the job's log")]
    async fn remove_parts(&self, parts: &[Url]) {
        for part in parts {
            let Ok(store) = self.store(part) else { continue };
            if let Err(error) = store.remove_part(part, &self.access()).await {
                eprintln!("{}, which a killed copy left, cannot be removed: {error}", shown(part));
            }
        }
    }

    fn access(&self) -> Access<'_> {
        let lent = self.ticket.as_deref().map(Lent::Ticket);
        Access { project: &self.project, caller: None, credentials: Some(&self.credentials), lent }
    }
}
