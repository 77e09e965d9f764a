//! `run-job-flow`: a cluster and its first job in one transaction, so that a crash leaves both or neither. The job waits until
//! the cluster is Active, as every job does; a cluster that is to go after it is transient (`duties::housekeeping`).

use foggara_db::Conn;
use foggara_domain::{Caller, Code, Error, Execution, ExecutionId, Result, Secret, direct::Order};

use super::{
    direct::{Filling, Refusal, check_ability, read},
    submit::{Orders, store},
};
use crate::{
    App,
    ops::clusters::{self, NewCluster},
};

/// Makes a cluster with a job on it; the execution names the cluster. The cluster of the order is ignored.
pub async fn run_flow(
    app: &App,
    caller: &Caller,
    token: &Secret,
    new: NewCluster,
    order: Order,
) -> std::result::Result<Execution, Refusal> {
    let task = read(&order)?;
    check_ability(app, &order, &task, &new.name, &new.plugin, None)?;
    let cluster = clusters::prepared(app, caller, token, new, None).await?;
    let id = ExecutionId::new();
    let job = Filling { app: app.clone(), caller: caller.clone(), order, id: id.clone(), now: app.now(), waits: true };
    Ok(store(app, caller, token, id, Flow { cluster, job }).await?)
}

#[derive(Clone)]
struct Flow {
    cluster: clusters::Order,
    job: Filling,
}

impl Orders for Flow {
    async fn fill(mut self, conn: &mut Conn) -> Result<Execution> {
        let (mut made, refused) = self.cluster.fill(conn).await?;
        if let Some(why) = refused {
            return Err(Error::refused(Code::InvalidReference, why));
        }
        let made = made.pop().ok_or_else(|| Error::Internal("no cluster was made".to_owned()))?;
        self.job.order.cluster = made.cluster.id;
        self.job.fill(conn).await
    }
}
