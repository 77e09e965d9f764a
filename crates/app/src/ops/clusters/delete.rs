//! `DELETE /clusters/{id}`: the cluster takes no more jobs, those that it has are stopped for certain, and then its nodes go and
//! the record with them (decision 13). The wish is the status Deleting; nothing ever overwrites it.

use foggara_db::{clusters, executions};
use foggara_domain::{Caller, ClusterId, Error, Result, cluster::ClusterStatus};

use super::{CLASS, load};
use crate::{
    App,
    ops::{executions::stop_for_cluster, ownership::may_delete},
};

/// Deletes a cluster: when this returns, the wish is durable. Waiting executions have ended as KILLED, the others are being
/// stopped.
pub async fn delete(app: &App, caller: &Caller, id: &ClusterId) -> Result<String> {
    let order = (caller.clone(), id.clone(), app.now());
    let name = app
        .db()
        .write(move |conn| {
            let (caller, id, now) = order.clone();
            Box::pin(async move {
                let cluster = load(conn, &caller.project, &id).await?;
                may_delete(CLASS, &cluster.project, &caller, cluster.is_protected.is_on(), id.as_str())?;
                clusters::set_status(conn, &id, None, ClusterStatus::Deleting, "", now).await?;
                for row in executions::unfinished_of_cluster(conn, &id).await? {
                    stop_for_cluster(conn, &row, now).await?;
                }
                Ok::<_, Error>(cluster.name)
            })
        })
        .await?;
    foggara_engines::failpoint::pass("cluster.delete_committed");
    app.wake();
    Ok(name)
}
