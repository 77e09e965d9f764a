//! Node group templates: make, read, change, delete (sahara-v1.1.md section 9).

use foggara_db::{Conn, cluster_templates, node_group_templates};
use foggara_domain::{
    Caller, Code, Error, NodeGroupTemplateId, ProjectId, Result, Secret,
    flag::Flag,
    node_group::{NodeGroupTemplate, NodeSettings},
    page::{ListQuery, Page},
};
use serde_json::{Map, Value};

use super::{
    ownership::{Protection, may_delete, may_update},
    plugins,
    references::References,
    shape,
};
use crate::App;

const CLASS: &str = "NodeGroupTemplate";

/// A new template; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewNodeGroupTemplate {
    /// Unique among those that the caller sees.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Which plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// What each node is, by name.
    pub settings: Map<String, Value>,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
}

/// Changes of a template: what is nothing stays.
#[derive(Clone, Debug, Default)]
pub struct TemplateChange {
    /// New name.
    pub name: Option<String>,
    /// New text; nothing inside removes it.
    pub description: Option<Option<String>>,
    /// New plugin.
    pub plugin: Option<String>,
    /// New version.
    pub version: Option<String>,
    /// New settings, by name.
    pub settings: Map<String, Value>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
}

fn taken(name: &str) -> Error {
    Error::refused(Code::NameAlreadyExists, format!("NodeGroup template with name '{name}' already exists"))
}

/// Two at once with one name: the database decides, and the loser is told the same.
fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => taken(name),
        other => other,
    }
}

/// Makes a template.
pub async fn create(
    app: &App,
    caller: &Caller,
    token: &Secret,
    new: NewNodeGroupTemplate,
) -> Result<NodeGroupTemplate> {
    References::default().of(&new.settings).check(app, token).await?;
    let template = NodeGroupTemplate {
        id: NodeGroupTemplateId::new(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        plugin: new.plugin,
        version: new.version,
        settings: NodeSettings::default().with(&new.settings),
        is_public: new.is_public,
        is_protected: new.is_protected,
        created_at: app.now(),
        updated_at: None,
    };
    let stored = (app.clone(), template.clone());
    foggara_db::once::makes(&template.id);
    app.db()
        .write(move |conn| {
            let (app, template) = stored.clone();
            Box::pin(async move {
                if node_group_templates::has_name(conn, &template.project, &template.name).await? {
                    return Err(taken(&template.name));
                }
                let plugin = plugins::referenced(&app, &template.plugin, &template.version)?;
                shape::check_settings(plugin, &template.settings)?;
                node_group_templates::insert(conn, &template).await.map_err(|error| name_taken(error, &template.name))
            })
        })
        .await?;
    Ok(template)
}

/// A visible template.
pub async fn get(app: &App, caller: &Caller, id: &NodeGroupTemplateId) -> Result<NodeGroupTemplate> {
    load(&mut app.db().read().await?, &caller.project, id).await
}

async fn load(conn: &mut Conn, project: &ProjectId, id: &NodeGroupTemplateId) -> Result<NodeGroupTemplate> {
    node_group_templates::get(conn, project, id).await?.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<NodeGroupTemplate>> {
    node_group_templates::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes a template, and the groups of cluster templates that are made of it. A cluster was made of one of those:
/// `UPDATE_FAILED`.
pub async fn update(
    app: &App,
    caller: &Caller,
    token: &Secret,
    id: &NodeGroupTemplateId,
    change: TemplateChange,
) -> Result<NodeGroupTemplate> {
    References::default().of(&change.settings).check(app, token).await?;
    let (app_, caller, id, now) = (app.clone(), caller.clone(), id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (app, caller, id, change) = (app_.clone(), caller.clone(), id.clone(), change.clone());
            Box::pin(async move {
                let before = load(conn, &caller.project, &id).await?;
                let mut template = before.clone();
                apply(&mut template, change.clone());
                let plugin = plugins::referenced(&app, &template.plugin, &template.version)?;
                shape::check_settings(plugin, &template.settings)?;
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some()
                        && NodeGroupTemplate { is_public: before.is_public, ..template.clone() } == before,
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                let users = cluster_templates::using(conn, &id).await?;
                for user in &users {
                    if !cluster_templates::users(conn, &user.id).await?.is_empty() {
                        let text = format!(
                            "NodeGroupTemplate id '{id}' can not be updated. It is referenced by an existing cluster."
                        );
                        return Err(Error::refused(Code::UpdateFailed, text));
                    }
                }
                if template == before {
                    return Ok(template);
                }
                template.updated_at = Some(now);
                node_group_templates::update(conn, &template).await?;
                for mut user in users {
                    for group in user.node_groups.iter_mut().filter(|group| group.template.as_ref() == Some(&id)) {
                        group.settings = template.settings.clone();
                        group.updated_at = Some(now);
                    }
                    user.updated_at = Some(now);
                    cluster_templates::update(conn, &user).await?;
                }
                Ok(template)
            })
        })
        .await
}

fn apply(template: &mut NodeGroupTemplate, change: TemplateChange) {
    template.name = change.name.unwrap_or_else(|| template.name.clone());
    template.description = change.description.unwrap_or_else(|| template.description.clone());
    template.plugin = change.plugin.unwrap_or_else(|| template.plugin.clone());
    template.version = change.version.unwrap_or_else(|| template.version.clone());
    if change.settings.contains_key("node_configs") {
        // A change replaces the settings; only a node group that is made of a template puts them together.
        template.settings.node_configs = Map::new();
    }
    template.settings = template.settings.with(&change.settings);
    template.is_public = change.is_public.unwrap_or(template.is_public);
    template.is_protected = change.is_protected.unwrap_or(template.is_protected);
}

/// Deletes a template. It is used: `INVALID_REFERENCE` with the names of who does.
pub async fn delete(app: &App, caller: &Caller, id: &NodeGroupTemplateId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let template = load(conn, &caller.project, &id).await?;
                let (templates, clusters) = node_group_templates::users(conn, &id).await?;
                if !templates.is_empty() || !clusters.is_empty() {
                    let named = |names: &[String]| if names.is_empty() { "N/A".to_owned() } else { names.join(", ") };
                    let text = format!(
                        "Node group template {id} is in use by cluster templates: {}; and clusters: {}",
                        named(&templates),
                        named(&clusters)
                    );
                    return Err(Error::refused(Code::InvalidReference, text));
                }
                may_delete(CLASS, &template.project, &caller, template.is_protected.is_on(), id.as_str())?;
                node_group_templates::delete(conn, &id).await
            })
        })
        .await
}
