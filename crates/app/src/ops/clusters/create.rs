//! `POST /clusters`, and several of one request.

use foggara_db::{Conn, cluster_templates, clusters};
use foggara_domain::{
    Caller, ClusterId, Code, Error, NodeGroupId, Result, Secret, Timestamp,
    cluster::{Cluster, ClusterSettings, ClusterStatus, ClusterTemplate, numbered_name},
    node_group::NodeGroup,
};
use foggara_engines::plugin::HostSize;
use serde_json::Map;

use super::{NewCluster, Shown, shown};
use crate::{
    App,
    ops::{plugins, references::References, shape},
};

/// The largest number of clusters of one request.
const MOST_CLUSTERS: i64 = 100;

/// Makes a cluster. What the plugin refuses stays as a cluster with the status Error, and is told (sahara-v1.1.md section 9).
pub async fn create(app: &App, caller: &Caller, token: &Secret, new: NewCluster) -> Result<Shown> {
    let mut made = many(app, caller, token, new, None).await?;
    made.pop().ok_or_else(|| Error::Internal("no cluster was made".to_owned()))
}

/// Makes clusters with numbers behind the name, all or none.
pub async fn create_many(
    app: &App,
    caller: &Caller,
    token: &Secret,
    new: NewCluster,
    count: i64,
) -> Result<Vec<Shown>> {
    if !(0..=MOST_CLUSTERS).contains(&count) {
        let text = format!("The count is {count}; one request makes 0 to {MOST_CLUSTERS} clusters");
        return Err(Error::refused(Code::InvalidData, text));
    }
    many(app, caller, token, new, Some(count)).await
}

/// The longest name of a cluster; the schema cannot see the numbers of several.
const LONGEST_NAME: usize = 80;

fn taken(name: &str) -> Error {
    Error::refused(Code::NameAlreadyExists, format!("Cluster with name '{name}' already exists"))
}

/// What came of the transaction: the clusters, and what the plugin has against them.
pub(crate) type Made = (Vec<Shown>, Option<String>);

async fn many(app: &App, caller: &Caller, token: &Secret, new: NewCluster, count: Option<i64>) -> Result<Vec<Shown>> {
    let order = prepared(app, caller, token, new, count).await?;
    let (made, refused): Made = app
        .db()
        .write(move |conn| {
            let order = order.clone();
            Box::pin(async move { order.fill(conn).await })
        })
        .await?;
    app.wake();
    match refused {
        None => Ok(made),
        Some(why) => Err(Error::refused(Code::InvalidReference, why)),
    }
}

/// An order whose references and names are checked.
pub(crate) async fn prepared(
    app: &App,
    caller: &Caller,
    token: &Secret,
    new: NewCluster,
    count: Option<i64>,
) -> Result<Order> {
    references(app, caller, &new).await?.check(app, token).await?;
    let names: Vec<String> = match count {
        None => vec![new.name.clone()],
        Some(count) => (1..=count).map(|number| numbered_name(&new.name, number, count)).collect(),
    };
    if let Some(name) = names.iter().find(|name| name.len() > LONGEST_NAME) {
        let text =
            format!("The name '{name}' has {} characters, and a cluster's has at most {LONGEST_NAME}", name.len());
        return Err(Error::refused(Code::InvalidData, text));
    }
    Ok(Order { app: app.clone(), caller: caller.clone(), new, names, now: app.now() })
}

/// Everything outside that the cluster will refer to, by the request and by its template.
async fn references(app: &App, caller: &Caller, new: &NewCluster) -> Result<References> {
    let given = new.node_groups.as_deref().unwrap_or_default();
    let named = References::default().of(&new.settings).of_groups(given).keypair(new.keypair.as_ref());
    let Some(id) = &new.template else { return Ok(named) };
    let template = cluster_templates::get(&mut app.db().read().await?, &caller.project, id).await?;
    Ok(match template {
        Some(template) if given.is_empty() => named.of_whole(&template.node_groups),
        _ => named,
    })
}

/// Clusters to be made.
#[derive(Clone)]
pub(crate) struct Order {
    app: App,
    caller: Caller,
    new: NewCluster,
    names: Vec<String>,
    now: Timestamp,
}

impl Order {
    /// All checks and the rows. What a plugin refuses is told beside them, and stays when the transaction is committed.
    pub(crate) async fn fill(self, conn: &mut Conn) -> Result<Made> {
        let project = &self.caller.project;
        for name in &self.names {
            if clusters::has_name(conn, project, name).await? {
                return Err(taken(name));
            }
        }
        let plugin = plugins::referenced(&self.app, &self.new.plugin, &self.new.version)?;
        plugins::is_enabled(conn, project, &self.new.plugin, &self.new.version).await?;
        let template = self.template(conn).await?;
        let base = template.as_ref().map(|template| template.settings.clone()).unwrap_or_default();
        let mut settings = base.with(&self.new.settings, template.is_some());
        settings.mrs = self.new.mrs.clone();
        let groups = match &self.new.node_groups {
            Some(given) if !given.is_empty() => shape::whole_groups(conn, project, given, self.now).await?,
            _ => template.as_ref().map(|template| template.node_groups.clone()).unwrap_or_default(),
        };
        shape::check_configs(plugin, &settings.cluster_configs)?;
        shape::check_groups(plugin, &groups)?;
        shape::check_processes(plugin, &settings.anti_affinity)?;
        shape::check_shares(settings.shares.as_ref())?;
        let mut made = Vec::with_capacity(self.names.len());
        let mut refused = None;
        for name in &self.names {
            shape::check_host_names(name, settings.domain_name.as_deref(), &groups)?;
            let mut cluster = self.cluster(name, &settings, &groups, template.as_ref());
            if let Err(why) = plugin.check(&cluster, HostSize::of_this_host()) {
                cluster.status = ClusterStatus::Error;
                cluster.status_description.clone_from(&why);
                refused = Some(why);
            }
            foggara_db::once::makes(&cluster.id);
            clusters::insert(conn, &cluster).await.map_err(|error| match error {
                Error::Refused { code: Code::DbDuplicateEntry, .. } => taken(name),
                other => other,
            })?;
            made.push(shown(conn, cluster, false).await?);
        }
        Ok((made, refused))
    }

    async fn template(&self, conn: &mut Conn) -> Result<Option<ClusterTemplate>> {
        let Some(id) = &self.new.template else { return Ok(None) };
        let found = cluster_templates::get(conn, &self.caller.project, id).await?;
        let missing = || Error::refused(Code::NotFound, format!("Cluster template with id '{id}' not found"));
        found.map(Some).ok_or_else(missing)
    }

    fn cluster(
        &self,
        name: &str,
        settings: &ClusterSettings,
        groups: &[NodeGroup],
        template: Option<&ClusterTemplate>,
    ) -> Cluster {
        let groups = groups.iter().map(|group| NodeGroup {
            id: NodeGroupId::new(),
            created_at: self.now,
            updated_at: None,
            ..group.clone()
        });
        let of_template = || template.and_then(|template| template.description.clone());
        Cluster {
            id: ClusterId::new(),
            project: self.caller.project.clone(),
            name: name.to_owned(),
            description: self.new.description.clone().or_else(of_template),
            plugin: self.new.plugin.clone(),
            version: self.new.version.clone(),
            status: ClusterStatus::Validating,
            status_description: String::new(),
            settings: settings.clone(),
            template: self.new.template.clone(),
            keypair: self.new.keypair.clone(),
            is_transient: self.new.is_transient,
            info: Map::new(),
            is_public: self.new.is_public,
            is_protected: self.new.is_protected,
            host: None,
            revision: 1,
            created_at: self.now,
            updated_at: None,
            node_groups: groups.collect(),
        }
    }
}
