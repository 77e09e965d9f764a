//! `PUT /clusters/{id}`: other counts, and more node groups. The counts are the wish; the cluster's owner starts and stops nodes
//! until they agree with it.

use foggara_db::{Conn, clusters, instances};
use foggara_domain::{
    Caller, ClusterId, Code, Error, Result, Secret, Timestamp,
    cluster::{Cluster, ClusterStatus, Instance},
};
use foggara_engines::plugin::HostSize;

use super::{CLASS, GivenGroup, Shown, load, shown};
use crate::{
    App,
    ops::{
        ownership::{Protection, may_update},
        plugins,
        references::References,
        shape,
    },
};

/// What is to become of a cluster's groups.
#[derive(Clone, Debug, Default)]
pub struct Scale {
    /// Other counts.
    pub resize: Vec<Resize>,
    /// More groups.
    pub add: Vec<GivenGroup>,
}

/// Another count of a group.
#[derive(Clone, Debug)]
pub struct Resize {
    /// Name of the group.
    pub name: String,
    /// How many nodes it is to have.
    pub count: i64,
    /// Which nodes are to go first: names or ids, not both.
    pub leaving: Vec<String>,
}

fn refused(text: impl Into<String>) -> Error {
    Error::refused(Code::InvalidReference, text)
}

/// Scales a cluster that is Active.
pub async fn scale(app: &App, caller: &Caller, token: &Secret, id: &ClusterId, scale: Scale) -> Result<Shown> {
    References::default().of_groups(&scale.add).check(app, token).await?;
    let order = (app.clone(), caller.clone(), id.clone(), scale, app.now());
    let made = app
        .db()
        .write(move |conn| {
            let (app, caller, id, scale, now) = order.clone();
            Box::pin(async move { fill(conn, &app, &caller, &id, scale, now).await })
        })
        .await?;
    app.wake();
    Ok(made)
}

async fn fill(
    conn: &mut Conn,
    app: &App,
    caller: &Caller,
    id: &ClusterId,
    scale: Scale,
    now: Timestamp,
) -> Result<Shown> {
    let mut cluster = load(conn, &caller.project, id).await?;
    plugins::is_enabled(conn, &caller.project, &cluster.plugin, &cluster.version).await?;
    let protection = Protection { is_protected: cluster.is_protected.is_on(), ..Protection::default() };
    may_update(CLASS, &cluster.project, caller, protection, id.as_str())?;
    if cluster.status != ClusterStatus::Active {
        let status = cluster.status.name();
        return Err(refused(format!("Cluster cannot be scaled not in 'Active' status. Cluster status: {status}")));
    }
    let plugin = plugins::referenced(app, &cluster.plugin, &cluster.version)?;
    shape::check_names(scale.resize.iter().map(|resize| resize.name.as_str()))?;
    shape::check_names(scale.add.iter().map(|group| group.name.as_str()))?;
    let nodes = instances::of(conn, id).await?;
    for resize in &scale.resize {
        let leaving = apply(&mut cluster, resize, &nodes, now)?;
        for mut node in leaving {
            node.leaving = true;
            instances::update(conn, &node, now).await?;
        }
    }
    for group in shape::whole_groups(conn, &caller.project, &scale.add, now).await? {
        if cluster.node_groups.iter().any(|known| known.name.eq_ignore_ascii_case(&group.name)) {
            let name = &group.name;
            return Err(refused(format!("Can't add new nodegroup. Cluster already has nodegroup with name '{name}'")));
        }
        cluster.node_groups.push(group);
    }
    shape::check_groups(plugin, &cluster.node_groups)?;
    shape::check_host_names(&cluster.name, cluster.settings.domain_name.as_deref(), &cluster.node_groups)?;
    plugin.check(&cluster, HostSize::of_this_host()).map_err(refused)?;
    clusters::set_groups(conn, id, &cluster.node_groups, now).await?;
    if !clusters::set_status(conn, id, Some(ClusterStatus::Active), ClusterStatus::Scaling, "", now).await? {
        return Err(refused("Cluster cannot be scaled: its status has changed at this moment"));
    }
    let cluster = load(conn, &caller.project, id).await?;
    shown(conn, cluster, false).await
}

/// Sets a count; gives the nodes that are to go first.
fn apply(cluster: &mut Cluster, resize: &Resize, nodes: &[Instance], now: Timestamp) -> Result<Vec<Instance>> {
    let Some(group) = cluster.node_groups.iter_mut().find(|group| group.name == resize.name) else {
        return Err(refused(format!("Cluster doesn't contain node group with name '{}'", resize.name)));
    };
    let fewer = group.count - resize.count;
    let named = i64::try_from(resize.leaving.len()).unwrap_or(i64::MAX);
    if named > 0 && named > fewer {
        let text = format!(
            "Number of specific instances ({named}) to delete can not be greater than the count difference ({fewer} during scaling"
        );
        return Err(Error::refused(Code::InvalidData, text));
    }
    let is_id = |text: &str| text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
    if resize.leaving.iter().any(|text| is_id(text)) && !resize.leaving.iter().all(|text| is_id(text)) {
        return Err(refused("You can only reference instances by Name or UUID, not both on the same request"));
    }
    let mut leaving = Vec::new();
    for text in &resize.leaving {
        let node = nodes.iter().find(|node| node.group == group.id && (node.name == *text || node.id.as_str() == text));
        let node = node.ok_or_else(|| refused(format!("Node group '{}' has no instance '{text}'", resize.name)))?;
        if leaving.iter().any(|known: &Instance| known.id == node.id) {
            return Err(Error::refused(Code::InvalidData, "Duplicate entry for instances to delete"));
        }
        leaving.push(node.clone());
    }
    group.count = resize.count;
    group.updated_at = Some(now);
    Ok(leaving)
}
