//! Job templates (`jobs` in v1.1): make, read, change, delete (sahara-v1.1.md section 7.2).

use foggara_db::{Conn, data_sources, job_binaries, job_templates};
use foggara_domain::{
    BinaryId, Caller, Code, DataSourceId, Error, JobId, ProjectId, Result,
    binary::JobBinary,
    flag::Flag,
    job_template::{InterfaceArgument, JobTemplate},
    job_type::{self, JobType},
    page::{ListQuery, Page},
};
use uuid::Uuid;

use super::ownership::{Protection, may_delete, may_update};
use crate::App;

const CLASS: &str = "Job";

/// A new job template; the shape is checked by its schema.
#[derive(Clone, Debug)]
pub struct NewJobTemplate {
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Job type on the wire.
    pub job_type: String,
    /// Main files, in order.
    pub mains: Vec<BinaryId>,
    /// Libraries, in order.
    pub libs: Vec<BinaryId>,
    /// Named arguments, in order.
    pub interface: Vec<NewInterfaceArgument>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
}

/// A named argument of a new template.
#[derive(Clone, Debug)]
pub struct NewInterfaceArgument {
    /// Name by which a caller gives it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `args`, `configs` or `params`.
    pub mapping_type: String,
    /// Key, or position among the args.
    pub location: String,
    /// `string` when nothing is given.
    pub value_type: Option<String>,
    /// A caller must give it.
    pub required: bool,
    /// Value when the caller gives none.
    pub default: Option<String>,
}

/// Changes of a job template: what is nothing stays; type, binaries and interface never change.
#[derive(Clone, Debug, Default)]
pub struct JobTemplateChange {
    /// New name.
    pub name: Option<String>,
    /// New text; nothing inside removes it.
    pub description: Option<Option<String>>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
}

/// The job type of a wire name.
pub(super) fn type_of(name: &str) -> Result<&'static JobType> {
    job_type::find(name)
        .ok_or_else(|| Error::refused(Code::ValidationError, format!("type: '{name}' is not a known job type")))
}

/// Makes a job template.
pub async fn create(app: &App, caller: &Caller, new: NewJobTemplate) -> Result<JobTemplate> {
    let now = app.now();
    let interface: Vec<InterfaceArgument> = new
        .interface
        .into_iter()
        .map(|argument| InterfaceArgument {
            id: Uuid::new_v4().to_string(),
            name: argument.name,
            description: argument.description,
            mapping_type: argument.mapping_type,
            location: argument.location,
            value_type: argument.value_type.unwrap_or_else(|| "string".to_owned()),
            required: argument.required,
            default: argument.default.map(Into::into),
            created_at: now,
        })
        .collect();
    let job_type = type_of(&new.job_type)?;
    job_type.check_binaries(&new.mains, &new.libs)?;
    let (mains, libs) = (new.mains, new.libs);
    let bare = JobTemplate {
        id: JobId::new(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        job_type: new.job_type,
        mains: Vec::new(),
        libs: Vec::new(),
        interface,
        is_public: new.is_public,
        is_protected: new.is_protected,
        created_at: now,
        updated_at: None,
    };
    foggara_db::once::makes(&bare.id);
    app.db()
        .write(move |conn| {
            let (mut job, mains, libs) = (bare.clone(), mains.clone(), libs.clone());
            Box::pin(async move {
                job.mains = binaries(conn, &job.project, &mains).await?;
                job.libs = binaries(conn, &job.project, &libs).await?;
                let sources = job_type.check_interface(&job.interface)?;
                sources_exist(conn, &job.project, &sources).await?;
                job_templates::insert(conn, &job).await?;
                Ok(job)
            })
        })
        .await
}

async fn binaries(conn: &mut Conn, project: &ProjectId, ids: &[BinaryId]) -> Result<Vec<JobBinary>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let binary = job_binaries::get(conn, project, id).await?;
        found.push(binary.ok_or_else(|| Error::refused(Code::NotFound, format!("Job binary '{id}' does not exist")))?);
    }
    Ok(found)
}

/// The data sources that interface values name must be visible.
pub(super) async fn sources_exist(conn: &mut Conn, project: &ProjectId, ids: &[DataSourceId]) -> Result<()> {
    for id in ids {
        if data_sources::get(conn, project, id).await?.is_none() {
            return Err(Error::refused(Code::InvalidReference, format!("DataSource with id '{id}' doesn't exist")));
        }
    }
    Ok(())
}

/// A visible job template.
pub async fn get(app: &App, caller: &Caller, id: &JobId) -> Result<JobTemplate> {
    let job = job_templates::get(&mut app.db().read().await?, &caller.project, id).await?;
    job.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<JobTemplate>> {
    job_templates::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes name, description or flags.
pub async fn update(app: &App, caller: &Caller, id: &JobId, change: JobTemplateChange) -> Result<JobTemplate> {
    let (caller, id, now) = (caller.clone(), id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (caller, id, change) = (caller.clone(), id.clone(), change.clone());
            Box::pin(async move {
                let before =
                    job_templates::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                let mut job = before.clone();
                job.name = change.name.unwrap_or(job.name);
                job.description = change.description.unwrap_or(job.description);
                job.is_public = change.is_public.unwrap_or(job.is_public);
                job.is_protected = change.is_protected.unwrap_or(job.is_protected);
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some()
                        && JobTemplate { is_public: before.is_public, ..job.clone() } == before,
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                if job == before {
                    return Ok(job);
                }
                job.updated_at = Some(now);
                job_templates::update(conn, &job).await?;
                Ok(job)
            })
        })
        .await
}

/// Deletes a job template. It has executions: `DELETION_FAILED`.
pub async fn delete(app: &App, caller: &Caller, id: &JobId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let job =
                    job_templates::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                may_delete(CLASS, &job.project, &caller, job.is_protected.is_on(), id.as_str())?;
                job_templates::delete(conn, &id).await
            })
        })
        .await
}
