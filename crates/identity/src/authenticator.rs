//! From a token to the one who bears it.

use async_trait::async_trait;
use foggara_domain::{Caller, Timestamp};
use thiserror::Error;

/// Something with an id and a name inside of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Opaque id.
    pub id: String,
    /// Name, unique within the domain.
    pub name: String,
    /// Id of the domain that it belongs to.
    pub domain_id: String,
    /// Name of that domain.
    pub domain_name: String,
}

/// A role that the bearer holds on the token's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Opaque id.
    pub id: String,
    /// Name, as the policy knows it.
    pub name: String,
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only to say who the user is, or to get a token with a scope.
    Unscoped,
    /// A domain.
    Domain {
        /// Opaque id.
        id: String,
        /// Name.
        name: String,
    },
    /// A project: the only scope that the data API takes.
    Project(Named),
    /// The installation itself.
    System,
}

/// A bearer whose token was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The user.
    pub user: Named,
    /// What the token is for.
    pub scope: Scope,
    /// Roles on that scope; none without one.
    pub roles: Vec<Role>,
    /// How the bearer proved itself: `password`, `token`.
    pub methods: Vec<String>,
    /// The token's own audit id and, after a rescope, that of the first token of the chain.
    pub audit_ids: Vec<String>,
    /// The application credential that the bearer logged in with, where the issuer is ours.
    pub credential: Option<Credential>,
    /// When the token was made (whole seconds).
    pub issued_at: Timestamp,
    /// When it ends (whole seconds).
    pub expires_at: Timestamp,
}

/// The application credential behind a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Opaque id.
    pub id: String,
    /// Name, unique among the user's.
    pub name: String,
    /// It may not make others, nor delegate.
    pub restricted: bool,
}

/// Why a token identifies nobody.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// Unknown, damaged, expired or revoked, or its user or project is no longer there.
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    /// Valid, but without a project: the data API has nothing to show (503 as the original, sahara-v1.1.md section 1.2).
    #[error("The token is not scoped to a project; ask for a token with a project scope.")]
    NoProject,
    /// It cannot be told at present: the database or the identity service is away. Never a reason for 401.
    #[error("{0}")]
    Unavailable(String),
}

impl From<foggara_domain::Error> for Error {
    fn from(error: foggara_domain::Error) -> Self {
        match error {
            foggara_domain::Error::Unavailable { message, .. } => Self::Unavailable(message),
            other => {
                tracing::error!(error = %other, "identity could not be checked");
                Self::Unavailable("The identity service cannot answer at the moment.".to_owned())
            }
        }
    }
}

impl Identified {
    /// The bearer as a caller of the data API.
    ///
    /// # Errors
    /// [`Error::NoProject`] for every other scope than a project.
    pub fn caller(&self) -> Result<Caller, Error> {
        let Scope::Project(project) = &self.scope else { return Err(Error::NoProject) };
        Ok(Caller {
            user: self.user.id.as_str().into(),
            user_name: self.user.name.clone(),
            project: project.id.as_str().into(),
            project_name: project.name.clone(),
            roles: self.roles.iter().map(|role| role.name.clone()).collect(),
        })
    }

    /// Whether the bearer holds a role on the token's scope.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name == name)
    }
}

/// Tells who bears a token.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Checks a token (the text of `X-Auth-Token`).
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and [`Error::Unavailable`].
    async fn identify(&self, token: &str) -> Result<Identified, Error>;

    /// Checks a token and gives the caller that acts in its project.
    ///
    /// # Errors
    /// All of [`Error`].
    async fn caller(&self, token: &str) -> Result<Caller, Error> {
        self.identify(token).await?.caller()
    }
}
