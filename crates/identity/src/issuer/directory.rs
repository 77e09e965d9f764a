//! What the embedded identity tells about projects, domains and users.

pub use foggara_db::accounts::{Domain, Project, Role, User};

use foggara_db::accounts;
use foggara_domain::Result;

use super::Issuer;

impl Issuer {
    /// The projects on which a user holds a role.
    pub async fn projects_of(&self, user: &str) -> Result<Vec<Project>> {
        accounts::projects_of_user(&mut self.db.read().await?, &user.into()).await
    }

    /// The domains on which a user holds a role.
    pub async fn domains_of(&self, user: &str) -> Result<Vec<Domain>> {
        accounts::domains_of_user(&mut self.db.read().await?, &user.into()).await
    }

    /// All projects.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        accounts::projects(&mut self.db.read().await?).await
    }

    /// All domains.
    pub async fn domains(&self) -> Result<Vec<Domain>> {
        accounts::domains(&mut self.db.read().await?).await
    }

    /// All users.
    pub async fn users(&self) -> Result<Vec<User>> {
        accounts::users(&mut self.db.read().await?).await
    }

    /// All roles.
    pub async fn roles(&self) -> Result<Vec<Role>> {
        accounts::roles(&mut self.db.read().await?).await
    }
}
