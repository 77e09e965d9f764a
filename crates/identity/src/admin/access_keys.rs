//! Access keys from the command line: made, listed, deleted.

use foggara_db::{
    access_keys::{self, AccessKey, Listed},
    accounts::{self, Target},
};
use foggara_domain::{Code, Error, Result, Secret};
use rand::RngExt as _;

use super::{Admin, FIRST_USER, project_named, user_named};

/// Letters and digits of an access key, as many as the clouds' have.
const ACCESS: usize = 20;
/// Letters and digits of its secret: 238 bits.
const SECRET: usize = 40;
/// Longest description, in characters.
const DESCRIPTION: usize = 255;

/// An access key to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccessKey {
    /// Whose it is, by name or id; `admin` when nothing is given.
    pub user: Option<String>,
    /// The project of requests that name none, by name or id; the user's default one when nothing is given.
    pub project: Option<String>,
    /// Free text, may be empty.
    pub description: String,
}

impl Admin {
    /// Makes an access key. Its secret is in the answer and is shown by nothing else.
    ///
    /// # Errors
    /// Refused when user or project do not exist, the user holds no role there, or the description is too long.
    pub async fn add_access_key(&self, new: &NewAccessKey) -> Result<AccessKey> {
        check_description(&new.description)?;
        let (access, secret) =
            (random(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", ACCESS), Secret::new(random(LETTERS, SECRET)));
        let (new, now) = (new.clone(), self.clock.now());
        self.db
            .write(move |conn| {
                let (new, access, secret) = (new.clone(), access.clone(), secret.clone());
                Box::pin(async move {
                    let user = user_named(conn, new.user.as_deref().unwrap_or(FIRST_USER)).await?;
                    let project = match (&new.project, &user.default_project) {
                        (Some(named), _) => project_named(conn, named).await?.id,
                        (None, Some(default)) => default.clone(),
                        (None, None) => {
                            let text = format!("User '{}' has no default project; name one with --project", user.name);
                            return Err(Error::refused(Code::InvalidData, text));
                        }
                    };
                    if accounts::roles_on(conn, &user.id, &Target::Project(project.clone())).await?.is_empty() {
                        let text = format!(
                            "User '{}' holds no role on project {project}; give it one with `foggara project grant`",
                            user.name
                        );
                        return Err(Error::refused(Code::InvalidData, text));
                    }
                    let description = new.description;
                    let key = AccessKey { access, secret, user: user.id, project, description, created_at: now };
                    if access_keys::insert(conn, &key).await? {
                        return Ok(key);
                    }
                    Err(Error::Internal("a random access key is taken".to_owned()))
                })
            })
            .await
    }

    /// All access keys, oldest first, without their secrets.
    pub async fn access_keys(&self) -> Result<Vec<Listed>> {
        access_keys::all(&mut self.db.read().await?).await
    }

    /// Deletes an access key: what it signs is refused from now on.
    ///
    /// # Errors
    /// Refused when there is none.
    pub async fn remove_access_key(&self, access: &str) -> Result<()> {
        let named = access.to_owned();
        let removed = self.db.write(move |conn| {
            let named = named.clone();
            Box::pin(async move { access_keys::delete(conn, &named).await })
        });
        if removed.await? {
            return Ok(());
        }
        let text = format!("There is no access key '{access}'; see `foggara credential list`");
        Err(Error::refused(Code::NotFound, text))
    }
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn random(letters: &[u8], length: usize) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(letters[random.random_range(0..letters.len())])).collect()
}

fn check_description(text: &str) -> Result<()> {
    let characters = text.chars().count();
    if characters > DESCRIPTION {
        let text = format!("The description has {characters} characters, and {DESCRIPTION} are allowed; shorten it");
        return Err(Error::refused(Code::InvalidData, text));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::refused(Code::InvalidData, "The description has control characters in it; remove them"));
    }
    Ok(())
}
