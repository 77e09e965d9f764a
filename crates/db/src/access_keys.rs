//! Access keys (AK/SK) of the embedded identity's users. The secrets are sealed in their rows: a signature can only be checked
//! with the secret itself, and whoever reads the database without the keyring can sign nothing.

use foggara_domain::{ProjectId, Result, Secret, Timestamp, UserId};

use crate::{Conn, Row, sql};

/// A pair of keys that signs requests in a user's name.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessKey {
    /// The public half, which names the pair.
    pub access: String,
    /// The half that signs.
    pub secret: Secret,
    /// Whose it is.
    pub user: UserId,
    /// The project of a request that names none.
    pub project: ProjectId,
    /// Free text, may be empty.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A pair without its secret, as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The public half.
    pub access: String,
    /// Whose it is.
    pub user: UserId,
    /// The user's name.
    pub user_name: String,
    /// The project of a request that names none.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Free text, may be empty.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a secret is sealed.
fn place(access: &str) -> String {
    format!("iam_access_key.sealed.{access}")
}

/// Stores a pair unless there is one of the name; tells whether it did.
pub async fn insert(conn: &mut Conn, key: &AccessKey) -> Result<bool> {
    let sealed = conn.seal_keys().seal(&place(&key.access), key.secret.reveal())?;
    let insert = sql("INSERT INTO iam_access_key (access, user_id, project_id, sealed, description, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING")
    .bind(key.access.as_str())
    .bind(&key.user)
    .bind(&key.project)
    .bind(sealed)
    .bind(key.description.as_str())
    .bind(key.created_at);
    Ok(conn.run(insert).await? == 1)
}

/// A pair by its public half, with its secret.
///
/// # Errors
/// Internal when the keyring is not the one that sealed it.
pub async fn find(conn: &mut Conn, access: &str) -> Result<Option<AccessKey>> {
    let select = sql("SELECT access, user_id, project_id, sealed, description, created_at FROM iam_access_key \
                      WHERE access = $1");
    let Some(row) = conn.first(select.bind(access)).await? else { return Ok(None) };
    let access = row.text("access")?;
    let sealed = row.bytes_or_null("sealed")?.unwrap_or_default();
    Ok(Some(AccessKey {
        secret: Secret::new(conn.seal_keys().open(&place(&access), &sealed)?),
        access,
        user: row.text("user_id")?.into(),
        project: row.text("project_id")?.into(),
        description: row.text("description")?,
        created_at: row.time("created_at")?,
    }))
}

/// All pairs, oldest first. No secret is opened for it.
pub async fn all(conn: &mut Conn) -> Result<Vec<Listed>> {
    let select = sql(
        "SELECT k.access AS access, k.user_id AS user_id, u.name AS user_name, k.project_id AS project_id, \
                      p.name AS project_name, k.description AS description, k.created_at AS created_at \
                      FROM iam_access_key k JOIN iam_user u ON u.id = k.user_id JOIN iam_project p ON p.id = k.project_id \
                      ORDER BY k.created_at, k.access",
    );
    conn.all(select).await?.iter().map(listed).collect()
}

/// Removes a pair; nothing that it signed counts from then on. Tells whether there was one.
pub async fn delete(conn: &mut Conn, access: &str) -> Result<bool> {
    Ok(conn.run(sql("DELETE FROM iam_access_key WHERE access = $1").bind(access)).await? == 1)
}

fn listed(row: &Row) -> Result<Listed> {
    Ok(Listed {
        access: row.text("access")?,
        user: row.text("user_id")?.into(),
        user_name: row.text("user_name")?,
        project: row.text("project_id")?.into(),
        project_name: row.text("project_name")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
    })
}
