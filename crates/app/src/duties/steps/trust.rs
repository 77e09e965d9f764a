//! What an execution's user gave so that stores let us in after the user's token has ended.

use foggara_db::trusts;
use foggara_domain::Execution;
use foggara_stores::Lent;

use crate::App;

/// The trust of an execution, if there is one. The error is a reason for which the execution ends.
pub(super) async fn of(app: &App, row: &Execution) -> Result<Option<String>, String> {
    if app.trusts().is_none() {
        return Ok(None);
    }
    let mut conn = app.db().read().await.map_err(|error| error.to_string())?;
    trusts::of_execution(&mut conn, &row.id).await.map_err(|error| error.to_string())
}

/// The trust as stores take it.
pub(super) fn lent<'a>(trust: Option<&'a str>, row: &'a Execution) -> Option<Lent<'a>> {
    trust.map(|id| Lent::Trust { id, project: &row.project })
}
