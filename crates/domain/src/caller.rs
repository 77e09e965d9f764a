//! Who asks.

use crate::{ProjectId, UserId};

/// A caller whose credentials were checked and who acts in one project.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The user's name, for logs and for engines that run as a user.
    pub user_name: String,
    /// The project that the credentials are for; every record belongs to one.
    pub project: ProjectId,
    /// The project's name.
    pub project_name: String,
    /// Names of the roles on that project.
    pub roles: Vec<String>,
}

impl Caller {
    /// Whether the caller holds a role on the project.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|have| have == role)
    }
}
