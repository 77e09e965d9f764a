//! Why an execution is where it is: every state that is not final has a reason (contract.md section 2.4).

use foggara_db::{clusters, events, executions, ownership};
use foggara_domain::{
    Caller, Execution, ExecutionId, Result,
    drive::{SILENT, stop_wanted},
    status::{Duty, Phase},
};

use super::{Explanation, get};
use crate::App;

/// Explains an execution in one sentence, with its events.
pub async fn explain(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Explanation> {
    let execution = get(app, caller, id).await?;
    let events = events::of_execution(&mut app.db().read().await?, id).await?;
    let text = match execution.phase {
        Phase::Waiting => waiting(app, &execution).await?,
        Phase::Staging => "staging: files of the job are being fetched into its workspace".to_owned(),
        Phase::Launching if stop_wanted(&execution) => {
            "launching: a stop is wanted; whether the engine has the job already is being asked".to_owned()
        }
        Phase::Launching => match execution.engine_state.as_deref() {
            Some(state) if state.starts_with(SILENT) => format!("launching: the engine {state}"),
            Some(state) => format!("launching: the engine says {state}"),
            None => "launching: the engine was asked to start the job and has not confirmed it".to_owned(),
        },
        Phase::Running => {
            format!("running: the engine says {}", execution.engine_state.as_deref().unwrap_or("RUNNING"))
        }
        Phase::Stopping => {
            "stopping: the engine was told to stop the job and has not confirmed that it is gone".to_owned()
        }
        Phase::Settling => "settling: the job is over; its workspace is being cleaned up".to_owned(),
        Phase::Ended => ended(&execution),
    };
    let owner = ownership::owner(&mut app.db().read().await?, &execution.cluster, execution.place.as_deref()).await?;
    Ok(Explanation { execution, text, owner, events })
}

async fn waiting(app: &App, row: &Execution) -> Result<String> {
    let mut conn = app.db().read().await?;
    let Some(cluster) = clusters::find(&mut conn, &row.cluster).await? else {
        return Ok("waiting: its cluster does not exist any more".to_owned());
    };
    if !cluster.is_active() {
        let why = Some(&cluster.status_description).filter(|why| !why.is_empty());
        return Ok(format!(
            "waiting: cluster `{}` is {}{}; jobs start when it is Active",
            cluster.name,
            cluster.status.name(),
            why.map(|why| format!(" ({why})")).unwrap_or_default()
        ));
    }
    let (ahead, busy) = executions::queue_position(&mut conn, row).await?;
    let cap = app.plugins().engine(&cluster).ok().and_then(|engine| engine.max_running());
    Ok(match cap {
        Some(cap) => format!("waiting: cluster `{}` runs {busy} of {cap}, place {}", cluster.name, ahead + 1),
        None => format!("waiting: cluster `{}` takes it next, place {}", cluster.name, ahead + 1),
    })
}

fn ended(row: &Execution) -> String {
    let reason = row.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let owed = if row.duty == Duty::None { "" } else { "; its job is still being stopped" };
    format!("ended as {}{reason}{owed}", row.status())
}
