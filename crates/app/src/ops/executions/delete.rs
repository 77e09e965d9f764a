//! `DELETE /job-executions/{id}`: the promise that the service is built around.
//!
//! The row becomes a tombstone in one transaction. From then on no view shows it, and what is still owed to the engine is
//! written in the same row, so that a crash at any moment loses neither (lifecycle.md "Records").

use foggara_db::executions;
use foggara_domain::{
    Caller, ClusterId, Error, Execution, ExecutionId, Result, Timestamp,
    drive::evidence,
    status::{Duty, Outcome, Phase},
};

use super::{load_for_change, may_still_run};
use crate::{
    App,
    ops::ownership,
    rows::{Changed, Edit, change, change_in},
};

/// How often a row of several is read again when somebody else was quicker.
const TRIES: u32 = 20;

/// Deletes an execution: when this returns, the wish is durable and the record is gone from every view. The owner of its
/// cluster stops the job until there is evidence that it is gone.
pub async fn delete(app: &App, caller: &Caller, id: &ExecutionId) -> Result<()> {
    let row = load_for_change(app, caller, id).await?;
    ownership::may_delete("JobExecution", &row.project, caller, row.is_protected, id.as_str())?;
    foggara_engines::failpoint::pass("delete.before_commit");
    let now = app.now();
    let caller = caller.clone();
    let key = id.clone();
    let changed = change(app, None, id, move |row| {
        if row.deleted_at.is_some() {
            return Ok(Edit::Keep);
        }
        ownership::may_delete("JobExecution", &row.project, &caller, row.is_protected, key.as_str())?;
        bury(row, now);
        Ok(Edit::Record("deleted", None))
    })
    .await?;
    foggara_engines::failpoint::pass("delete.after_commit");
    app.wake();
    match changed {
        // Somebody else's delete came between: for this caller the record was not there.
        Changed::Missing | Changed::Kept(_) => Err(Error::no_such_id(id)),
        Changed::Saved(_) | Changed::Fenced => Ok(()),
    }
}

/// Deletes executions of a cluster, all or none; says how many there were. Ids that name none are passed over.
pub async fn delete_many(app: &App, caller: &Caller, cluster: &ClusterId, ids: Vec<ExecutionId>) -> Result<usize> {
    let order = (caller.clone(), cluster.clone(), ids, app.now());
    let many = app
        .db()
        .write(move |conn| {
            let (caller, cluster, ids, now) = order.clone();
            Box::pin(async move {
                let mut many = 0;
                for id in ids {
                    let mut tries = 0..TRIES;
                    loop {
                        let row = executions::live(conn, &id, false).await?;
                        let visible = |row: &Execution| row.project == caller.project || row.is_public;
                        let Some(row) = row.filter(|row| row.cluster == cluster && visible(row)) else { break };
                        ownership::may_delete("JobExecution", &row.project, &caller, row.is_protected, id.as_str())?;
                        let edit = |row: &mut Execution| {
                            bury(row, now);
                            Ok(Edit::Record("deleted", None))
                        };
                        if change_in(conn, None, &id, now, &edit).await?.is_some() {
                            many += 1;
                            break;
                        }
                        if tries.next().is_none() {
                            let text = format!("execution {id} is being changed by others all the time; try again");
                            return Err(Error::unavailable(text));
                        }
                    }
                }
                Ok(many)
            })
        })
        .await?;
    app.wake();
    Ok(many)
}

/// Makes a tombstone of a row. What it referred to is free again; place, tag, engine reference and times stay.
pub(super) fn bury(row: &mut Execution, now: Timestamp) {
    row.deleted_at = Some(now);
    row.job = None;
    row.input = None;
    row.output = None;
    if row.phase == Phase::Waiting {
        row.phase = Phase::Ended;
        row.outcome = Some(Outcome::Killed);
        row.reason = Some("deleted before it started".to_owned());
        row.start_time = Some(now);
        row.end_time = Some(now);
    }
    if may_still_run(row) {
        row.duty = Duty::StopUntilGone;
    } else if row.phase == Phase::Ended && row.gone_at.is_none() {
        row.gone_at = Some(now);
        row.gone_evidence = Some(evidence::NEVER_LAUNCHED.to_owned());
    }
}
