//! The embedded identity's records: domains, projects, users, roles, assignments and revoked tokens.
//!
//! The functions only store and find. What a token needs, and who may ask for what, is `identity`'s.

use foggara_domain::{Code, Error, ProjectId, Result, Secret, Timestamp, UserId};

use crate::{Conn, Query, Row, sql};

/// A domain: where names of projects and users are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Opaque id; `default` for the first one.
    pub id: String,
    /// Unique name.
    pub name: String,
}

/// A project.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Opaque id.
    pub id: ProjectId,
    /// Name, unique in its domain.
    pub name: String,
    /// Free text, may be empty.
    pub description: String,
    /// The domain.
    pub domain: Domain,
}

/// A user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Opaque id.
    pub id: UserId,
    /// Name, unique in its domain.
    pub name: String,
    /// The domain.
    pub domain: Domain,
    /// Whether it may log in.
    pub enabled: bool,
    /// The scope of a login that names none.
    pub default_project: Option<ProjectId>,
    /// The argon2 text of the password.
    pub password_hash: Secret,
    /// Tokens made under another number are void.
    pub generation: i64,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Opaque id.
    pub id: String,
    /// Unique name.
    pub name: String,
}

/// What a role is held on.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A project.
    Project(ProjectId),
    /// A domain, by its id.
    Domain(String),
    /// The installation itself.
    System,
}

impl Target {
    fn kind(&self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Domain(_) => "domain",
            Self::System => "system",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Project(id) => id.as_str(),
            Self::Domain(id) => id,
            Self::System => "all",
        }
    }
}

/// Who holds which role where, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Name of the user.
    pub user: String,
    /// Name of the role.
    pub role: String,
    /// What it is held on.
    pub target: Target,
    /// The name of that.
    pub target_name: String,
}

const PROJECT: &str = "SELECT p.id AS id, p.name AS name, p.description AS description, d.id AS domain_id, \
     d.name AS domain_name FROM iam_project p JOIN iam_domain d ON d.id = p.domain_id \
     WHERE p.enabled = 1 AND d.enabled = 1";
const USER: &str = "SELECT u.id AS id, u.name AS name, u.password_hash AS password_hash, u.enabled AS enabled, \
     u.default_project_id AS default_project_id, u.generation AS generation, d.id AS domain_id, d.name AS domain_name \
     FROM iam_user u JOIN iam_domain d ON d.id = u.domain_id WHERE d.enabled = 1";

fn domain_of(row: &Row) -> Result<Domain> {
    Ok(Domain { id: row.text("domain_id")?, name: row.text("domain_name")? })
}

fn project_from(row: &Row) -> Result<Project> {
    Ok(Project {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        description: row.text("description")?,
        domain: domain_of(row)?,
    })
}

fn user_from(row: &Row) -> Result<User> {
    Ok(User {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        domain: domain_of(row)?,
        enabled: row.flag("enabled")?,
        default_project: row.text_or_null("default_project_id")?.map(ProjectId::from),
        password_hash: Secret::new(row.text("password_hash")?),
        generation: row.int("generation")?,
    })
}

fn role_from(row: &Row) -> Result<Role> {
    Ok(Role { id: row.text("id")?, name: row.text("name")? })
}

/// `SELECT` text from two constants.
fn query(begin: &'static str, end: &'static str) -> Query {
    sql(format!("{begin} {end}"))
}

async fn one<T>(conn: &mut Conn, query: Query, read: fn(&Row) -> Result<T>) -> Result<Option<T>> {
    conn.first(query).await?.as_ref().map(read).transpose()
}

async fn many<T>(conn: &mut Conn, query: Query, read: fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    conn.all(query).await?.iter().map(read).collect()
}

// Domains

/// Stores a domain unless its id or name is taken; tells whether it did.
pub async fn insert_domain(conn: &mut Conn, domain: &Domain) -> Result<bool> {
    let insert = sql("INSERT INTO iam_domain (id, name, enabled) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING");
    Ok(conn.run(insert.bind(&domain.id).bind(&domain.name)).await? == 1)
}

const DOMAIN: &str = "SELECT d.id AS domain_id, d.name AS domain_name FROM iam_domain d WHERE d.enabled = 1";

/// A domain by id.
pub async fn domain(conn: &mut Conn, id: &str) -> Result<Option<Domain>> {
    one(conn, query(DOMAIN, "AND d.id = $1").bind(id), domain_of).await
}

/// A domain by name, without regard to case: clients write `default` for the domain that is called Default.
pub async fn domain_by_name(conn: &mut Conn, name: &str) -> Result<Option<Domain>> {
    one(conn, query(DOMAIN, "AND LOWER(d.name) = LOWER($1)").bind(name), domain_of).await
}

/// All domains, by name.
pub async fn domains(conn: &mut Conn) -> Result<Vec<Domain>> {
    many(conn, query(DOMAIN, "ORDER BY d.name"), domain_of).await
}

/// The domains on which the user holds a role.
pub async fn domains_of_user(conn: &mut Conn, user: &UserId) -> Result<Vec<Domain>> {
    let held = "AND EXISTS (SELECT 1 FROM iam_assignment a WHERE a.user_id = $1 AND a.target_kind = 'domain' \
                AND a.target_id = d.id) ORDER BY d.name";
    many(conn, query(DOMAIN, held).bind(user), domain_of).await
}

// Projects

/// Stores a project.
///
/// # Errors
/// Refused when its name is taken in the domain.
pub async fn insert_project(conn: &mut Conn, project: &Project, at: Timestamp) -> Result<()> {
    let insert = sql("INSERT INTO iam_project (id, domain_id, name, description, enabled, created_at) \
                      VALUES ($1, $2, $3, $4, 1, $5) ON CONFLICT DO NOTHING")
    .bind(&project.id)
    .bind(&project.domain.id)
    .bind(&project.name)
    .bind(&project.description)
    .bind(at);
    match conn.run(insert).await? {
        0 => Err(taken("project", &project.name, &project.domain)),
        _ => Ok(()),
    }
}

/// A project by id.
pub async fn project(conn: &mut Conn, id: &ProjectId) -> Result<Option<Project>> {
    one(conn, query(PROJECT, "AND p.id = $1").bind(id), project_from).await
}

/// A project by its domain's id and its name.
pub async fn project_by_name(conn: &mut Conn, domain: &str, name: &str) -> Result<Option<Project>> {
    one(conn, query(PROJECT, "AND p.domain_id = $1 AND p.name = $2").bind(domain).bind(name), project_from).await
}

/// All projects, by name.
pub async fn projects(conn: &mut Conn) -> Result<Vec<Project>> {
    many(conn, query(PROJECT, "ORDER BY p.name, p.id"), project_from).await
}

/// The projects on which the user holds a role, by name.
pub async fn projects_of_user(conn: &mut Conn, user: &UserId) -> Result<Vec<Project>> {
    let held = "AND EXISTS (SELECT 1 FROM iam_assignment a WHERE a.user_id = $1 AND a.target_kind = 'project' \
                AND a.target_id = p.id) ORDER BY p.name, p.id";
    many(conn, query(PROJECT, held).bind(user), project_from).await
}

/// Removes a project with all roles on it; tokens for it are void from then on. Tells whether there was one.
pub async fn remove_project(conn: &mut Conn, id: &ProjectId) -> Result<bool> {
    let roles = sql("DELETE FROM iam_assignment WHERE target_kind = 'project' AND target_id = $1");
    conn.run(roles.bind(id)).await?;
    conn.run(sql("DELETE FROM iam_application_credential WHERE project_id = $1").bind(id)).await?;
    conn.run(sql("DELETE FROM iam_access_key WHERE project_id = $1").bind(id)).await?;
    let default = sql("UPDATE iam_user SET default_project_id = NULL WHERE default_project_id = $1");
    conn.run(default.bind(id)).await?;
    Ok(conn.run(sql("DELETE FROM iam_project WHERE id = $1").bind(id)).await? == 1)
}

/// What a project still has, in words for the operator; nothing when it is empty.
pub async fn holding_of_project(conn: &mut Conn, id: &ProjectId) -> Result<Option<&'static str>> {
    let tables = [
        ("executions", "SELECT id FROM execution WHERE project_id = $1 AND deleted_at IS NULL LIMIT 1"),
        ("job templates", "SELECT id FROM job_template WHERE project_id = $1 LIMIT 1"),
        ("job binaries", "SELECT id FROM job_binary WHERE project_id = $1 LIMIT 1"),
        ("internal job binaries", "SELECT id FROM internal_binary WHERE project_id = $1 LIMIT 1"),
        ("data sources", "SELECT id FROM data_source WHERE project_id = $1 LIMIT 1"),
        ("clusters", "SELECT id FROM cluster WHERE project_id = $1 LIMIT 1"),
    ];
    for (kind, select) in tables {
        if conn.first(sql(select).bind(id)).await?.is_some() {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

// Users

/// Stores a user.
///
/// # Errors
/// Refused when its name is taken in the domain.
pub async fn insert_user(conn: &mut Conn, user: &User, at: Timestamp) -> Result<()> {
    let insert = sql("INSERT INTO iam_user \
                      (id, domain_id, name, password_hash, enabled, default_project_id, generation, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING")
    .bind(&user.id)
    .bind(&user.domain.id)
    .bind(&user.name)
    .bind(user.password_hash.reveal())
    .bind(user.enabled)
    .bind(user.default_project.as_ref().map(ProjectId::as_str))
    .bind(user.generation)
    .bind(at);
    match conn.run(insert).await? {
        0 => Err(taken("user", &user.name, &user.domain)),
        _ => Ok(()),
    }
}

/// A user by id.
pub async fn user(conn: &mut Conn, id: &UserId) -> Result<Option<User>> {
    one(conn, query(USER, "AND u.id = $1").bind(id), user_from).await
}

/// A user by its domain's id and its name.
pub async fn user_by_name(conn: &mut Conn, domain: &str, name: &str) -> Result<Option<User>> {
    one(conn, query(USER, "AND u.domain_id = $1 AND u.name = $2").bind(domain).bind(name), user_from).await
}

/// All users, by name.
pub async fn users(conn: &mut Conn) -> Result<Vec<User>> {
    many(conn, query(USER, "ORDER BY u.name, u.id"), user_from).await
}

/// Gives a user another password and voids its tokens. Tells whether there is such a user.
pub async fn set_password(conn: &mut Conn, user: &UserId, password_hash: &Secret) -> Result<bool> {
    let update = sql("UPDATE iam_user SET password_hash = $2, generation = generation + 1 WHERE id = $1");
    Ok(conn.run(update.bind(user).bind(password_hash.reveal())).await? == 1)
}

/// Lets a user log in or not, and voids its tokens. Tells whether there is such a user.
pub async fn set_enabled(conn: &mut Conn, user: &UserId, enabled: bool) -> Result<bool> {
    let update = sql("UPDATE iam_user SET enabled = $2, generation = generation + 1 WHERE id = $1");
    Ok(conn.run(update.bind(user).bind(enabled)).await? == 1)
}

/// Removes a user with its roles; its tokens are void from then on. Tells whether there was one.
pub async fn remove_user(conn: &mut Conn, user: &UserId) -> Result<bool> {
    conn.run(sql("DELETE FROM iam_assignment WHERE user_id = $1").bind(user)).await?;
    conn.run(sql("DELETE FROM iam_application_credential WHERE user_id = $1").bind(user)).await?;
    conn.run(sql("DELETE FROM iam_access_key WHERE user_id = $1").bind(user)).await?;
    Ok(conn.run(sql("DELETE FROM iam_user WHERE id = $1").bind(user)).await? == 1)
}

// Roles

/// Stores a role unless its name is taken.
pub async fn insert_role(conn: &mut Conn, role: &Role) -> Result<()> {
    let insert = sql("INSERT INTO iam_role (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    conn.run(insert.bind(&role.id).bind(&role.name)).await.map(|_| ())
}

/// All roles, by name.
pub async fn roles(conn: &mut Conn) -> Result<Vec<Role>> {
    many(conn, sql("SELECT id, name FROM iam_role ORDER BY name"), role_from).await
}

/// A role by name.
pub async fn role_by_name(conn: &mut Conn, name: &str) -> Result<Option<Role>> {
    one(conn, sql("SELECT id, name FROM iam_role WHERE name = $1").bind(name), role_from).await
}

/// The roles that a user holds on a target, by name.
pub async fn roles_on(conn: &mut Conn, user: &UserId, target: &Target) -> Result<Vec<Role>> {
    let held = sql("SELECT r.id AS id, r.name AS name FROM iam_assignment a JOIN iam_role r ON r.id = a.role_id \
                    WHERE a.user_id = $1 AND a.target_kind = $2 AND a.target_id = $3 ORDER BY r.name");
    many(conn, held.bind(user).bind(target.kind()).bind(target.id()), role_from).await
}

/// Gives a user a role on a target; nothing changes when it has it.
pub async fn grant(conn: &mut Conn, user: &UserId, target: &Target, role_id: &str) -> Result<()> {
    let insert = sql("INSERT INTO iam_assignment (user_id, target_kind, target_id, role_id) \
                      VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
    conn.run(insert.bind(user).bind(target.kind()).bind(target.id()).bind(role_id)).await.map(|_| ())
}

/// Takes a role from a user and voids its tokens. Tells whether it had the role.
pub async fn take_back(conn: &mut Conn, user: &UserId, target: &Target, role_id: &str) -> Result<bool> {
    let delete = sql("DELETE FROM iam_assignment \
                      WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 AND role_id = $4");
    let had = conn.run(delete.bind(user).bind(target.kind()).bind(target.id()).bind(role_id)).await? == 1;
    if had {
        conn.run(sql("UPDATE iam_user SET generation = generation + 1 WHERE id = $1").bind(user)).await?;
    }
    Ok(had)
}

/// Every assignment, by user, target and role.
pub async fn assignments(conn: &mut Conn) -> Result<Vec<Assignment>> {
    let all = sql("SELECT u.name AS user_name, r.name AS role, a.target_kind AS kind, a.target_id AS target_id, \
                   COALESCE(p.name, d.name, 'system') AS target_name \
                   FROM iam_assignment a JOIN iam_user u ON u.id = a.user_id JOIN iam_role r ON r.id = a.role_id \
                   LEFT JOIN iam_project p ON a.target_kind = 'project' AND p.id = a.target_id \
                   LEFT JOIN iam_domain d ON a.target_kind = 'domain' AND d.id = a.target_id \
                   ORDER BY 1, 3, 5, 2");
    many(conn, all, |row| {
        let id = row.text("target_id")?;
        Ok(Assignment {
            user: row.text("user_name")?,
            role: row.text("role")?,
            target: match row.text("kind")?.as_str() {
                "domain" => Target::Domain(id),
                "system" => Target::System,
                _ => Target::Project(id.into()),
            },
            target_name: row.text("target_name")?,
        })
    })
    .await
}

// Revoked tokens

/// Voids one token by its audit id. `expires_at` is the token's end.
pub async fn revoke_token(conn: &mut Conn, audit_id: &str, expires_at: Timestamp) -> Result<()> {
    let insert = sql("INSERT INTO iam_revocation (audit_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    conn.run(insert.bind(audit_id).bind(expires_at)).await.map(|_| ())
}

/// Whether a token was revoked.
pub async fn is_revoked(conn: &mut Conn, audit_id: &str) -> Result<bool> {
    let row = conn.first(sql("SELECT audit_id FROM iam_revocation WHERE audit_id = $1").bind(audit_id)).await?;
    Ok(row.is_some())
}

/// Forgets revocations of tokens that have ended anyway; tells how many.
pub async fn sweep_revocations(conn: &mut Conn, now: Timestamp) -> Result<u64> {
    conn.run(sql("DELETE FROM iam_revocation WHERE expires_at <= $1").bind(now)).await
}

fn taken(kind: &str, name: &str, domain: &Domain) -> Error {
    Error::refused(
        Code::NameAlreadyExists,
        format!("A {kind} named '{name}' already exists in domain '{}'; choose another name", domain.name),
    )
}
