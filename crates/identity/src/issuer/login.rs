//! `POST /v3/auth/tokens`: who the user is, what the token is to be for, and the token (iam.md section 2).

use std::net::IpAddr;

use foggara_db::{Conn, accounts, application_credentials};
use foggara_domain::{ProjectId, Secret};
use rand::RngExt as _;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Issuer,
    limit::Key,
    payload::{AuditId, Methods, Payload, ScopeId},
    tokens::{Checked, is_over},
};
use crate::Identified;

/// A domain as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainRef {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// A user as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub enum UserRef {
    /// By id.
    Id(String),
    /// By name in a domain.
    Name(String, DomainRef),
}

/// A project as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub enum ProjectRef {
    /// By id.
    Id(String),
    /// By name in a domain; without one in the user's domain, as Huawei's clients send it.
    Name(String, Option<DomainRef>),
}

/// How the user proves itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// By password.
    Password(UserRef, Secret),
    /// By a token that it has.
    Token(Secret),
    /// By an application credential of its own; it says what the token is for, so that no scope may be asked for.
    Application(ApplicationRef, Secret),
}

/// An application credential as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub enum ApplicationRef {
    /// By id.
    Id(String),
    /// By its name and the user.
    Name(String, UserRef),
}

/// What the token is to be for.
#[derive(Clone, Debug, PartialEq)]
pub enum WantedScope {
    /// Nothing was said: the user's default project if it may use it, else no scope.
    Default,
    /// No scope.
    Unscoped,
    /// A project.
    Project(ProjectRef),
    /// A domain.
    Domain(DomainRef),
    /// The installation itself.
    System,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// All of them must be right and name the same user; never empty.
    pub methods: Vec<Method>,
    /// What the token is to be for.
    pub scope: WantedScope,
}

/// A new token.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its text.
    pub token: Secret,
    /// What it says.
    pub identified: Identified,
}

/// Why there is no token.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum LoginError {
    /// Wrong password, unknown user, project or domain, no role there, a token that is not valid: never said which.
    #[error("The request you have made requires authentication.")]
    Refused,
    /// Too many failures of this user from this address.
    #[error("Too many failed logins for this user from this address; try again in {retry_after_seconds} seconds.")]
    TooMany {
        /// When the next try is looked at.
        retry_after_seconds: u64,
    },
    /// It cannot be told at present, or a defect of ours.
    #[error("{0}")]
    Failed(#[from] foggara_domain::Error),
}

/// A user that proved itself.
struct Proven {
    user: accounts::User,
    methods: Methods,
    /// The token that was exchanged.
    from: Option<Payload>,
    /// The application credential, and its project.
    application: Option<(String, ProjectId)>,
}

impl Issuer {
    /// Makes a token. `address` is the other end of the connection, for the limit on failures.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(&self, login: &Login, address: IpAddr) -> Result<Issued, LoginError> {
        let mut proven: Option<Proven> = None;
        for method in &login.methods {
            let next = match method {
                Method::Password(user, password) => self.by_password(user, password, address).await?,
                Method::Token(token) => self.by_token(token).await?,
                Method::Application(named, secret) => self.by_application(named, secret, address).await?,
            };
            proven = Some(match proven {
                None => next,
                Some(before) if before.user.id == next.user.id => Proven {
                    methods: before.methods.and(next.methods),
                    from: before.from.or(next.from),
                    application: before.application.or(next.application),
                    user: next.user,
                },
                Some(_) => return Err(LoginError::Refused),
            });
        }
        let proven = proven.ok_or(LoginError::Refused)?;
        self.issue(&proven, &login.scope).await
    }

    async fn by_password(&self, named: &UserRef, password: &Secret, from: IpAddr) -> Result<Proven, LoginError> {
        let user = {
            let mut conn = self.db.read().await?;
            find_user(&mut conn, named).await?
        };
        let key = Key { user: user.as_ref().map_or_else(|| key_of(named), |user| user.id.to_string()), address: from };
        let attempt = self.limit.begin(key, || self.now()).await.map_err(|limit| {
            tracing::warn!(address = %from, "login refused: too many failures");
            LoginError::TooMany { retry_after_seconds: limit.retry_after_seconds }
        })?;
        let kept = user.as_ref().map(|user| user.password_hash.clone());
        let right = self.hashing.verify(password, kept).await?;
        match user {
            Some(user) if right && user.enabled => {
                attempt.succeeded();
                Ok(Proven { user, methods: Methods::BY_PASSWORD, from: None, application: None })
            }
            _ => {
                attempt.failed(self.now());
                tracing::info!(address = %from, "login failed");
                Err(LoginError::Refused)
            }
        }
    }

    async fn by_token(&self, token: &Secret) -> Result<Proven, LoginError> {
        let Some(Checked { payload, user, .. }) = self.check(token.reveal()).await? else {
            return Err(LoginError::Refused);
        };
        // What an application credential gave stays its own: the exchange leads nowhere else.
        let application = match (&payload.credential, &payload.scope) {
            (Some(id), ScopeId::Project(project)) => Some((id.clone(), ProjectId::from(project.as_str()))),
            _ => None,
        };
        Ok(Proven { user, methods: payload.methods.and_token(), from: Some(payload), application })
    }

    async fn by_application(
        &self,
        named: &ApplicationRef,
        secret: &Secret,
        from: IpAddr,
    ) -> Result<Proven, LoginError> {
        let found = {
            let mut conn = self.db.read().await?;
            match named {
                ApplicationRef::Id(id) => application_credentials::find(&mut conn, id).await?,
                ApplicationRef::Name(name, user) => match find_user(&mut conn, user).await? {
                    Some(user) => application_credentials::by_name(&mut conn, &user.id, name).await?,
                    None => None,
                },
            }
        };
        let found = found.filter(|found| !is_over(found, self.now()));
        let user = match &found {
            Some(found) => accounts::user(&mut self.db.read().await?, &found.user).await?,
            None => None,
        };
        let counted = match named {
            ApplicationRef::Id(id) => key_of(&UserRef::Id(id.clone())),
            ApplicationRef::Name(_, user) => key_of(user),
        };
        let key = Key { user: found.as_ref().map_or(counted, |found| found.id.clone()), address: from };
        let attempt = self.limit.begin(key, || self.now()).await.map_err(|limit| {
            tracing::warn!(address = %from, "login refused: too many failures");
            LoginError::TooMany { retry_after_seconds: limit.retry_after_seconds }
        })?;
        let right = self.hashing.verify(secret, found.as_ref().map(|found| found.secret_hash.clone())).await?;
        match (found, user) {
            (Some(found), Some(user)) if right && user.enabled => {
                attempt.succeeded();
                let application = Some((found.id, found.project));
                Ok(Proven { user, methods: Methods::BY_APPLICATION, from: None, application })
            }
            _ => {
                attempt.failed(self.now());
                tracing::info!(address = %from, "login by application credential failed");
                Err(LoginError::Refused)
            }
        }
    }

    async fn issue(&self, proven: &Proven, wanted: &WantedScope) -> Result<Issued, LoginError> {
        let mut conn = self.db.read().await?;
        let user = &proven.user;
        let scope = match wanted {
            _ if proven.application.is_some() => application_scope(proven, wanted),
            WantedScope::System => Some(ScopeId::System),
            WantedScope::Default => default_scope(&mut conn, user).await?,
            WantedScope::Unscoped => Some(ScopeId::Unscoped),
            WantedScope::Project(named) => find_project(&mut conn, named, user).await?.map(ScopeId::Project),
            WantedScope::Domain(named) => find_domain(&mut conn, named).await?.map(ScopeId::Domain),
        };
        let Some(scope) = scope else { return Err(LoginError::Refused) };
        let issued_at = u64::try_from(self.now().as_seconds()).unwrap_or(0);
        let mut audit_ids: Vec<AuditId> = vec![rand::rng().random()];
        // The second id is the first token's of the chain.
        audit_ids.extend(proven.from.as_ref().and_then(|from| from.audit_ids.last()));
        let payload = Payload {
            user: user.id.to_string(),
            methods: proven.methods,
            scope,
            // An exchange never lengthens a token's life.
            expires_at: proven.from.as_ref().map_or_else(
                || issued_at.saturating_add(self.settings.lifetime.as_secs().max(1)),
                |from| from.expires_at,
            ),
            audit_ids,
            generation: user.generation,
            issued_at,
            credential: proven.application.as_ref().map(|(id, _)| id.clone()),
        };
        let identified =
            super::tokens::describe(&mut conn, &payload, user, self.now()).await?.ok_or(LoginError::Refused)?;
        drop(conn);
        let token = Secret::new(self.seal(&payload).await?);
        Ok(Issued { token, identified })
    }
}

/// An application credential is for its project, whether that is asked for or nothing is.
fn application_scope(proven: &Proven, wanted: &WantedScope) -> Option<ScopeId> {
    let (_, project) = proven.application.as_ref()?;
    let fits = match wanted {
        WantedScope::Default => true,
        WantedScope::Project(ProjectRef::Id(id)) => proven.from.is_some() && id == project.as_str(),
        _ => false,
    };
    fits.then(|| ScopeId::Project(project.to_string()))
}

async fn find_domain(conn: &mut Conn, named: &DomainRef) -> foggara_domain::Result<Option<String>> {
    let domain = match named {
        DomainRef::Id(id) => accounts::domain(conn, id).await?,
        DomainRef::Name(name) => accounts::domain_by_name(conn, name).await?,
    };
    Ok(domain.map(|domain| domain.id))
}

async fn find_user(conn: &mut Conn, named: &UserRef) -> foggara_domain::Result<Option<accounts::User>> {
    match named {
        UserRef::Id(id) => accounts::user(conn, &id.as_str().into()).await,
        UserRef::Name(name, domain) => match find_domain(conn, domain).await? {
            Some(domain) => accounts::user_by_name(conn, &domain, name).await,
            None => Ok(None),
        },
    }
}

async fn find_project(
    conn: &mut Conn,
    named: &ProjectRef,
    user: &accounts::User,
) -> foggara_domain::Result<Option<String>> {
    let (name, domain) = match named {
        ProjectRef::Id(id) => return Ok(Some(id.clone())),
        ProjectRef::Name(name, None) => (name, Some(user.domain.id.clone())),
        ProjectRef::Name(name, Some(domain)) => (name, find_domain(conn, domain).await?),
    };
    let Some(domain) = domain else { return Ok(None) };
    Ok(accounts::project_by_name(conn, &domain, name).await?.map(|project| project.id.to_string()))
}

/// The user's default project while it may use it; else nothing but the user.
async fn default_scope(conn: &mut Conn, user: &accounts::User) -> foggara_domain::Result<Option<ScopeId>> {
    let Some(id) = &user.default_project else { return Ok(Some(ScopeId::Unscoped)) };
    let exists = accounts::project(conn, id).await?.is_some();
    let held = accounts::roles_on(conn, &user.id, &accounts::Target::Project(ProjectId::clone(id))).await?;
    Ok(Some(if exists && !held.is_empty() { ScopeId::Project(id.to_string()) } else { ScopeId::Unscoped }))
}

/// The name under which failures of an unknown user are counted: of a fixed size whatever was sent.
fn key_of(named: &UserRef) -> String {
    let text = match named {
        UserRef::Id(id) => format!("id\n{id}"),
        UserRef::Name(name, DomainRef::Id(domain)) => format!("name\n{domain}\n{name}"),
        UserRef::Name(name, DomainRef::Name(domain)) => format!("names\n{domain}\n{name}"),
    };
    format!("unknown {}", uuid::Uuid::from_slice(&Sha256::digest(text.as_bytes())[..16]).unwrap_or_default())
}
