//! Cancel, and the other changes that a user can make to a running execution.

use foggara_db::Conn;
use foggara_domain::{
    Caller, Code, Error, Execution, ExecutionId, Result, Timestamp,
    drive::evidence,
    status::{Outcome, Phase, SUSPENDABLE, Wish},
};

use super::{Change, load_for_change};
use crate::{
    App,
    ops::ownership,
    rows::{Changed, Edit, change, change_in},
};

/// Asks for an execution to be stopped and gives it as it was before (sahara-v1.1.md section 8.4). It may be repeated; on an
/// execution that has ended it does nothing.
pub async fn cancel(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Execution> {
    let before = load_for_change(app, caller, id).await?;
    ownership::may_cancel(&before.project, caller, before.is_protected, id.as_str())?;
    let now = app.now();
    let changed = change(app, None, id, move |row| Ok(want_cancel(row, now))).await?;
    app.wake();
    match changed {
        Changed::Missing => Err(Error::no_such_id(id)),
        _ => Ok(before),
    }
}

/// Writes the wish. A waiting execution is ended at once: nothing was started.
pub(super) fn want_cancel(row: &mut Execution, now: Timestamp) -> Edit {
    if row.phase == Phase::Ended || row.wish == Wish::Cancel || row.deleted_at.is_some() {
        return Edit::Keep;
    }
    row.wish = Wish::Cancel;
    row.suspend_wanted = false;
    if row.phase != Phase::Waiting {
        return Edit::Record("cancel_wanted", None);
    }
    row.phase = Phase::Ended;
    row.outcome = Some(Outcome::Killed);
    row.reason = Some("cancelled before it started".to_owned());
    row.start_time = Some(now);
    row.end_time = Some(now);
    row.gone_at = Some(now);
    row.gone_evidence = Some(evidence::NEVER_LAUNCHED.to_owned());
    Edit::Record("ended", row.reason.clone())
}

/// The cluster of an execution is being deleted: the execution ends as KILLED, at once if it waits. Somebody who changes the row
/// at the same moment is no trouble: the cluster's owner asks again until all have ended.
pub(crate) async fn stop_for_cluster(conn: &mut Conn, row: &Execution, now: Timestamp) -> Result<()> {
    let edit = |row: &mut Execution| {
        let edit = want_cancel(row, now);
        if row.phase == Phase::Ended && !matches!(edit, Edit::Keep) {
            row.reason = Some("its cluster was deleted before it started".to_owned());
        }
        Ok(edit)
    };
    change_in(conn, None, &row.id, now, &edit).await.map(|_| ())
}

/// `PATCH /job-executions/{id}`.
pub async fn update(app: &App, caller: &Caller, id: &ExecutionId, new: Change) -> Result<Execution> {
    let before = load_for_change(app, caller, id).await?;
    let protection = ownership::Protection {
        is_protected: before.is_protected,
        lifted: new.is_protected == Some(false),
        only_public: new.is_public.is_some() && new.status.is_none() && new.is_protected.is_none_or(|wanted| wanted),
    };
    ownership::may_update("JobExecution", &before.project, caller, protection, id.as_str())?;
    let mut suspend = false;
    if let Some(status) = &new.status {
        if !new.by_v2 && (new.is_public.is_some() || new.is_protected.is_some()) {
            return Err(Error::refused(Code::InvalidJobStatus, "Invalid status parameter"));
        }
        if !new.by_v2 {
            check_cluster(app, &before).await?;
        }
        suspend = status == "suspend";
    }
    if suspend {
        check_suspend(app, &before).await?;
    }
    let now = app.now();
    let (cancel, by_v2) = (new.status.as_deref() == Some("cancel"), new.by_v2);
    let changed = change(app, None, id, move |row| {
        if row.deleted_at.is_some() {
            return Ok(Edit::Keep);
        }
        if suspend {
            if row.phase == Phase::Ended || row.wish == Wish::Cancel {
                return Ok(Edit::Keep);
            }
            row.suspend_wanted = true;
            return Ok(Edit::Record("suspend_wanted", None));
        }
        row.is_public = new.is_public.unwrap_or(row.is_public);
        row.is_protected = new.is_protected.unwrap_or(row.is_protected);
        if cancel {
            return Ok(want_cancel(row, now));
        }
        Ok(Edit::Quietly)
    })
    .await?;
    app.wake();
    match changed {
        // As with cancel, the answer shows the execution as it was before the engine is asked.
        Changed::Saved(row) | Changed::Kept(row) if row.deleted_at.is_none() => {
            Ok(if suspend || (cancel && by_v2) { before } else { *row })
        }
        _ => Err(Error::no_such_id(id)),
    }
}

async fn check_cluster(app: &App, row: &Execution) -> Result<()> {
    let cluster = foggara_db::clusters::get(&mut app.db().read().await?, &row.project, &row.cluster).await?;
    if cluster.is_some_and(|cluster| cluster.is_active()) {
        return Ok(());
    }
    Err(Error::refused(
        Code::InvalidData,
        "Suspending operation can not be performed on an inactive or non-existent cluster",
    ))
}

async fn check_suspend(app: &App, row: &Execution) -> Result<()> {
    let cluster = foggara_db::clusters::get(&mut app.db().read().await?, &row.project, &row.cluster).await?;
    let engine = cluster.as_ref().and_then(|cluster| app.plugins().engine(cluster).ok());
    if !engine.is_some_and(|engine| engine.suspends()) {
        let plugin = cluster.map(|cluster| cluster.plugin).unwrap_or_default();
        let text = format!("Engine doesn't support suspending jobs on plugin '{plugin}'");
        return Err(Error::refused(Code::InvalidReference, text));
    }
    let status = row.status();
    if SUSPENDABLE.contains(&status) {
        return Ok(());
    }
    let text = format!("Job execution with id '{}' cannot be suspended: its status is {status}", row.id);
    Err(Error::refused(Code::SuspendingFailed, text))
}
