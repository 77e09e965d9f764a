//! Application credentials: a secret for a program, with some of a user's roles on the project of the token that made it, which
//! can be ended without a change of the user's password.

use foggara_db::{
    accounts,
    application_credentials::{self, ApplicationCredential},
};
use foggara_domain::{Code, Error, Result, Secret, Timestamp, UserId};
use rand::RngExt as _;
use uuid::Uuid;

use super::Issuer;
use crate::{Identified, Scope};

/// A new credential as a request gives it.
#[derive(Clone, Debug, Default)]
pub struct NewApplicationCredential {
    /// Unique among the user's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its secret; a random one when nothing is given.
    pub secret: Option<Secret>,
    /// Its roles by id or name; all of the token's when nothing is given.
    pub roles: Option<Vec<String>>,
    /// Whether it may make others and delegate.
    pub unrestricted: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Issuer {
    /// Makes a credential for the bearer of a token; gives it with its secret, which is never shown again.
    ///
    /// # Errors
    /// Refused without a project, with roles that the token does not have, with a name that is taken, or for the bearer of a
    /// restricted credential.
    pub async fn make_application(
        &self,
        bearer: &Identified,
        new: NewApplicationCredential,
    ) -> Result<(ApplicationCredential, Secret)> {
        let Scope::Project(project) = &bearer.scope else {
            return Err(Error::refused(
                Code::InvalidData,
                "An application credential needs a token with a project scope",
            ));
        };
        if bearer.credential.as_ref().is_some_and(|credential| credential.restricted) {
            return Err(Error::Forbidden("a restricted application credential cannot make another".to_owned()));
        }
        if new.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Error::refused(Code::InvalidData, "expires_at lies in the past"));
        }
        let roles = match &new.roles {
            None => bearer.roles.iter().map(|role| role.id.clone()).collect(),
            Some(named) => {
                let one = |wanted: &String| {
                    let found = bearer.roles.iter().find(|role| role.id == *wanted || role.name == *wanted);
                    found.map(|role| role.id.clone()).ok_or_else(|| {
                        Error::refused(Code::InvalidData, format!("The token does not have the role '{wanted}'"))
                    })
                };
                named.iter().map(one).collect::<Result<Vec<_>>>()?
            }
        };
        let secret = new.secret.unwrap_or_else(|| {
            let bytes: [u8; 32] = rand::rng().random();
            Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        });
        let credential = ApplicationCredential {
            id: Uuid::new_v4().simple().to_string(),
            user: bearer.user.id.as_str().into(),
            project: project.id.as_str().into(),
            name: new.name,
            description: new.description,
            secret_hash: self.hashing.hash(&secret).await?,
            roles,
            unrestricted: new.unrestricted,
            expires_at: new.expires_at,
            created_at: self.now(),
        };
        let stored = credential.clone();
        let made = self.db.write(move |conn| {
            let credential = stored.clone();
            Box::pin(async move { application_credentials::insert(conn, &credential).await })
        });
        if made.await? {
            return Ok((credential, secret));
        }
        let text = format!("The user has an application credential named '{}' already", credential.name);
        Err(Error::refused(Code::NameAlreadyExists, text))
    }

    /// The credentials of a user.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn applications_of(&self, user: &str) -> Result<Vec<ApplicationCredential>> {
        application_credentials::of_user(&mut self.db.read().await?, &UserId::from(user)).await
    }

    /// Names of roles by id.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn named_roles(&self, ids: &[String]) -> Result<Vec<accounts::Role>> {
        let all = accounts::roles(&mut self.db.read().await?).await?;
        Ok(all.into_iter().filter(|role| ids.contains(&role.id)).collect())
    }

    /// Ends a credential with its tokens; tells whether there was one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn end_application(&self, user: &str, id: &str) -> Result<bool> {
        let (user, id) = (UserId::from(user), id.to_owned());
        self.db
            .write(move |conn| {
                let (user, id) = (user.clone(), id.clone());
                Box::pin(async move { application_credentials::delete(conn, &user, &id).await })
            })
            .await
    }
}
