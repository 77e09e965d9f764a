//! The event log: a step per part of the way, an event per node (sahara-v1.1.md section 9).

use foggara_db::provision;
use foggara_domain::{
    Result,
    cluster::{Instance, ProvisionEvent, ProvisionStep},
};
use uuid::Uuid;

use super::Provision;

/// Kind of all our steps, as the original names the part of the service that does them.
const KIND: &str = "Engine: manage nodes";

impl Provision {
    /// Begins a step, unless it is open already.
    pub(super) async fn begin_step(&self, name: &str, total: usize) -> Result<()> {
        let step = ProvisionStep {
            id: Uuid::new_v4().to_string(),
            cluster: self.own.cluster.clone(),
            name: name.to_owned(),
            kind: KIND.to_owned(),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            successful: None,
            created_at: self.app.now(),
            updated_at: None,
            events: Vec::new(),
        };
        self.write(move |conn| {
            let step = step.clone();
            Box::pin(async move {
                let known = provision::steps(conn, &step.cluster, false).await?;
                if known.iter().any(|known| known.successful.is_none() && known.name == step.name) {
                    return Ok(());
                }
                provision::begin(conn, &step).await
            })
        })
        .await
        .map(|_| ())
    }

    /// Records what became of a node in the open step, once.
    pub(super) async fn record(&self, node: &Instance, trouble: Option<&str>) -> Result<()> {
        let event = ProvisionEvent {
            id: Uuid::new_v4().to_string(),
            group: Some(node.group.clone()),
            instance: Some(node.id.clone()),
            instance_name: Some(node.name.clone()),
            info: trouble.map(str::to_owned),
            successful: trouble.is_none(),
            created_at: self.app.now(),
        };
        let cluster = self.own.cluster.clone();
        self.write(move |conn| {
            let (event, cluster) = (event.clone(), cluster.clone());
            Box::pin(async move {
                let steps = provision::steps(conn, &cluster, true).await?;
                let Some(open) = steps.iter().find(|step| step.successful.is_none()) else { return Ok(()) };
                let known = |known: &ProvisionEvent| known.instance == event.instance && known.info == event.info;
                if open.events.iter().any(known) { Ok(()) } else { provision::record(conn, &open.id, &event).await }
            })
        })
        .await
        .map(|_| ())
    }

    /// Ends the open steps.
    pub(super) async fn end_steps(&self, successful: bool) -> Result<()> {
        let (cluster, now) = (self.own.cluster.clone(), self.app.now());
        self.write(move |conn| {
            let cluster = cluster.clone();
            Box::pin(async move { provision::end_open(conn, &cluster, successful, now).await })
        })
        .await
        .map(|_| ())
    }
}
