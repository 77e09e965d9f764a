//! Checking and revoking tokens.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use foggara_db::{
    Conn, accounts,
    application_credentials::{self, ApplicationCredential},
};
use foggara_domain::{Result, Timestamp};

use super::{
    Issuer,
    payload::{AuditId, Payload, ScopeId},
};
use crate::{Authenticator, Credential, Identified, Named, Role, Scope};

/// A token that is valid at the moment.
pub(super) struct Checked {
    pub payload: Payload,
    pub user: accounts::User,
    pub identified: Identified,
}

impl Issuer {
    /// Checks a token; nothing when it is not valid, for whatever reason.
    pub(super) async fn check(&self, token: &str) -> Result<Option<Checked>> {
        let Some(payload) = self.unseal(token).await? else { return Ok(None) };
        if seconds(payload.expires_at) <= self.now() {
            return Ok(None);
        }
        let mut conn = self.db.read().await?;
        if let Some(own) = payload.audit_ids.first()
            && accounts::is_revoked(&mut conn, &audit_text(own)).await?
        {
            return Ok(None);
        }
        let Some(user) = accounts::user(&mut conn, &payload.user.as_str().into()).await? else { return Ok(None) };
        let identified = describe(&mut conn, &payload, &user, self.now()).await?;
        Ok(identified.map(|identified| Checked { payload, user, identified }))
    }

    /// What a token says, if it is valid; for `GET /v3/auth/tokens`, where an invalid subject is "not found".
    ///
    /// # Errors
    /// When the database is away.
    pub async fn examine(&self, token: &str) -> Result<Option<Identified>> {
        Ok(self.check(token).await?.map(|checked| checked.identified))
    }

    /// Revokes a token that [`Issuer::examine`] described: later uses are refused by every server. Tokens that came out of
    /// it by exchange live on, as in Keystone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revoke(&self, subject: &Identified) -> Result<()> {
        let Some(audit_id) = subject.audit_ids.first().cloned() else { return Ok(()) };
        let (end, now) = (subject.expires_at, self.now());
        self.db
            .write(move |conn| {
                let audit_id = audit_id.clone();
                Box::pin(async move {
                    accounts::sweep_revocations(conn, now).await?;
                    accounts::revoke_token(conn, &audit_id, end).await
                })
            })
            .await
    }
}

#[async_trait]
impl Authenticator for Issuer {
    async fn identify(&self, token: &str) -> Result<Identified, crate::Error> {
        self.examine(token).await?.ok_or(crate::Error::Unauthorized)
    }
}

/// What a token says now; nothing when the user may no longer use it.
pub(super) async fn describe(
    conn: &mut Conn,
    payload: &Payload,
    user: &accounts::User,
    now: Timestamp,
) -> Result<Option<Identified>> {
    if !user.enabled || user.generation != payload.generation {
        return Ok(None);
    }
    let (scope, target) = match &payload.scope {
        ScopeId::Unscoped => (Scope::Unscoped, None),
        ScopeId::Domain(id) => {
            let Some(domain) = accounts::domain(conn, id).await? else { return Ok(None) };
            let target = accounts::Target::Domain(domain.id.clone());
            (Scope::Domain { id: domain.id, name: domain.name }, Some(target))
        }
        ScopeId::Project(id) => {
            let Some(project) = accounts::project(conn, &id.as_str().into()).await? else { return Ok(None) };
            let target = accounts::Target::Project(project.id.clone());
            (Scope::Project(named(project.id.as_str(), &project.name, &project.domain)), Some(target))
        }
        ScopeId::System => (Scope::System, Some(accounts::Target::System)),
    };
    let application = match &payload.credential {
        None => None,
        Some(id) => match application_credentials::find(conn, id).await? {
            Some(found) if found.user == user.id && !is_over(&found, now) => Some(found),
            _ => return Ok(None),
        },
    };
    let mut roles = Vec::new();
    if let Some(target) = target {
        let mut held = accounts::roles_on(conn, &user.id, &target).await?;
        if let Some(application) = &application {
            held.retain(|role| application.roles.contains(&role.id));
        }
        if held.is_empty() {
            return Ok(None);
        }
        roles.extend(held.into_iter().map(|role| Role { id: role.id, name: role.name }));
    }
    Ok(Some(Identified {
        user: named(user.id.as_str(), &user.name, &user.domain),
        scope,
        roles,
        methods: payload.methods.names(),
        audit_ids: payload.audit_ids.iter().map(audit_text).collect(),
        issued_at: seconds(payload.issued_at),
        expires_at: seconds(payload.expires_at),
        credential: application.map(|application| Credential {
            id: application.id,
            name: application.name,
            restricted: !application.unrestricted,
        }),
    }))
}

/// Whether a credential has ended.
pub(super) fn is_over(credential: &ApplicationCredential, now: Timestamp) -> bool {
    credential.expires_at.is_some_and(|end| end <= now)
}

pub(super) fn named(id: &str, name: &str, domain: &accounts::Domain) -> Named {
    Named { id: id.to_owned(), name: name.to_owned(), domain_id: domain.id.clone(), domain_name: domain.name.clone() }
}

/// An audit id as the wire shows it.
fn audit_text(id: &AuditId) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

fn seconds(since_1970: u64) -> Timestamp {
    let micros = i64::try_from(since_1970).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    Timestamp::from_micros(micros)
}
