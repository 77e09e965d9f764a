//! A token for a copy that needs Swift and has no user of its own there: the copying process is told a file, in which the server
//! writes a token in the name of the user who started the job, and writes a new one before it ends.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use foggara_domain::{Execution, job_type::distcp, plan::Plan};
use foggara_stores::{Access, Ticket};

use super::{stage::workspace_folder, trust};
use crate::{App, duties::cluster::Room};

/// Name of the file, beside the workspace, where only the server's own user looks.
const NAME: &str = "ticket.json";
/// How often the file is written. The store keeps a token for nine tenths of its life; tokens of a Keystone live for an hour.
const RENEWAL: Duration = Duration::from_secs(240);
/// How long a renewal may keep the question how the job is.
const WITHIN: Duration = Duration::from_secs(10);

/// The plan, told where the token lies, if it needs one and the user gave a trust. The error is a reason for which the execution
/// ends.
pub(super) async fn give(room: &Room, row: &Execution, plan: Plan, folder: &Path) -> Result<Plan, String> {
    if !distcp::needs_ticket(&plan) {
        return Ok(plan);
    }
    let file = folder.join(NAME);
    match of(&room.app, row).await? {
        None => Ok(plan),
        Some(ticket) => {
            write(ticket, &file).await?;
            Ok(distcp::with_ticket(plan, file))
        }
    }
}

/// Writes a new token for an execution that was given one.
pub(super) async fn renew(room: &Room, row: &Execution) {
    let Some(tag) = &row.tag else { return };
    let file = workspace_folder(&room.app, tag).join(NAME);
    let Ok(written) = tokio::fs::metadata(&file).await.and_then(|found| found.modified()) else { return };
    if SystemTime::now().duration_since(written).is_ok_and(|age| age < RENEWAL) {
        return;
    }
    let renewed = async {
        match of(&room.app, row).await? {
            None => Err("there is no trust any more".to_owned()),
            Some(ticket) => write(ticket, &file).await,
        }
    };
    let renewed = tokio::time::timeout(WITHIN, renewed).await;
    if let Err(error) = renewed.unwrap_or_else(|_| Err(format!("not done within {} s", WITHIN.as_secs()))) {
        tracing::warn!(execution = %row.id, "the token of the copy cannot be renewed: {error}");
    }
}

async fn of(app: &App, row: &Execution) -> Result<Option<Ticket>, String> {
    let Some(given) = trust::of(app, row).await? else { return Ok(None) };
    let Some(store) = app.stores().get("swift") else { return Ok(None) };
    let lent = trust::lent(Some(&given), row);
    let access = Access { project: &row.project, caller: None, credentials: None, lent };
    store.ticket(&access).await.map_err(|error| error.to_string())
}

async fn write(ticket: Ticket, file: &Path) -> Result<(), String> {
    let path: PathBuf = file.to_owned();
    let written = tokio::task::spawn_blocking(move || ticket.write(&path)).await.map_err(|error| error.to_string())?;
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))
}
