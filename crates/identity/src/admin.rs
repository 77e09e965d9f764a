//! The first start, and what the operator does with users, projects, roles and keys from the command line.
//!
//! It works on the database, so that a server may run or not; names stand for what lies in the domain `default`.

mod access_keys;

use std::time::Duration;

use foggara_db::{
    Conn, Db,
    accounts::{self, Assignment, Domain, Project, Role, Target, User},
};
use foggara_domain::{Code, Error, ProjectId, Result, Secret, Timestamp, UserId};

use crate::{
    issuer::{Clock, Hashing, new_id},
    policy::{ADMIN, MEMBER, READER},
};

pub use access_keys::NewAccessKey;

/// Id of the domain that the first start makes.
pub const DEFAULT_DOMAIN: &str = "default";
/// Its name.
pub const DEFAULT_DOMAIN_NAME: &str = "Default";
/// Name of the project that the first start makes.
pub const FIRST_PROJECT: &str = "demo";
/// Name of the user that the first start makes.
pub const FIRST_USER: &str = "admin";
/// Names are kept as short as Keystone keeps those of projects.
const NAME_LIMIT: usize = 64;

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// Its password; not empty.
    pub password: Secret,
    /// A project by name or id, on which it gets a role and which becomes its default.
    pub project: Option<String>,
    /// The role's name; `member` when there is only a project.
    pub role: Option<String>,
}

/// Users, projects, roles and keys of a database. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    db: Db,
    hashing: Hashing,
    clock: Clock,
}

impl Admin {
    /// On a database whose schema is up to date.
    pub fn new(db: Db) -> Self {
        Self { db, hashing: Hashing::default(), clock: Clock::default() }
    }

    /// Whether the first start was done.
    pub async fn is_bootstrapped(&self) -> Result<bool> {
        Ok(accounts::domain(&mut self.db.read().await?, DEFAULT_DOMAIN).await?.is_some())
    }

    /// The first start (contract.md section 1), in one transaction: domain `Default`, the roles, project `demo`, and user
    /// `admin` with the roles admin and member on it. Tells whether it did anything: a second call changes nothing, not
    /// even the password.
    ///
    /// # Errors
    /// An empty password is refused.
    pub async fn bootstrap(&self, password: &Secret) -> Result<bool> {
        if self.is_bootstrapped().await? {
            return Ok(false);
        }
        let domain = Domain { id: DEFAULT_DOMAIN.to_owned(), name: DEFAULT_DOMAIN_NAME.to_owned() };
        let roles = [ADMIN, MEMBER, READER].map(|name| Role { id: new_id(), name: name.to_owned() });
        let project = Project {
            id: ProjectId::random(),
            name: FIRST_PROJECT.to_owned(),
            description: "Made by the first start".to_owned(),
            domain: domain.clone(),
        };
        let mut user = new_user(FIRST_USER, &domain, self.hash(password).await?)?;
        user.default_project = Some(project.id.clone());
        let now = self.clock.now();
        self.db
            .write(move |conn| {
                let (domain, roles, project, user) = (domain.clone(), roles.clone(), project.clone(), user.clone());
                Box::pin(async move { first_records(conn, &domain, &roles, &project, &user, now).await })
            })
            .await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// Refused when the name is taken or wrong, or the project or role does not exist.
    pub async fn add_user(&self, new: &NewUser) -> Result<User> {
        if new.role.is_some() && new.project.is_none() {
            return Err(Error::refused(Code::InvalidData, "A role needs a project that it is held on; name a project"));
        }
        let hash = self.hash(&new.password).await?;
        let (new, now) = (new.clone(), self.clock.now());
        self.db
            .write(move |conn| {
                let (new, hash) = (new.clone(), hash.clone());
                Box::pin(async move {
                    let mut user = new_user(&new.name, &default_domain(conn).await?, hash)?;
                    let Some(project) = &new.project else {
                        accounts::insert_user(conn, &user, now).await?;
                        return Ok(user);
                    };
                    let project = project_named(conn, project).await?;
                    let role = role_named(conn, new.role.as_deref().unwrap_or(MEMBER)).await?;
                    user.default_project = Some(project.id.clone());
                    accounts::insert_user(conn, &user, now).await?;
                    accounts::grant(conn, &user.id, &Target::Project(project.id), &role.id).await?;
                    Ok(user)
                })
            })
            .await
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        accounts::users(&mut self.db.read().await?).await
    }

    /// Removes a user by name or id; its tokens are void.
    ///
    /// # Errors
    /// Refused when there is none.
    pub async fn remove_user(&self, user: &str) -> Result<()> {
        let user = user.to_owned();
        self.db
            .write(move |conn| {
                let user = user.clone();
                Box::pin(async move {
                    let user = user_named(conn, &user).await?;
                    accounts::remove_user(conn, &user.id).await.map(|_| ())
                })
            })
            .await
    }

    /// Gives a user another password; its tokens are void.
    ///
    /// # Errors
    /// Refused when there is no such user or the password is empty.
    pub async fn set_password(&self, user: &str, password: &Secret) -> Result<()> {
        let hash = self.hash(password).await?;
        let user = user.to_owned();
        self.db
            .write(move |conn| {
                let (user, hash) = (user.clone(), hash.clone());
                Box::pin(async move {
                    let user = user_named(conn, &user).await?;
                    accounts::set_password(conn, &user.id, &hash).await.map(|_| ())
                })
            })
            .await
    }

    /// Lets a user log in or not; its tokens are void.
    ///
    /// # Errors
    /// Refused when there is no such user.
    pub async fn set_enabled(&self, user: &str, enabled: bool) -> Result<()> {
        let user = user.to_owned();
        self.db
            .write(move |conn| {
                let user = user.clone();
                Box::pin(async move {
                    let user = user_named(conn, &user).await?;
                    accounts::set_enabled(conn, &user.id, enabled).await.map(|_| ())
                })
            })
            .await
    }

    /// Makes a project.
    ///
    /// # Errors
    /// Refused when the name is taken or wrong.
    pub async fn add_project(&self, name: &str, description: &str) -> Result<Project> {
        check_name("project", name)?;
        let (id, name, description) = (ProjectId::random(), name.to_owned(), description.to_owned());
        let now = self.clock.now();
        self.db
            .write(move |conn| {
                let (id, name, description) = (id.clone(), name.clone(), description.clone());
                Box::pin(async move {
                    let project = Project { id, name, description, domain: default_domain(conn).await? };
                    accounts::insert_project(conn, &project, now).await?;
                    Ok(project)
                })
            })
            .await
    }

    /// All projects, by name.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        accounts::projects(&mut self.db.read().await?).await
    }

    /// Removes a project by name or id with all roles on it; tokens for it are void.
    ///
    /// # Errors
    /// Refused when there is none, or while it has jobs, templates, binaries, data sources or clusters.
    pub async fn remove_project(&self, project: &str) -> Result<()> {
        let project = project.to_owned();
        self.db
            .write(move |conn| {
                let project = project.clone();
                Box::pin(async move {
                    let project = project_named(conn, &project).await?;
                    if let Some(kind) = accounts::holding_of_project(conn, &project.id).await? {
                        return Err(Error::refused(
                            Code::DeletionFailed,
                            format!("Project '{}' still has {kind}; delete them first", project.name),
                        ));
                    }
                    accounts::remove_project(conn, &project.id).await.map(|_| ())
                })
            })
            .await
    }

    /// Gives a user a role on a project, all three by name (or id).
    ///
    /// # Errors
    /// Refused when one of them does not exist.
    pub async fn grant(&self, user: &str, project: &str, role: &str) -> Result<()> {
        self.assign(user, project, role, true).await
    }

    /// Takes a role on a project from a user; its tokens are void.
    ///
    /// # Errors
    /// Refused when one of them does not exist or the user does not hold the role.
    pub async fn take_back(&self, user: &str, project: &str, role: &str) -> Result<()> {
        self.assign(user, project, role, false).await
    }

    async fn assign(&self, user: &str, project: &str, role: &str, give: bool) -> Result<()> {
        let words = [user, project, role].map(str::to_owned);
        self.db
            .write(move |conn| {
                let [user, project, role] = words.clone();
                Box::pin(async move {
                    let (user, project) = (user_named(conn, &user).await?, project_named(conn, &project).await?);
                    let role = role_named(conn, &role).await?;
                    let target = Target::Project(project.id);
                    if give {
                        return accounts::grant(conn, &user.id, &target, &role.id).await;
                    }
                    if accounts::take_back(conn, &user.id, &target, &role.id).await? {
                        return Ok(());
                    }
                    Err(Error::refused(
                        Code::NotFound,
                        format!("User '{}' does not hold the role '{}' on '{}'", user.name, role.name, project.name),
                    ))
                })
            })
            .await
    }

    /// Every assignment.
    pub async fn assignments(&self) -> Result<Vec<Assignment>> {
        accounts::assignments(&mut self.db.read().await?).await
    }

    /// All roles, by name.
    pub async fn roles(&self) -> Result<Vec<Role>> {
        accounts::roles(&mut self.db.read().await?).await
    }

    /// Rotates the token keys. A running server sees it by itself: it knows the next key already.
    ///
    /// # Errors
    /// Refused while another program rotates.
    pub async fn rotate_token_keys(&self, lifetime: Duration) -> Result<()> {
        crate::issuer::rotate_token_keys(&self.db, lifetime).await
    }

    async fn hash(&self, password: &Secret) -> Result<Secret> {
        if password.reveal().is_empty() {
            return Err(Error::refused(Code::InvalidData, "The password is empty; choose one"));
        }
        self.hashing.hash(password).await
    }
}

async fn first_records(
    conn: &mut Conn,
    domain: &Domain,
    roles: &[Role],
    project: &Project,
    user: &User,
    now: Timestamp,
) -> Result<bool> {
    // Of two servers that start on one database at the same moment only one makes the rest.
    if !accounts::insert_domain(conn, domain).await? {
        return Ok(false);
    }
    accounts::insert_project(conn, project, now).await?;
    accounts::insert_user(conn, user, now).await?;
    for role in roles {
        accounts::insert_role(conn, role).await?;
        if role.name == ADMIN {
            accounts::grant(conn, &user.id, &Target::System, &role.id).await?;
        }
        if role.name != READER {
            accounts::grant(conn, &user.id, &Target::Project(project.id.clone()), &role.id).await?;
        }
    }
    Ok(true)
}

fn new_user(name: &str, domain: &Domain, password_hash: Secret) -> Result<User> {
    check_name("user", name)?;
    Ok(User {
        id: UserId::from(new_id()),
        name: name.to_owned(),
        domain: domain.clone(),
        enabled: true,
        default_project: None,
        password_hash,
        generation: 0,
    })
}

fn check_name(kind: &str, name: &str) -> Result<()> {
    let characters = name.chars().count();
    let wrong = if name.trim().is_empty() {
        "is empty".to_owned()
    } else if characters > NAME_LIMIT {
        format!("has {characters} characters, and {NAME_LIMIT} are allowed")
    } else if name.chars().any(char::is_control) {
        "has control characters in it".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::refused(Code::InvalidData, format!("The name of the {kind} {wrong}; choose another")))
}

async fn default_domain(conn: &mut Conn) -> Result<Domain> {
    accounts::domain(conn, DEFAULT_DOMAIN).await?.ok_or_else(|| {
        Error::refused(Code::NotFound, "This database has no domain 'default' yet; start the server once")
    })
}

async fn user_named(conn: &mut Conn, word: &str) -> Result<User> {
    let found = match accounts::user_by_name(conn, DEFAULT_DOMAIN, word).await? {
        Some(user) => Some(user),
        None => accounts::user(conn, &word.into()).await?,
    };
    found.ok_or_else(|| unknown("user", word, "user list"))
}

async fn project_named(conn: &mut Conn, word: &str) -> Result<Project> {
    let found = match accounts::project_by_name(conn, DEFAULT_DOMAIN, word).await? {
        Some(project) => Some(project),
        None => accounts::project(conn, &word.into()).await?,
    };
    found.ok_or_else(|| unknown("project", word, "project list"))
}

async fn role_named(conn: &mut Conn, name: &str) -> Result<Role> {
    if let Some(role) = accounts::role_by_name(conn, name).await? {
        return Ok(role);
    }
    let known: Vec<String> = accounts::roles(conn).await?.into_iter().map(|role| role.name).collect();
    Err(Error::refused(Code::NotFound, format!("There is no role '{name}'; the roles are {}", known.join(", "))))
}

fn unknown(kind: &str, word: &str, list: &str) -> Error {
    Error::refused(Code::NotFound, format!("There is no {kind} '{word}'; see `foggara {list}`"))
}
