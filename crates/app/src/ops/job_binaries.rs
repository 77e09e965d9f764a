//! Job binaries: make, read, change, delete, and their bytes (sahara-v1.1.md section 5).

use std::sync::Arc;

use foggara_db::{executions, internal_binaries, job_binaries};
use foggara_domain::{
    BinaryId, Caller, Code, Error, Result, Secret,
    binary::{JobBinary, check_extra, check_url, internal_id},
    flag::Flag,
    page::{ListQuery, Page},
};
use foggara_stores::{Access, Content, Lent, Store, StoreError, Stores};
use serde_json::{Map, Value};

use super::ownership::{Protection, may_delete, may_update};
use crate::App;

const CLASS: &str = "JobBinary";

/// A new job binary; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewJobBinary {
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where the bytes are.
    pub url: String,
    /// Credentials, never shown again.
    pub extra: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
}

/// Changes of a job binary: what is nothing stays.
#[derive(Clone, Debug, Default)]
pub struct JobBinaryChange {
    /// New name.
    pub name: Option<String>,
    /// New text.
    pub description: Option<String>,
    /// New url.
    pub url: Option<String>,
    /// New credentials, all of them.
    pub extra: Option<Map<String, Value>>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
}

/// Makes a job binary.
pub async fn create(app: &App, caller: &Caller, new: NewJobBinary) -> Result<JobBinary> {
    check_url(&new.url)?;
    check_extra(&new.url, new.extra.as_ref())?;
    let binary = JobBinary {
        id: BinaryId::new(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        url: new.url,
        extra: new.extra,
        is_public: new.is_public,
        is_protected: new.is_protected,
        created_at: app.now(),
        updated_at: None,
    };
    let stored = binary.clone();
    foggara_db::once::makes(&binary.id);
    app.db()
        .write(move |conn| {
            let binary = stored.clone();
            Box::pin(async move {
                check_internal(conn, &binary).await?;
                job_binaries::insert(conn, &binary).await
            })
        })
        .await?;
    Ok(binary)
}

async fn check_internal(conn: &mut foggara_db::Conn, binary: &JobBinary) -> Result<()> {
    let Some(id) = internal_id(&binary.url) else { return Ok(()) };
    if internal_binaries::get(conn, &binary.project, &id).await?.is_some() {
        return Ok(());
    }
    Err(Error::refused(Code::InvalidReference, format!("JobBinaryInternal with id '{id}' doesn't exist")))
}

/// A visible job binary.
pub async fn get(app: &App, caller: &Caller, id: &BinaryId) -> Result<JobBinary> {
    let binary = job_binaries::get(&mut app.db().read().await?, &caller.project, id).await?;
    binary.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<JobBinary>> {
    job_binaries::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes a job binary. An unknown one is a refusal here, not "not found": the original has no look before the change.
pub async fn update(app: &App, caller: &Caller, id: &BinaryId, change: JobBinaryChange) -> Result<JobBinary> {
    let (caller, id, now) = (caller.clone(), id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (caller, id, change) = (caller.clone(), id.clone(), change.clone());
            Box::pin(async move {
                let Some(before) = job_binaries::get(conn, &caller.project, &id).await? else {
                    return Err(Error::refused(Code::NotFound, format!("JobBinary id '{id}' not found!")));
                };
                let mut binary = before.clone();
                apply(&mut binary, change.clone());
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some()
                        && JobBinary { is_public: before.is_public, ..binary.clone() } == before,
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                if binary.url != before.url {
                    check_url(&binary.url)?;
                    if internal_id(&before.url).is_some() {
                        let text = format!(
                            "The url for JobBinary Id '{id}' can not be updated because it is an internal-db url."
                        );
                        return Err(Error::refused(Code::UpdateFailed, text));
                    }
                    check_internal(conn, &binary).await?;
                }
                if executions::pending_using_binary(conn, &id).await? {
                    let text = format!("JobBinary Id '{id}' is used in a PENDING job and can not be updated.");
                    return Err(Error::refused(Code::UpdateFailed, text));
                }
                if binary == before {
                    return Ok(binary);
                }
                binary.updated_at = Some(now);
                job_binaries::update(conn, &binary).await?;
                Ok(binary)
            })
        })
        .await
}

fn apply(binary: &mut JobBinary, change: JobBinaryChange) {
    binary.name = change.name.unwrap_or_else(|| binary.name.clone());
    binary.description = change.description.or_else(|| binary.description.clone());
    binary.url = change.url.unwrap_or_else(|| binary.url.clone());
    binary.extra = change.extra.or_else(|| binary.extra.clone());
    binary.is_public = change.is_public.unwrap_or(binary.is_public);
    binary.is_protected = change.is_protected.unwrap_or(binary.is_protected);
}

/// Deletes a job binary. A job template has it: `DELETION_FAILED`.
pub async fn delete(app: &App, caller: &Caller, id: &BinaryId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let binary =
                    job_binaries::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                may_delete(CLASS, &binary.project, &caller, binary.is_protected.is_on(), id.as_str())?;
                job_binaries::delete(conn, &id).await
            })
        })
        .await
}

/// The bytes of a job binary as they come from its store, which may use the caller's token (sahara-v1.1.md section 5).
pub async fn data(app: &App, caller: &Caller, token: &Secret, id: &BinaryId) -> Result<Content> {
    let binary = get(app, caller, id).await?;
    let access = Access {
        project: &binary.project,
        caller: Some(caller),
        credentials: binary.extra.as_ref(),
        lent: Some(Lent::Token(token)),
    };
    let content = open(app, &binary.url, &access).await.map_err(|error| refusal(&binary.url, error))?;
    let limit = app.settings().internal_binary;
    match content.size {
        Some(size) if size > limit && internal_id(&binary.url).is_some() => {
            Err(super::internal_binaries::too_big(size, limit))
        }
        _ => Ok(content),
    }
}

/// Opens the bytes behind a url by the store of its scheme. A bare path is a file of this host. Errors name the url without
/// what may be secret in it.
pub(crate) async fn open(app: &App, url: &str, access: &Access<'_>) -> Result<Content, StoreError> {
    let (store, url) = store_of(app.stores(), url)?;
    store.open(&url, access).await
}

/// The store of a url, and the url parsed; a path is one of this host's files.
pub(crate) fn store_of<'a>(stores: &'a Stores, url: &str) -> Result<(&'a Arc<dyn Store>, url::Url), StoreError> {
    let whole = if url.starts_with('/') { format!("file://{url}") } else { url.to_owned() };
    let parsed =
        url::Url::parse(&whole).map_err(|error| StoreError::Unsupported(format!("the url is malformed: {error}")))?;
    match stores.get(parsed.scheme()) {
        Some(store) => Ok((store, parsed)),
        None => Err(StoreError::Unsupported(format!(
            "this server has no store for '{scheme}' urls ({scheme}://{host}{path})",
            scheme = parsed.scheme(),
            host = parsed.host_str().unwrap_or_default(),
            path = parsed.path()
        ))),
    }
}

/// A store's trouble as Sahara names it.
fn refusal(url: &str, error: StoreError) -> Error {
    let code = match url.split(':').next() {
        Some("swift") => Code::SwiftClientException,
        Some("s3" | "s3a") => Code::S3ClientException,
        _ if matches!(error, StoreError::TooBig(_)) => Code::DataTooBig,
        _ => Code::StoreError,
    };
    Error::refused(code, error.to_string())
}
