//! Cluster templates: make, read, change, delete (sahara-v1.1.md section 9).

use foggara_db::{Conn, cluster_templates};
use foggara_domain::{
    Caller, ClusterTemplateId, Code, Error, ProjectId, Result, Secret,
    cluster::{ClusterSettings, ClusterTemplate},
    flag::Flag,
    page::{ListQuery, Page},
};
use serde_json::{Map, Value};

use super::{
    node_group_templates::TemplateChange,
    ownership::{Protection, may_delete, may_update},
    plugins,
    references::References,
    shape::{self, GivenGroup},
};
use crate::App;

const CLASS: &str = "ClusterTemplate";

/// A new template; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewClusterTemplate {
    /// Unique among those that the caller sees.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Which plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// What a cluster of it is, by name.
    pub settings: Map<String, Value>,
    /// What it is made of.
    pub node_groups: Vec<GivenGroup>,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
}

fn taken(name: &str) -> Error {
    Error::refused(Code::NameAlreadyExists, format!("Cluster template with name '{name}' already exists"))
}

fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => taken(name),
        other => other,
    }
}

/// Settings and groups must be known to the plugin.
fn check(app: &App, template: &ClusterTemplate) -> Result<()> {
    let plugin = plugins::referenced(app, &template.plugin, &template.version)?;
    shape::check_configs(plugin, &template.settings.cluster_configs)?;
    shape::check_groups(plugin, &template.node_groups)?;
    shape::check_processes(plugin, &template.settings.anti_affinity)?;
    shape::check_shares(template.settings.shares.as_ref())
}

/// Makes a template.
pub async fn create(app: &App, caller: &Caller, token: &Secret, new: NewClusterTemplate) -> Result<ClusterTemplate> {
    References::default().of(&new.settings).of_groups(&new.node_groups).check(app, token).await?;
    let now = app.now();
    let bare = ClusterTemplate {
        id: ClusterTemplateId::new(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        plugin: new.plugin,
        version: new.version,
        settings: ClusterSettings::default().with(&new.settings, false),
        node_groups: Vec::new(),
        is_public: new.is_public,
        is_protected: new.is_protected,
        created_at: now,
        updated_at: None,
    };
    foggara_db::once::makes(&bare.id);
    let order = (app.clone(), bare, new.node_groups);
    app.db()
        .write(move |conn| {
            let (app, mut template, groups) = order.clone();
            Box::pin(async move {
                if cluster_templates::has_name(conn, &template.project, &template.name).await? {
                    return Err(taken(&template.name));
                }
                plugins::referenced(&app, &template.plugin, &template.version)?;
                template.node_groups = shape::whole_groups(conn, &template.project, &groups, now).await?;
                check(&app, &template)?;
                cluster_templates::insert(conn, &template).await.map_err(|error| name_taken(error, &template.name))?;
                Ok(template)
            })
        })
        .await
}

/// A visible template.
pub async fn get(app: &App, caller: &Caller, id: &ClusterTemplateId) -> Result<ClusterTemplate> {
    load(&mut app.db().read().await?, &caller.project, id).await
}

async fn load(conn: &mut Conn, project: &ProjectId, id: &ClusterTemplateId) -> Result<ClusterTemplate> {
    cluster_templates::get(conn, project, id).await?.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<ClusterTemplate>> {
    cluster_templates::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes a template; `groups` replaces its node groups. A cluster was made of it: `UPDATE_FAILED`.
pub async fn update(
    app: &App,
    caller: &Caller,
    token: &Secret,
    id: &ClusterTemplateId,
    change: TemplateChange,
    groups: Option<Vec<GivenGroup>>,
) -> Result<ClusterTemplate> {
    let named = References::default().of(&change.settings).of_groups(groups.as_deref().unwrap_or_default());
    named.check(app, token).await?;
    let now = app.now();
    let order = (app.clone(), caller.clone(), id.clone(), change, groups);
    app.db()
        .write(move |conn| {
            let (app, caller, id, change, groups) = order.clone();
            Box::pin(async move {
                let before = load(conn, &caller.project, &id).await?;
                let mut template = before.clone();
                if let Some(groups) = groups {
                    template.node_groups = shape::whole_groups(conn, &caller.project, &groups, now).await?;
                }
                let (public, protected) = (change.is_public, change.is_protected);
                apply(&mut template, change);
                check(&app, &template)?;
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: protected.is_some_and(|flag| !flag.is_on()),
                    only_public: public.is_some()
                        && ClusterTemplate { is_public: before.is_public, ..template.clone() } == before,
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                if !cluster_templates::users(conn, &id).await?.is_empty() {
                    let text = format!(
                        "Cluster Template id '{id}' can not be updated. It is referenced by at least one cluster."
                    );
                    return Err(Error::refused(Code::UpdateFailed, text));
                }
                if template == before {
                    return Ok(template);
                }
                template.updated_at = Some(now);
                cluster_templates::update(conn, &template).await?;
                Ok(template)
            })
        })
        .await
}

fn apply(template: &mut ClusterTemplate, change: TemplateChange) {
    template.name = change.name.unwrap_or_else(|| template.name.clone());
    template.description = change.description.unwrap_or_else(|| template.description.clone());
    template.plugin = change.plugin.unwrap_or_else(|| template.plugin.clone());
    template.version = change.version.unwrap_or_else(|| template.version.clone());
    template.settings = template.settings.with(&change.settings, false);
    template.is_public = change.is_public.unwrap_or(template.is_public);
    template.is_protected = change.is_protected.unwrap_or(template.is_protected);
}

/// Deletes a template. Clusters were made of it: `INVALID_REFERENCE` with their names.
pub async fn delete(app: &App, caller: &Caller, id: &ClusterTemplateId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let template = load(conn, &caller.project, &id).await?;
                let users = cluster_templates::users(conn, &id).await?;
                if !users.is_empty() {
                    let text = format!("Cluster template {id} in use by {}", users.join(", "));
                    return Err(Error::refused(Code::InvalidReference, text));
                }
                may_delete(CLASS, &template.project, &caller, template.is_protected.is_on(), id.as_str())?;
                cluster_templates::delete(conn, &id).await
            })
        })
        .await
}
