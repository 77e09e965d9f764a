//! Application credentials of the embedded identity's users.

use foggara_domain::{ProjectId, Result, Secret, Timestamp, UserId};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    sql,
};

/// A secret for a program, with some of a user's roles on one project.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationCredential {
    /// Opaque id.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// What it is for.
    pub project: ProjectId,
    /// Unique among the user's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The argon2 text of its secret.
    pub secret_hash: Secret,
    /// The roles that it gives, as long as the user holds them.
    pub roles: Vec<String>,
    /// Whether it may make others and delegate.
    pub unrestricted: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

const COLUMNS: &str =
    "id, user_id, project_id, name, description, secret_hash, role_ids, unrestricted, expires_at, created_at";

/// Stores a credential unless the user has one of the name; tells whether it did.
pub async fn insert(conn: &mut Conn, credential: &ApplicationCredential) -> Result<bool> {
    let text = format!(
        "INSERT INTO iam_application_credential ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) ON CONFLICT DO NOTHING"
    );
    let query = sql(text)
        .bind(credential.id.as_str())
        .bind(&credential.user)
        .bind(&credential.project)
        .bind(credential.name.as_str())
        .bind(credential.description.as_deref())
        .bind(credential.secret_hash.reveal())
        .bind(to_json(&credential.roles)?)
        .bind(credential.unrestricted)
        .bind(credential.expires_at)
        .bind(credential.created_at);
    Ok(conn.run(query).await? == 1)
}

/// A credential by its id.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<ApplicationCredential>> {
    let text = format!("SELECT {COLUMNS} FROM iam_application_credential WHERE id = $1");
    conn.first(sql(text).bind(id)).await?.map(|row| read(&row)).transpose()
}

/// A user's credential by its name.
pub async fn by_name(conn: &mut Conn, user: &UserId, name: &str) -> Result<Option<ApplicationCredential>> {
    let text = format!("SELECT {COLUMNS} FROM iam_application_credential WHERE user_id = $1 AND name = $2");
    conn.first(sql(text).bind(user).bind(name)).await?.map(|row| read(&row)).transpose()
}

/// A user's credentials by name.
pub async fn of_user(conn: &mut Conn, user: &UserId) -> Result<Vec<ApplicationCredential>> {
    let text = format!("SELECT {COLUMNS} FROM iam_application_credential WHERE user_id = $1 ORDER BY name");
    conn.all(sql(text).bind(user)).await?.iter().map(read).collect()
}

/// Removes a user's credential; its tokens are void. Tells whether there was one.
pub async fn delete(conn: &mut Conn, user: &UserId, id: &str) -> Result<bool> {
    let query = sql("DELETE FROM iam_application_credential WHERE user_id = $1 AND id = $2");
    Ok(conn.run(query.bind(user).bind(id)).await? == 1)
}

fn read(row: &Row) -> Result<ApplicationCredential> {
    Ok(ApplicationCredential {
        id: row.text("id")?,
        user: row.text("user_id")?.into(),
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        secret_hash: Secret::new(row.text("secret_hash")?),
        roles: from_json("iam_application_credential.role_ids", &row.text("role_ids")?)?,
        unrestricted: row.flag("unrestricted")?,
        expires_at: row.time_or_null("expires_at")?,
        created_at: row.time("created_at")?,
    })
}
