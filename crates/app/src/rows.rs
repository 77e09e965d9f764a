//! The one way in which an execution's row is changed: read, edit, save if nobody was quicker, with an event in the same
//! transaction.
//!
//! Ops change rows as users; owners change them behind a fence, so that a server that lost the ownership of a cluster
//! changes nothing any more (lifecycle.md "Owners").

use foggara_db::{Conn, events, executions, ownership};
use foggara_domain::{ClusterId, Error, Execution, ExecutionId, Result, Timestamp};

use crate::App;

/// The right to act for the executions of a cluster at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The cluster.
    pub cluster: ClusterId,
    /// The place: a host for `local`, [`crate::duties::ANYWHERE`] for the rest.
    pub place: String,
    /// Counts the changes of owner.
    pub epoch: i64,
}

/// What an edit came to.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Leave the row as it is.
    Keep,
    /// Save it without an event.
    Quietly,
    /// Save it, and record what happened.
    Record(&'static str, Option<String>),
}

/// What a change came to.
#[derive(Clone, Debug)]
pub enum Changed {
    /// Another server owns the cluster now: drop everything, touch no engine.
    Fenced,
    /// There is no such row, or it is at the place of another owner.
    Missing,
    /// The edit left it as it is.
    Kept(Box<Execution>),
    /// It is saved.
    Saved(Box<Execution>),
}

/// How often an edit is repeated when somebody else was quicker.
const TRIES: u32 = 20;

/// Changes a row. `edit` sees the row as it is in the transaction, and may be called several times.
pub async fn change<F>(app: &App, guard: Option<&Owned>, id: &ExecutionId, edit: F) -> Result<Changed>
where
    F: Fn(&mut Execution) -> Result<Edit> + Clone + Send + Sync + 'static,
{
    for _ in 0..TRIES {
        let (guard, id, edit, now) = (guard.cloned(), id.clone(), edit.clone(), app.now());
        let changed = app
            .db()
            .write(move |conn| {
                let (guard, id, edit) = (guard.clone(), id.clone(), edit.clone());
                Box::pin(async move { change_in(conn, guard.as_ref(), &id, now, &edit).await })
            })
            .await?;
        if let Some(changed) = changed {
            return Ok(changed);
        }
    }
    Err(Error::unavailable(format!("execution {id} is being changed by others all the time; try again")))
}

/// The same inside a transaction; nothing when somebody was quicker and the transaction has to be repeated.
pub async fn change_in<F>(
    conn: &mut Conn,
    guard: Option<&Owned>,
    id: &ExecutionId,
    now: Timestamp,
    edit: &F,
) -> Result<Option<Changed>>
where
    F: Fn(&mut Execution) -> Result<Edit>,
{
    if let Some(own) = guard
        && !ownership::fence(conn, &own.cluster, &own.place, own.epoch).await?
    {
        return Ok(Some(Changed::Fenced));
    }
    let Some(before) = executions::find(conn, id).await? else { return Ok(Some(Changed::Missing)) };
    // Two servers may look at the same waiting row of `local`; the one that placed it has it, for the other it is not there.
    if guard.is_some_and(|own| before.place.as_ref().is_some_and(|place| *place != own.place)) {
        return Ok(Some(Changed::Missing));
    }
    let mut after = before.clone();
    let (kind, text) = match edit(&mut after)? {
        Edit::Keep => return Ok(Some(Changed::Kept(Box::new(before)))),
        Edit::Quietly => (None, None),
        Edit::Record(kind, text) => (Some(kind), text),
    };
    if visible(&before) != visible(&after) {
        after.updated_at = Some(now);
    }
    if !executions::save(conn, &after, before.version).await? {
        return Ok(None);
    }
    after.version = before.version + 1;
    if let Some(kind) = kind {
        events::append(conn, &after.id, &after.project, now, kind, after.status(), text.as_deref()).await?;
    }
    Ok(Some(Changed::Saved(Box::new(after))))
}

/// What a user can see of a row; `updated_at` moves only with it (decision 3).
fn visible(row: &Execution) -> impl PartialEq {
    (
        row.status().to_owned(),
        row.reason.clone(),
        row.engine_ref.clone(),
        row.return_code.clone(),
        row.data_source_urls.clone(),
        (row.is_public, row.is_protected),
        (row.start_time, row.end_time),
    )
}
