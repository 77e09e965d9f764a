//! Bytes that were uploaded into the service itself, in pieces. While they come in, the row is not ready: it shows nowhere
//! and holds no name; the last transaction of an upload makes it visible.

use foggara_domain::{
    Code, Error, InternalBinaryId, ProjectId, Result, Timestamp,
    binary::InternalBinary,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    page::{Column, ListSpec},
    sql,
};

/// Size of a piece in bytes; the last one may be shorter.
pub const PIECE: usize = 256 * 1024;

const COLUMNS: &str = "id, project_id, name, size, sha256, is_public, is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "internal_binary",
    visible: "ready = 1 AND (project_id = $1 OR is_public = 1)",
    sort: &[("id", "id"), ("name", "name"), ("created_at", "created_at"), ("updated_at", "COALESCE(updated_at, 0)")],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Text("project_id")),
        ("name", Column::Pattern("name")),
        ("datasize", Column::Int("size")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: false,
};

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for JobBinaryInternal: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Begins an upload: a row that is not ready. Size and hash are set by [`finish`].
pub async fn begin(conn: &mut Conn, binary: &InternalBinary) -> Result<()> {
    let text = format!("INSERT INTO internal_binary ({COLUMNS}, ready) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,0)");
    let size = i64::try_from(binary.size).unwrap_or(i64::MAX);
    let query = sql(text)
        .bind(&binary.id)
        .bind(&binary.project)
        .bind(binary.name.as_str())
        .bind(size)
        .bind(binary.sha256.as_str())
        .bind(binary.is_public.stored())
        .bind(binary.is_protected.stored())
        .bind(binary.created_at)
        .bind(binary.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// Stores one piece of an upload; pieces count from 0.
pub async fn put_piece(conn: &mut Conn, id: &InternalBinaryId, number: i64, bytes: Vec<u8>) -> Result<()> {
    let query = sql("INSERT INTO internal_binary_chunk (binary_id, number, bytes) VALUES ($1, $2, $3)");
    conn.run(query.bind(id).bind(number).bind(bytes)).await?;
    Ok(())
}

/// Makes an upload visible. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn finish(conn: &mut Conn, id: &InternalBinaryId, size: u64, sha256: &str) -> Result<()> {
    let query = sql("UPDATE internal_binary SET ready = 1, size = $2, sha256 = $3 WHERE id = $1");
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    conn.run(query.bind(id).bind(size).bind(sha256)).await.map_err(taken)?;
    Ok(())
}

/// Whether a name is taken among the visible rows of a project.
pub async fn name_taken(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<bool> {
    let query = sql("SELECT id FROM internal_binary WHERE ready = 1 AND project_id = $1 AND name = $2");
    Ok(conn.first(query.bind(project).bind(name)).await?.is_some())
}

/// Removes uploads that were begun before a time and never finished.
pub async fn sweep(conn: &mut Conn, before: Timestamp) -> Result<u64> {
    conn.run(sql("DELETE FROM internal_binary WHERE ready = 0 AND created_at < $1").bind(before)).await
}

/// One piece of the bytes.
pub async fn piece(conn: &mut Conn, id: &InternalBinaryId, number: i64) -> Result<Option<Vec<u8>>> {
    let query = sql("SELECT bytes FROM internal_binary_chunk WHERE binary_id = $1 AND number = $2");
    match conn.first(query.bind(id).bind(number)).await? {
        Some(row) => row.bytes_or_null("bytes"),
        None => Ok(None),
    }
}

/// Saves what can change: name and flags.
pub async fn update(conn: &mut Conn, binary: &InternalBinary) -> Result<()> {
    let query =
        sql("UPDATE internal_binary SET name = $2, is_public = $3, is_protected = $4, updated_at = $5 WHERE id = $1");
    let query = query
        .bind(&binary.id)
        .bind(binary.name.as_str())
        .bind(binary.is_public.stored())
        .bind(binary.is_protected.stored())
        .bind(binary.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// An internal binary that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &InternalBinaryId) -> Result<Option<InternalBinary>> {
    let text = format!(
        "SELECT {COLUMNS} FROM internal_binary WHERE id = $2 AND ready = 1 AND (project_id = $1 OR is_public = 1)"
    );
    let row = conn.first(sql(text).bind(project).bind(id)).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<InternalBinary>> {
    let page = LIST.page(conn, project, query).await?;
    let items = page.items.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes an internal binary with its bytes. Job binaries may still point at it.
pub async fn delete(conn: &mut Conn, id: &InternalBinaryId) -> Result<()> {
    conn.run(sql("DELETE FROM internal_binary WHERE id = $1").bind(id)).await?;
    Ok(())
}

fn read(row: &Row) -> Result<InternalBinary> {
    Ok(InternalBinary {
        id: row.text("id")?.into(),
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        size: u64::try_from(row.int("size")?).unwrap_or(0),
        sha256: row.text("sha256")?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
