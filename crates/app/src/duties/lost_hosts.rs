//! Executions of a host that has had no server for long (`[jobs] host_lost_after`): they end as FAILED, and what is owed to
//! their jobs stays with the host until it returns (lifecycle.md "Owners"). Nothing is started elsewhere before that.

use std::{collections::BTreeMap, time::Duration};

use foggara_db::executions;
use foggara_domain::{
    ClusterId, Execution, Result, Timestamp,
    status::{Duty, Outcome, Phase},
};

use crate::{
    App,
    rows::{Edit, change},
};

/// Since when the places of other hosts have had no server, by this server's clock.
#[derive(Default)]
pub(super) struct LostHosts(BTreeMap<(ClusterId, String), Duration>);

impl LostHosts {
    /// Takes note of a place of another host; ends its executions when it has been without a server for too long.
    pub async fn look(&mut self, app: &App, place: (&ClusterId, &str), has_server: bool, now: Duration) -> Result<()> {
        let key = (place.0.clone(), place.1.to_owned());
        if has_server {
            self.0.remove(&key);
            return Ok(());
        }
        let since = *self.0.entry(key).or_insert(now);
        if now.saturating_sub(since) < app.settings().host_lost_after {
            return Ok(());
        }
        let rows = executions::busy(&mut app.db().read().await?, place.0, place.1).await?;
        for row in rows.iter().filter(|row| row.place.as_deref() == Some(place.1) && row.phase != Phase::Ended) {
            tracing::warn!(execution = %row.id, host = place.1, "its host is lost");
            let at = app.now();
            change(app, None, &row.id, move |row| Ok(give_up(row, at))).await?;
        }
        Ok(())
    }
}

/// Ends the phase; the duty stays open where the engine may have the job.
fn give_up(row: &mut Execution, now: Timestamp) -> Edit {
    if matches!(row.phase, Phase::Ended | Phase::Waiting) {
        return Edit::Keep;
    }
    let reason = "host lost: no server has been there for too long".to_owned();
    row.phase = Phase::Ended;
    row.outcome = Some(if row.stop_sent_at.is_some() { Outcome::Killed } else { Outcome::Failed });
    row.reason = Some(reason.clone());
    row.start_time.get_or_insert(now);
    row.end_time = Some(now);
    if row.launch_sent_at.is_some() && row.gone_at.is_none() {
        row.duty = Duty::StopUntilGone;
    }
    Edit::Record("ended", Some(reason))
}
