//! Job templates with their mains, libs and interface.

use foggara_domain::{
    BinaryId, Code, Error, JobId, ProjectId, Result,
    binary::JobBinary,
    job_template::{InterfaceArgument, JobTemplate},
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row, job_binaries,
    page::{Column, ListSpec},
    sql,
};

const COLUMNS: &str = "id, project_id, name, description, job_type, is_public, is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "job_template",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("type", "job_type"),
        ("created_at", "created_at"),
        ("updated_at", "COALESCE(updated_at, 0)"),
    ],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Text("project_id")),
        ("name", Column::Pattern("name")),
        ("description", Column::Pattern("description")),
        ("type", Column::Text("job_type")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: false,
};

const MAIN: &str = "main";
const LIB: &str = "lib";

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for Job: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new job template. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, job: &JobTemplate) -> Result<()> {
    let text = format!("INSERT INTO job_template ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)");
    let query = sql(text)
        .bind(&job.id)
        .bind(&job.project)
        .bind(job.name.as_str())
        .bind(job.description.as_deref())
        .bind(job.job_type.as_str())
        .bind(job.is_public.stored())
        .bind(job.is_protected.stored())
        .bind(job.created_at)
        .bind(job.updated_at);
    conn.run(query).await.map_err(taken)?;
    for (role, binaries) in [(MAIN, &job.mains), (LIB, &job.libs)] {
        for (position, binary) in (0i64..).zip(binaries) {
            insert_binary(conn, &job.id, role, position, &binary.id).await?;
        }
    }
    for (position, argument) in (0i64..).zip(&job.interface) {
        insert_argument(conn, &job.id, position, argument).await?;
    }
    Ok(())
}

async fn insert_binary(conn: &mut Conn, job: &JobId, role: &str, position: i64, binary: &BinaryId) -> Result<()> {
    let query = sql("INSERT INTO job_template_binary (template_id, role, position, binary_id) VALUES ($1, $2, $3, $4)");
    let gone = |error| match error {
        // The binary was deleted between the check and this write.
        Error::Refused { code: Code::DeletionFailed, .. } => {
            Error::refused(Code::NotFound, format!("Job binary '{binary}' does not exist"))
        }
        other => other,
    };
    conn.run(query.bind(job).bind(role).bind(position).bind(binary)).await.map_err(gone)?;
    Ok(())
}

async fn insert_argument(conn: &mut Conn, job: &JobId, position: i64, argument: &InterfaceArgument) -> Result<()> {
    let query =
        sql("INSERT INTO interface_argument (id, template_id, position, name, description, mapping_type, location, \
         value_type, required, default_value, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)")
        .bind(argument.id.as_str())
        .bind(job)
        .bind(position)
        .bind(argument.name.as_str())
        .bind(argument.description.as_deref())
        .bind(argument.mapping_type.as_str())
        .bind(argument.location.as_str())
        .bind(argument.value_type.as_str())
        .bind(argument.required)
        .bind(argument.default.as_ref().map(ToString::to_string))
        .bind(argument.created_at);
    conn.run(query).await?;
    Ok(())
}

/// Saves what can change: name, description and flags.
pub async fn update(conn: &mut Conn, job: &JobTemplate) -> Result<()> {
    let query = sql("UPDATE job_template SET name = $2, description = $3, is_public = $4, is_protected = $5, \
         updated_at = $6 WHERE id = $1")
    .bind(&job.id)
    .bind(job.name.as_str())
    .bind(job.description.as_deref())
    .bind(job.is_public.stored())
    .bind(job.is_protected.stored())
    .bind(job.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// A job template that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &JobId) -> Result<Option<JobTemplate>> {
    let job = find(conn, id).await?;
    Ok(job.filter(|job| job.project == *project || job.is_public.is_on()))
}

/// A job template, whosever it is: for duties.
pub async fn find(conn: &mut Conn, id: &JobId) -> Result<Option<JobTemplate>> {
    match conn.first(sql(format!("SELECT {COLUMNS} FROM job_template WHERE id = $1")).bind(id)).await? {
        Some(row) => read(conn, &row).await.map(Some),
        None => Ok(None),
    }
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<JobTemplate>> {
    let page = LIST.page(conn, project, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in &page.items {
        items.push(read(conn, row).await?);
    }
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes a job template. It has executions: `DELETION_FAILED`.
pub async fn delete(conn: &mut Conn, id: &JobId) -> Result<()> {
    let refused = |error| match error {
        Error::Refused { code: Code::DeletionFailed, .. } => {
            Error::refused(Code::DeletionFailed, "Job deletion failed")
        }
        other => other,
    };
    conn.run(sql("DELETE FROM job_template WHERE id = $1").bind(id)).await.map_err(refused)?;
    Ok(())
}

/// Whether a job template has the binary among its mains or libs.
pub async fn uses_binary(conn: &mut Conn, binary: &BinaryId) -> Result<bool> {
    let query = sql("SELECT template_id FROM job_template_binary WHERE binary_id = $1 LIMIT 1");
    Ok(conn.first(query.bind(binary)).await?.is_some())
}

async fn read(conn: &mut Conn, row: &Row) -> Result<JobTemplate> {
    let id = JobId::from(row.text("id")?);
    Ok(JobTemplate {
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        job_type: row.text("job_type")?,
        mains: binaries(conn, &id, MAIN).await?,
        libs: binaries(conn, &id, LIB).await?,
        interface: interface(conn, &id).await?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        id,
    })
}

async fn binaries(conn: &mut Conn, job: &JobId, role: &str) -> Result<Vec<JobBinary>> {
    let columns: Vec<String> = job_binaries::COLUMNS.split(", ").map(|column| format!("b.{column}")).collect();
    let text = format!(
        "SELECT {} FROM job_template_binary t JOIN job_binary b ON b.id = t.binary_id \
         WHERE t.template_id = $1 AND t.role = $2 ORDER BY t.position",
        columns.join(", ")
    );
    let rows = conn.all(sql(text).bind(job).bind(role)).await?;
    rows.iter().map(|row| job_binaries::read(conn, row)).collect()
}

async fn interface(conn: &mut Conn, job: &JobId) -> Result<Vec<InterfaceArgument>> {
    let query =
        sql("SELECT id, name, description, mapping_type, location, value_type, required, default_value, created_at \
         FROM interface_argument WHERE template_id = $1 ORDER BY position");
    conn.all(query.bind(job)).await?.iter().map(read_argument).collect()
}

fn read_argument(row: &Row) -> Result<InterfaceArgument> {
    let default = row.text_or_null("default_value")?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(InterfaceArgument {
        id: row.text("id")?,
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        mapping_type: row.text("mapping_type")?,
        location: row.text("location")?,
        value_type: row.text("value_type")?,
        required: row.flag("required")?,
        default: default.map_err(|error| Error::Internal(format!("interface_argument.default_value: {error}")))?,
        created_at: row.time("created_at")?,
    })
}
