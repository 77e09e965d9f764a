//! The embedded issuer: what Keystone would do, inside of the program (iam.md sections 1 to 4).
//!
//! Accounts and keys live in the database, so several servers on one PostgreSQL issue and check each other's tokens.
//! A token is a Fernet text; nothing is stored for it. Checking one reads the user, the scope and the roles as they are
//! now: a role that was taken away or a project that was removed counts at once.

mod access_keys;
mod applications;
mod directory;
mod failures;
mod keys;
mod limit;
mod login;
mod password;
mod payload;
mod tokens;

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use foggara_db::Db;
use foggara_domain::{Result, Timestamp};

pub use access_keys::{Asked, Presented, SignatureError};
pub use applications::NewApplicationCredential;
pub use directory::{Domain, Project, Role, User};
pub use foggara_db::application_credentials::ApplicationCredential;
pub use login::{ApplicationRef, DomainRef, Issued, Login, LoginError, Method, ProjectRef, UserRef, WantedScope};
pub use password::Hashing;

/// Keys that were read longer ago than this are read again before a token is made.
const KEYS_FRESH: Duration = Duration::from_secs(60);
/// A token that no key opens makes the keys be read again, but not more often than this.
const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// Where the issuer gets the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    /// The system's clock.
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        })
    }
}

/// Configuration of the issuer.
#[derive(Clone)]
pub struct Settings {
    /// How long a token lasts; whole seconds count.
    pub lifetime: Duration,
    /// The region in the catalogue.
    pub region: String,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for Settings {
    /// One hour, as Keystone; `RegionOne`.
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(3600), region: "RegionOne".to_owned(), clock: Clock::default() }
    }
}

/// Issues, checks and revokes tokens.
pub struct Issuer {
    db: Db,
    settings: Settings,
    hashing: Hashing,
    limit: limit::Limit,
    failures: failures::Failures,
    keys: RwLock<Cached>,
}

struct Cached {
    ring: Arc<keys::Ring>,
    read_at: Instant,
}

impl Issuer {
    /// Opens the issuer on a database whose schema is up to date; makes the first token keys when there are none.
    ///
    /// # Errors
    /// When the database is away, or the keys cannot be opened with the installation's seal.
    pub async fn open(db: Db, settings: Settings) -> Result<Self> {
        let ring = Arc::new(keys::load(&db, settings.clock.now()).await?);
        let keys = RwLock::new(Cached { ring, read_at: Instant::now() });
        let (limit, failures) = (limit::Limit::default(), failures::Failures::default());
        Ok(Self { db, settings, hashing: Hashing::default(), limit, failures, keys })
    }

    /// The region in the catalogue.
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// Rotates the token keys: new tokens are made with another key, existing ones stay valid until their end.
    ///
    /// # Errors
    /// Refused while another program rotates; unavailable when the database is away.
    pub async fn rotate_token_keys(&self) -> Result<()> {
        keys::rotate(&self.db, self.now(), self.settings.lifetime).await?;
        self.read_keys().await.map(|_| ())
    }

    fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    fn cached(&self) -> (Arc<keys::Ring>, Duration) {
        let keys = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (Arc::clone(&keys.ring), keys.read_at.elapsed())
    }

    async fn read_keys(&self) -> Result<Arc<keys::Ring>> {
        let ring = Arc::new(keys::load(&self.db, self.now()).await?);
        let mut keys = self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *keys = Cached { ring: Arc::clone(&ring), read_at: Instant::now() };
        Ok(ring)
    }

    /// The text of a new token.
    async fn seal(&self, payload: &payload::Payload) -> Result<String> {
        let (cached, age) = self.cached();
        let ring = if age < KEYS_FRESH { cached } else { self.read_keys().await? };
        Ok(ring.seal(&payload.pack()))
    }

    /// What stands in a token, if one of the keys made it; its end is not looked at.
    async fn unseal(&self, token: &str) -> Result<Option<payload::Payload>> {
        let (cached, age) = self.cached();
        let mut opened = cached.open(token);
        if opened.is_none() && age >= KEYS_AGAIN && keys::looks_like_a_token(token) {
            opened = self.read_keys().await?.open(token);
        }
        Ok(opened.and_then(|bytes| payload::Payload::unpack(&bytes).ok()))
    }
}

/// Rotates the token keys of a database for which no server needs to run.
///
/// `lifetime` is that of tokens.
///
/// # Errors
/// As [`Issuer::rotate_token_keys`].
pub async fn rotate_token_keys(db: &Db, lifetime: Duration) -> Result<()> {
    keys::rotate(db, Clock::default().now(), lifetime).await
}

/// A random id in Keystone's form: 32 hexadecimal digits.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
