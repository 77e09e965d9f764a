//! Clusters: make, read, scale, change, delete (sahara-v1.1.md section 9). An op writes what is wanted; the cluster's owner
//! makes it so (`duties::provision`).

mod create;
mod delete;
mod public;
mod scale;
mod tags;
mod update;

pub(crate) use create::{Order, prepared};
pub use create::{create, create_many};
pub use delete::delete;
use foggara_db::{Conn, clusters, instances, provision};
use foggara_domain::{
    Caller, ClusterId, ClusterTemplateId, Error, ProjectId, Result,
    cluster::{Cluster, Instance, MrsShape, ProvisionStep, Verification},
    flag::Flag,
    page::{ListQuery, Page},
};
pub use public::{OWN, OperatorCluster, ensure_public};
pub use scale::{Resize, Scale, scale};
use serde_json::{Map, Value};
pub use tags::{MOST_TAGS, set_tags};
pub use update::{ClusterChange, update};

pub use super::shape::GivenGroup;
use crate::App;

const CLASS: &str = "Cluster";

/// A new cluster; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewCluster {
    /// Unique among those that the caller sees.
    pub name: String,
    /// Free text; nothing takes the template's.
    pub description: Option<String>,
    /// Which plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// The template to start from.
    pub template: Option<ClusterTemplateId>,
    /// What it is, by name.
    pub settings: Map<String, Value>,
    /// What it is made of; nothing takes the template's groups.
    pub node_groups: Option<Vec<GivenGroup>>,
    /// Nova's key pair.
    pub keypair: Option<String>,
    /// It goes when its last job has ended.
    pub is_transient: bool,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// What MRS's clients say of it.
    pub mrs: MrsShape,
}

/// A cluster with all that is known of it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The cluster.
    pub cluster: Cluster,
    /// Its nodes by name.
    pub instances: Vec<Instance>,
    /// The steps of its way, in order.
    pub steps: Vec<ProvisionStep>,
    /// The last look at its health.
    pub verification: Option<Verification>,
}

async fn shown(conn: &mut Conn, cluster: Cluster, with_events: bool) -> Result<Shown> {
    Ok(Shown {
        instances: instances::of(conn, &cluster.id).await?,
        steps: provision::steps(conn, &cluster.id, with_events).await?,
        verification: provision::verification(conn, &cluster.id).await?,
        cluster,
    })
}

/// A visible cluster, with the events of its steps when they are asked for.
pub async fn get(app: &App, caller: &Caller, id: &ClusterId, with_events: bool) -> Result<Shown> {
    let mut conn = app.db().read().await?;
    let cluster = load(&mut conn, &caller.project, id).await?;
    shown(&mut conn, cluster, with_events).await
}

async fn load(conn: &mut Conn, project: &ProjectId, id: &ClusterId) -> Result<Cluster> {
    clusters::get(conn, project, id).await?.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Shown>> {
    let mut conn = app.db().read().await?;
    let page = clusters::list(&mut conn, &caller.project, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for cluster in page.items {
        items.push(shown(&mut conn, cluster, false).await?);
    }
    Ok(Page { items, prev: page.prev, next: page.next })
}
