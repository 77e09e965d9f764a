//! Input and output of jobs whose engine opens no urls, the processes of this host: what lies in a store is fetched into the
//! workspace before the launch, and what the job made is put where it belongs when it has ended well.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foggara_db::data_sources;
use foggara_domain::{DataSourceId, Execution, data_source::DataSource, status::Outcome};
use foggara_stores::{Access, Content, FileEntry, StoreError, below, fetch_into_file, file_content, put_while_moving};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    publish::{Unpublished, unless_stopped},
    stage::workspace_folder,
    trust,
};
use crate::{App, duties::cluster::Room, ops::job_binaries::store_of};

/// How many files are on their way at once.
const AT_ONCE: usize = 8;
/// How long a store may take no byte of an output. S3 takes parts of 8 MiB, two of each file at once: with all files that are on
/// their way at once that is a megabyte in a second.
const SILENCE: Duration = Duration::from_secs(120);
/// How long the removal of an output that is not complete is waited for; it goes on after that.
const REMOVAL: Duration = Duration::from_secs(1);
/// What says that an output is whole, as Hadoop writes it.
const SUCCESS: &str = "_SUCCESS";
/// Where the workspace's folder says what has to be put elsewhere.
const NOTE: &str = "output.json";

/// An output that the job makes in its workspace.
#[derive(Debug, Deserialize, Serialize)]
struct Output {
    /// Where the job makes it.
    path: PathBuf,
    /// Where it belongs.
    url: String,
    /// The data source, for its credentials.
    source: DataSourceId,
    /// What is there is replaced; otherwise nothing was there when the job began.
    replace: bool,
}

/// Fetches what a data source holds, a file or a folder, into the workspace.
pub(super) async fn fetch_input(
    app: &App,
    row: &Execution,
    source: &DataSource,
    url: &str,
    workspace: &Path,
) -> Result<PathBuf, String> {
    let trust = trust::of(app, row).await?;
    let fetched = async {
        let (store, url) = store_of(app.stores(), url)?;
        let access = access(row, source, trust.as_deref());
        let into = workspace.join(".input");
        let listing = match store.list(&url, &access).await {
            // A store without folders: it is a file.
            Err(StoreError::Unsupported(_)) => None,
            other => Some(other?),
        };
        let files = match listing {
            Some(listing) if listing.is_folder => listing.files,
            _ => {
                let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
                let path = into.join(name.unwrap_or("input"));
                make(&into).await?;
                let content = store.open(&url, &access).await?;
                fetch_into_file(content, &path, app.settings().staged_data).await?;
                return Ok(path);
            }
        };
        let all: u64 = files.iter().map(|file| file.size).sum();
        if all > app.settings().staged_data {
            return Err(StoreError::TooBig(format!(
                "its {} files have {all} bytes, and [limits] staged_data is {}: run the job on a cluster that opens urls itself",
                files.len(),
                app.settings().staged_data
            )));
        }
        make(&into).await?;
        let fetch = |file: FileEntry| {
            let (url, access, into) = (&url, &access, &into);
            async move {
                // First whether it is a path at all: what is called `..` lies nowhere below.
                let from = below(url, &file.path)?;
                let path = into.join(&file.path);
                make(path.parent().unwrap_or(into)).await?;
                let content = store.open(&from, access).await?;
                fetch_into_file(content, &path, app.settings().staged_data).await.map(|_| ())
            }
        };
        stream::iter(files.into_iter().map(fetch)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(into)
    };
    fetched.await.map_err(|error: StoreError| format!("input '{}' ({url}): {error}", source.name))
}

/// A place in the workspace for an output that belongs elsewhere. Without `replace` nothing may be there yet, as Hadoop has it.
pub(super) async fn place_output(
    app: &App,
    row: &Execution,
    source: &DataSource,
    url: &str,
    workspace: &Path,
    replace: bool,
) -> Result<PathBuf, String> {
    let failed = |error: String| format!("output '{}' ({url}): {error}", source.name);
    let (store, place) = store_of(app.stores(), url).map_err(|error| failed(error.to_string()))?;
    let trust = trust::of(app, row).await?;
    match store.list(&place, &access(row, source, trust.as_deref())).await {
        Ok(found) if !replace && (!found.is_folder || !found.files.is_empty()) => {
            return Err(failed("it exists already".to_owned()));
        }
        Ok(_) | Err(StoreError::NotFound(_)) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let path = workspace.join(".output");
    let output = Output { path: path.clone(), url: url.to_owned(), source: source.id.clone(), replace };
    let note = workspace.parent().unwrap_or(workspace).join(NOTE);
    let text = serde_json::to_vec(&output).map_err(|error| failed(error.to_string()))?;
    tokio::fs::write(&note, text).await.map_err(|error| failed(format!("{}: {error}", note.display())))?;
    Ok(path)
}

/// Puts the output of a job that ended well where it belongs; last the file that says that it is whole. It may be repeated. When it
/// does not come to its end, what was put is removed.
pub(super) async fn publish(room: &Room, row: &Execution, outcome: Outcome) -> Result<(), Unpublished> {
    let Some(tag) = row.tag.as_ref().filter(|_| outcome == Outcome::Succeeded && row.deleted_at.is_none()) else {
        return Ok(());
    };
    let note = workspace_folder(&room.app, tag).join(NOTE);
    let Ok(text) = tokio::fs::read(&note).await else { return Ok(()) };
    let output: Output = serde_json::from_slice(&text)
        .map_err(|error| Unpublished::Failed(format!("{} is malformed: {error}", note.display())))?;
    let begun = Arc::new(Mutex::new(Vec::new()));
    let put = async {
        // Few at once: what is large takes its time, and ends that have nothing to put wait for none of it.
        let _permit = room.publishing.acquire().await;
        put_all(&room.app, row, &output, &begun).await.map_err(|error| {
            format!("the job ended well, and its output could not be written to {}: {error}", output.url)
        })
    };
    let done = unless_stopped(room, row, put).await;
    if done.is_err() {
        let begun = std::mem::take(&mut *begun.lock().unwrap_or_else(PoisonError::into_inner));
        let (app, row, output) = (room.app.clone(), row.clone(), output);
        // A store that hangs does not keep the execution from its end.
        let removal = tokio::spawn(async move {
            if let Err(error) = remove_all(&app, &row, &output, begun).await {
                tracing::warn!(execution = %row.id, "an output that is not complete is left at {}: {error}", output.url);
            }
        });
        let _ = tokio::time::timeout(REMOVAL, removal).await;
    }
    done
}

/// Removes what was put.
async fn remove_all(app: &App, row: &Execution, output: &Output, begun: Vec<Url>) -> Result<(), String> {
    let source = source_of(app, row, output).await?;
    let trust = trust::of(app, row).await?;
    let access = access(row, &source, trust.as_deref());
    for url in begun {
        let (store, url) = store_of(app.stores(), url.as_str()).map_err(|error| error.to_string())?;
        store.delete(&url, &access).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn source_of(app: &App, row: &Execution, output: &Output) -> Result<DataSource, String> {
    let mut conn = app.db().read().await.map_err(|error| error.to_string())?;
    let source = data_sources::get(&mut conn, &row.project, &output.source).await.map_err(|error| error.to_string())?;
    source.ok_or_else(|| "its data source does not exist any more".to_owned())
}

/// Puts all files; each url is noted in `begun` before its bytes flow.
async fn put_all(app: &App, row: &Execution, output: &Output, begun: &Mutex<Vec<Url>>) -> Result<(), String> {
    let source = source_of(app, row, output).await?;
    let trust = trust::of(app, row).await?;
    let access = access(row, &source, trust.as_deref());
    let (store, url) = store_of(app.stores(), &output.url).map_err(|error| error.to_string())?;
    let root = output.path.clone();
    let files = tokio::task::spawn_blocking(move || files_below(&root)).await.map_err(|error| error.to_string())?;
    let files = files.map_err(|error| format!("{}: {error}", output.path.display()))?;
    let Some(files) = files else { return Err("the job made none".to_owned()) };
    let failed = |error: StoreError| error.to_string();
    let put_one = |url: Url, content: Content| {
        begun.lock().unwrap_or_else(PoisonError::into_inner).push(url.clone());
        let access = &access;
        async move { put_while_moving(store.as_ref(), &url, content, access, SILENCE).await.map(|_| ()) }
    };
    if files == [String::new()] {
        return put_one(url, file_content(&output.path).await.map_err(failed)?).await.map_err(failed);
    }
    if output.replace {
        let listed = tokio::time::timeout(SILENCE, store.list(&url, &access)).await;
        let there = match listed.map_err(|_| format!("it was not listed within {} s", SILENCE.as_secs()))? {
            Ok(there) => there.files,
            Err(StoreError::NotFound(_)) => Vec::new(),
            // Old files among the new ones would be taken for theirs.
            Err(error) => return Err(failed(error)),
        };
        let kept: BTreeSet<&str> = files.iter().map(String::as_str).filter(|file| *file != SUCCESS).collect();
        let mut stale: Vec<&str> =
            there.iter().map(|file| file.path.as_str()).filter(|path| !kept.contains(path)).collect();
        // First of all what says that it is whole.
        stale.sort_by_key(|path| *path != SUCCESS);
        for path in stale {
            store.delete(&below(&url, path).map_err(failed)?, &access).await.map_err(failed)?;
        }
    }
    let put = |file: &String| {
        let (url, path, put_one) = (below(&url, file), output.path.join(file), &put_one);
        async move { put_one(url?, file_content(&path).await?).await }
    };
    let work = files.iter().filter(|file| *file != SUCCESS).map(put).collect::<Vec<_>>();
    stream::iter(work).buffer_unordered(AT_ONCE).try_collect::<()>().await.map_err(failed)?;
    let empty = Content { size: Some(0), stream: stream::empty().boxed() };
    put_one(below(&url, SUCCESS).map_err(failed)?, empty).await.map_err(failed)
}

/// The names of all files below a folder, joined by `/`; one empty name for a file; nothing when it is not there.
fn files_below(root: &Path) -> std::io::Result<Option<Vec<String>>> {
    match root.symlink_metadata() {
        Ok(found) if found.is_file() => return Ok(Some(vec![String::new()])),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, folder.join(entry.file_name()));
            // Links may lead anywhere; checksums of Hadoop's local files are of no use elsewhere.
            let name = path.to_string_lossy().into_owned();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !is_checksum(&path) {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(Some(files))
}

fn is_checksum(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".crc")
}

fn access<'a>(row: &'a Execution, source: &'a DataSource, given: Option<&'a str>) -> Access<'a> {
    let lent = trust::lent(given, row);
    Access { project: &row.project, caller: None, credentials: source.credentials.as_ref(), lent }
}

async fn make(folder: &Path) -> Result<(), StoreError> {
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|error| StoreError::Local(format!("cannot make {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_with_their_folders() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("out");
        assert_eq!(files_below(&root).expect("looked"), None);
        std::fs::create_dir_all(root.join("day=1")).expect("made");
        for name in ["part-0", ".part-0.crc", "_SUCCESS", "day=1/part-1"] {
            std::fs::write(root.join(name), "x").expect("written");
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).expect("linked");
        let wanted = ["_SUCCESS", "day=1/part-1", "part-0"].map(str::to_owned);
        assert_eq!(files_below(&root).expect("looked"), Some(wanted.to_vec()));
        assert_eq!(files_below(&root.join("part-0")).expect("looked"), Some(vec![String::new()]));
    }
}
