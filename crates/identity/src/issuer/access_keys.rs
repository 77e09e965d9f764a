//! Who signed a request: the key, its user, and the roles on the project that is asked for.

use std::net::IpAddr;

use foggara_db::{
    access_keys::{self, AccessKey},
    accounts,
};
use foggara_domain::ProjectId;
use thiserror::Error;

use super::{Issuer, tokens::named};
use crate::{
    Identified, Role, Scope,
    aksk::{Authorization, Payload, Refusal, Signed},
};

/// Why a signed request has no caller.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SignatureError {
    /// It is not believed.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It cannot be told at present, or a defect of ours.
    #[error("{0}")]
    Failed(#[from] foggara_domain::Error),
}

/// A signature whose key exists and whose time is near; it is not checked yet.
#[derive(Debug)]
pub struct Presented {
    authorization: Authorization,
    key: AccessKey,
    address: IpAddr,
}

/// The project that a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// In its path.
    pub path: Option<&'a str>,
    /// In its header `X-Project-Id`.
    pub header: Option<&'a str>,
}

impl Asked<'_> {
    /// The project that counts; the key's own where none is named. The path is signed always, the header not, and what
    /// is not signed decides nothing.
    fn project(&self, presented: &Presented) -> Result<ProjectId, Refusal> {
        let own = &presented.key.project;
        match (self.path, self.header.map(str::trim).filter(|text| !text.is_empty())) {
            (None, None) => Ok(own.clone()),
            (Some(path), None) => Ok(path.into()),
            (Some(path), Some(header)) if path == header => Ok(path.into()),
            (Some(_), Some(_)) => Err(Refusal::TwoProjects),
            (None, Some(header)) if header == own.as_str() || presented.authorization.signs("x-project-id") => {
                Ok(header.into())
            }
            (None, Some(_)) => Err(Refusal::NotSigned("x-project-id")),
        }
    }
}

impl Issuer {
    /// Reads the `Authorization` of a request and looks its key up: all that can be said before the body is read. `address`
    /// is the other end of the connection, for the count of failures.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub async fn key_of(
        &self,
        authorization: &str,
        request: &Signed<'_>,
        address: IpAddr,
    ) -> Result<Presented, SignatureError> {
        let authorization = Authorization::read(authorization)?;
        request.time(&authorization, self.now())?;
        let key = access_keys::find(&mut self.db.read().await?, &authorization.access).await?;
        let key = key.ok_or_else(|| Refusal::UnknownKey(authorization.access.clone()))?;
        self.failures.look(&(key.access.clone(), address), self.now())?;
        Ok(Presented { authorization, key, address })
    }

    /// Checks the signature, and tells who made it, on the project that is asked for. The body is that of the request;
    /// it is not looked at where `payload` needs none. The same request may come again for as long as its time is near
    /// (decision 12).
    ///
    /// # Errors
    /// [`SignatureError`].
    pub async fn signer(
        &self,
        presented: &Presented,
        request: &Signed<'_>,
        payload: &Payload,
        body: &[u8],
        asked: Asked<'_>,
    ) -> Result<Identified, SignatureError> {
        let Presented { authorization, key, address } = presented;
        let outcome = request.check(authorization, &key.secret, payload, body);
        let now = self.now();
        if let Err(refusal) = self.failures.note((key.access.clone(), *address), now, outcome) {
            tracing::info!(access = key.access, %address, %refusal, "a signed request is refused");
            return Err(refusal.into());
        }
        let wanted = asked.project(presented)?;
        let no_role = || Refusal::NoRole(wanted.as_str().chars().filter(char::is_ascii_graphic).take(64).collect());
        let mut conn = self.db.read().await?;
        // A key goes with its user; this one went meanwhile.
        let user = accounts::user(&mut conn, &key.user).await?;
        let user = user.ok_or_else(|| Refusal::UnknownKey(key.access.clone()))?;
        if !user.enabled {
            return Err(Refusal::Disabled.into());
        }
        let project = accounts::project(&mut conn, &wanted).await?.ok_or_else(no_role)?;
        let held = accounts::roles_on(&mut conn, &user.id, &accounts::Target::Project(project.id.clone())).await?;
        if held.is_empty() {
            return Err(no_role().into());
        }
        Ok(Identified {
            user: named(user.id.as_str(), &user.name, &user.domain),
            scope: Scope::Project(named(project.id.as_str(), &project.name, &project.domain)),
            roles: held.into_iter().map(|role| Role { id: role.id, name: role.name }).collect(),
            methods: vec!["hmac".to_owned()],
            audit_ids: Vec::new(),
            credential: None,
            issued_at: now,
            expires_at: now,
        })
    }
}
