//! What can be asked about users, projects, access keys and token keys, and the doing of it. Requests come from the command line of the same
//! process, or through the socket of a running server.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use foggara_db::{Db, SealKeys};
use foggara_domain::Secret;
use foggara_identity::admin::{Admin, NewAccessKey, NewUser};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cmd::credentials;

/// A request. It is not printed: some hold a password.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Add a user; answers its id and name.
    AddUser {
        /// Name.
        name: String,
        /// Password.
        password: String,
        /// Its default project.
        project: Option<String>,
        /// Role there.
        role: Option<String>,
    },
    /// All users with their roles.
    Users,
    /// Remove a user by name or id.
    RemoveUser(String),
    /// Change a password.
    SetPassword {
        /// User by name or id.
        user: String,
        /// The new one.
        password: String,
    },
    /// Add a project; answers its id and name.
    AddProject {
        /// Name.
        name: String,
        /// Free text.
        description: String,
    },
    /// All projects.
    Projects,
    /// Remove a project by name or id.
    RemoveProject(String),
    /// Give (or take back) a role.
    Assign {
        /// User by name or id.
        user: String,
        /// Project by name or id.
        project: String,
        /// Role.
        role: String,
        /// Whether it is given.
        give: bool,
    },
    /// Make an access key; answers both halves, the user and the project.
    AddAccessKey {
        /// User by name or id.
        user: Option<String>,
        /// Project by name or id.
        project: Option<String>,
        /// Free text.
        description: String,
    },
    /// All access keys, without their secrets.
    AccessKeys,
    /// Delete an access key by its public half.
    RemoveAccessKey(String),
    /// New token key and new secret key.
    RotateKeys,
}

/// Where requests are done.
pub struct Bench {
    /// The database, up to date.
    pub db: Db,
    /// The data directory with the secret keys and the first user's files.
    pub data_dir: PathBuf,
    /// How long a token lasts.
    pub lifetime: Duration,
}

impl Bench {
    /// Does a request. The answer is an object or a list for the command to print; null when there is nothing to say.
    pub async fn perform(&self, request: Request) -> Result<Value> {
        let admin = Admin::new(self.db.clone());
        match request {
            Request::AddUser { name, password, project, role } => {
                let user = admin.add_user(&NewUser { name, password: Secret::new(password), project, role }).await?;
                Ok(json!({"id": user.id, "name": user.name}))
            }
            Request::Users => users(&admin).await,
            Request::RemoveUser(user) => Ok(admin.remove_user(&user).await.map(|()| Value::Null)?),
            Request::SetPassword { user, password } => {
                admin.set_password(&user, &Secret::new(password.as_str())).await?;
                // The first user's files would lead its clients astray.
                credentials::set_password(&self.data_dir, &user, &password)?;
                Ok(Value::Null)
            }
            Request::AddProject { name, description } => {
                let project = admin.add_project(&name, &description).await?;
                Ok(json!({"id": project.id, "name": project.name}))
            }
            Request::Projects => {
                let projects = admin.projects().await?.into_iter();
                Ok(projects
                    .map(|project| json!({"id": project.id, "name": project.name, "description": project.description}))
                    .collect())
            }
            Request::RemoveProject(project) => Ok(admin.remove_project(&project).await.map(|()| Value::Null)?),
            Request::Assign { user, project, role, give } => {
                if give {
                    admin.grant(&user, &project, &role).await?;
                } else {
                    admin.take_back(&user, &project, &role).await?;
                }
                Ok(Value::Null)
            }
            Request::AddAccessKey { user, project, description } => {
                let key = admin.add_access_key(&NewAccessKey { user, project, description }).await?;
                let secret = key.secret.reveal();
                Ok(json!({"access": key.access, "secret": secret, "user_id": key.user, "project_id": key.project}))
            }
            Request::AccessKeys => access_keys(&admin).await,
            Request::RemoveAccessKey(access) => Ok(admin.remove_access_key(&access).await.map(|()| Value::Null)?),
            Request::RotateKeys => {
                admin.rotate_token_keys(self.lifetime).await?;
                let ring = self.data_dir.join("seal-keys.json");
                let rotated = SealKeys::load_or_create(&ring)?.rotated()?;
                rotated.save(&ring).with_context(|| format!("write {}", ring.display()))?;
                Ok(Value::Null)
            }
        }
    }
}

async fn access_keys(admin: &Admin) -> Result<Value> {
    let keys = admin.access_keys().await?.into_iter().map(|key| {
        json!({
            "access": key.access,
            "user": key.user_name,
            "user_id": key.user,
            "project": key.project_name,
            "project_id": key.project,
            "description": key.description,
            "created_at": key.created_at.rfc3339(),
        })
    });
    Ok(keys.collect())
}

async fn users(admin: &Admin) -> Result<Value> {
    let assignments = admin.assignments().await?;
    let users = admin.users().await?.into_iter().map(|user| {
        let roles: Vec<String> = assignments
            .iter()
            .filter(|one| one.user == user.name)
            .map(|one| format!("{} on {}", one.role, one.target_name))
            .collect();
        json!({"id": user.id, "name": user.name, "enabled": user.enabled, "roles": roles.join(", ")})
    });
    Ok(users.collect())
}
