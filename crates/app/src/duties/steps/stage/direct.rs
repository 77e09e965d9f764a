//! Staging a job that came without a template: its files are named by urls among its words.

use std::path::{Path, PathBuf};

use foggara_domain::{
    Execution,
    direct::{
        Direct,
        task::{Ready, Task, read_properties},
    },
    plan::Plan,
};
use foggara_stores::Access;
use serde_json::{Map, Value};

use super::fetch_one;
use crate::{App, duties::steps::trust, ops::executions::words_of};

/// Largest file of settings that is read.
const PROPERTIES_FILE: u64 = 1024 * 1024;

/// Fetches what the words name and makes the plan.
pub(super) async fn plan(app: &App, row: &Execution, direct: &Direct, workspace: &Path) -> Result<Plan, String> {
    let (words, properties, secret_words) = words_of(row);
    let task = Task::read(direct.kind, &words, &properties).map_err(|error| error.to_string())?;
    // The keys for object stores come with the job.
    let credentials: Map<String, Value> =
        properties.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let given = trust::of(app, row).await?;
    let lent = trust::lent(given.as_deref(), row);
    let access = Access { project: &row.project, caller: None, credentials: Some(&credentials), lent };
    let properties_file = match task.properties_file() {
        None => Default::default(),
        Some(url) => {
            let path = fetch(app, url, &access, workspace).await?;
            let size = tokio::fs::metadata(&path).await.map_or(0, |found| found.len());
            if size > PROPERTIES_FILE {
                return Err(format!("{url} has {size} bytes: a file of settings may have {PROPERTIES_FILE}"));
            }
            let text = tokio::fs::read_to_string(&path).await.map_err(|error| format!("{url}: {error}"))?;
            read_properties(&text)
        }
    };
    let mut files = Vec::new();
    for url in task.files() {
        files.push(fetch(app, url, &access, workspace).await?);
    }
    let project = row.project.to_string();
    let ready = Ready { files, properties_file, properties, project, secret_words };
    task.plan(ready).map_err(|error| error.to_string())
}

/// A file in the workspace under its own name; a second one of that name gets a folder of its own.
async fn fetch(app: &App, url: &str, access: &Access<'_>, workspace: &Path) -> Result<PathBuf, String> {
    // `hdfs` without a host means the files of this host (decision 1).
    let url = url.strip_prefix("hdfs://").filter(|rest| rest.starts_with('/')).unwrap_or(url);
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let name = plain.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == ".." || name.starts_with('.') {
        return Err(format!("'{plain}' names no file"));
    }
    let mut folder = workspace.to_owned();
    for number in 2.. {
        if !folder.join(name).exists() {
            break;
        }
        folder = workspace.join(format!("files-{number}"));
        tokio::fs::create_dir_all(&folder)
            .await
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let path = folder.join(name);
    fetch_one(app, url, access, &path).await.map_err(|error| format!("'{plain}': {error}"))?;
    Ok(path)
}
