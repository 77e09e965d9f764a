//! Data sources: make, read, change, delete (sahara-v1.1.md section 4).

use foggara_db::{data_sources, executions};
use foggara_domain::{
    Caller, Code, DataSourceId, Error, Result,
    data_source::{DataSource, check},
    flag::Flag,
    page::{ListQuery, Page},
};
use serde_json::{Map, Value};

use super::ownership::{Protection, may_delete, may_update};
use crate::App;

const CLASS: &str = "DataSource";

/// A new data source; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewDataSource {
    /// Unique among those that the caller sees.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Type on the wire.
    pub kind: String,
    /// Where the bytes are.
    pub url: String,
    /// Never shown again.
    pub credentials: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
}

/// Changes of a data source: what is nothing stays.
#[derive(Clone, Debug, Default)]
pub struct DataSourceChange {
    /// New name.
    pub name: Option<String>,
    /// New text.
    pub description: Option<String>,
    /// New type.
    pub kind: Option<String>,
    /// New url.
    pub url: Option<String>,
    /// New credentials, all of them.
    pub credentials: Option<Map<String, Value>>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
}

/// Makes a data source. A visible one has the name: `NAME_ALREADY_EXISTS`.
pub async fn create(app: &App, caller: &Caller, new: NewDataSource) -> Result<DataSource> {
    let source = DataSource {
        id: DataSourceId::new(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        kind: new.kind,
        url: new.url,
        credentials: new.credentials,
        is_public: new.is_public,
        is_protected: new.is_protected,
        created_at: app.now(),
        updated_at: None,
    };
    let stored = source.clone();
    foggara_db::once::makes(&source.id);
    app.db()
        .write(move |conn| {
            let source = stored.clone();
            Box::pin(async move {
                if data_sources::by_name(conn, &source.project, &source.name).await?.is_some() {
                    return Err(taken(&source.name));
                }
                check(&source.kind, &source.url, source.credentials.as_ref())?;
                data_sources::insert(conn, &source).await.map_err(|error| name_taken(error, &source.name))
            })
        })
        .await?;
    Ok(source)
}

fn taken(name: &str) -> Error {
    Error::refused(Code::NameAlreadyExists, format!("Data source with name '{name}' already exists"))
}

/// Two at once with one name: the database decides, and the loser is told the same.
fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => taken(name),
        other => other,
    }
}

/// A visible data source.
pub async fn get(app: &App, caller: &Caller, id: &DataSourceId) -> Result<DataSource> {
    let source = data_sources::get(&mut app.db().read().await?, &caller.project, id).await?;
    source.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<DataSource>> {
    data_sources::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes a data source; type, url and credentials are checked together as they will be.
pub async fn update(app: &App, caller: &Caller, id: &DataSourceId, change: DataSourceChange) -> Result<DataSource> {
    let (caller, id, now) = (caller.clone(), id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (caller, id, change) = (caller.clone(), id.clone(), change.clone());
            Box::pin(async move {
                let mut source =
                    data_sources::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                let before = source.clone();
                let rename = change.name.as_ref().is_some_and(|name| *name != before.name);
                apply(&mut source, change.clone());
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some() && same_but_public(&before, &source),
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                if executions::pending_using_source(conn, &id).await? {
                    let what = "DataSource is used in a PENDING Job and can not be updated.";
                    return Err(Error::refused(Code::UpdateFailed, format!("Object '{what}' could not be updated")));
                }
                if rename && data_sources::by_name(conn, &caller.project, &source.name).await?.is_some() {
                    return Err(taken(&source.name));
                }
                check(&source.kind, &source.url, source.credentials.as_ref())?;
                if source == before {
                    return Ok(source);
                }
                source.updated_at = Some(now);
                data_sources::update(conn, &source).await.map_err(|error| name_taken(error, &source.name))?;
                Ok(source)
            })
        })
        .await
}

fn apply(source: &mut DataSource, change: DataSourceChange) {
    source.name = change.name.unwrap_or_else(|| source.name.clone());
    source.description = change.description.or_else(|| source.description.clone());
    source.kind = change.kind.unwrap_or_else(|| source.kind.clone());
    source.url = change.url.unwrap_or_else(|| source.url.clone());
    source.credentials = change.credentials.or_else(|| source.credentials.clone());
    source.is_public = change.is_public.unwrap_or(source.is_public);
    source.is_protected = change.is_protected.unwrap_or(source.is_protected);
}

fn same_but_public(before: &DataSource, after: &DataSource) -> bool {
    DataSource { is_public: before.is_public, ..after.clone() } == *before
}

/// Deletes a data source. An execution has it as input or output: `DELETION_FAILED`.
pub async fn delete(app: &App, caller: &Caller, id: &DataSourceId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let source =
                    data_sources::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                may_delete(CLASS, &source.project, &caller, source.is_protected.is_on(), id.as_str())?;
                data_sources::delete(conn, &id).await
            })
        })
        .await
}
