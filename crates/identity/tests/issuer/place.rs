//! A database of its own for each scenario, with a clock that the scenario moves.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use foggara_db::{
    Db, SealKeys,
    accounts::{self, Target},
    keys::{self, TokenKey},
};
use foggara_domain::{Secret, Timestamp};
use foggara_identity::{
    Issuer,
    admin::{Admin, NewUser},
    issuer::{Clock, DomainRef, Issued, Login, LoginError, Method, ProjectRef, Settings, UserRef, WantedScope},
};

/// The password of every user here, until a scenario changes it.
pub const PASSWORD: &str = "correct horse";

/// A database after the first start.
pub struct Place {
    pub db: Db,
    ahead: Arc<AtomicI64>,
    /// Holds the file of SQLite.
    _dir: tempfile::TempDir,
}

impl Place {
    /// A SQLite file after the first start.
    pub async fn sqlite() -> Self {
        Self::empty_sqlite().await.started().await
    }

    /// A PostgreSQL database after the first start.
    pub async fn postgres(name: &str) -> Self {
        Self::empty_postgres(name).await.started().await
    }

    /// A SQLite file with the tables, and nothing in them.
    pub async fn empty_sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", dir.path().join("foggara.db").display());
        Self::open(dir, url).await
    }

    /// A PostgreSQL database with the tables, and nothing in them.
    pub async fn empty_postgres(name: &str) -> Self {
        let name = format!("identity_{name}");
        let url = tokio::task::spawn_blocking(move || foggara_testkit::postgres::url_of_new_database(&name));
        let url = url.await.expect("no panic").expect("a PostgreSQL database");
        Self::open(tempfile::tempdir().expect("a directory"), url).await
    }

    async fn open(dir: tempfile::TempDir, url: String) -> Self {
        let settings = foggara_db::Settings { url: Secret::new(url), connections: 4, seal_keys: SealKeys::generate() };
        let db = Db::open(settings).await.expect("a database");
        db.migrate(Clock::default().now()).await.expect("tables");
        Self { db, ahead: Arc::default(), _dir: dir }
    }

    async fn started(self) -> Self {
        assert!(self.admin().bootstrap(&Secret::new(PASSWORD)).await.expect("the first start"));
        self
    }

    /// A server on this database.
    pub async fn issuer(&self) -> Issuer {
        let ahead = Arc::clone(&self.ahead);
        let system = Clock::default();
        let clock = Clock::new(move || Timestamp::from_micros(system.now().as_micros() + ahead.load(Ordering::SeqCst)));
        Issuer::open(self.db.clone(), Settings { clock, ..Settings::default() }).await.expect("an issuer")
    }

    pub fn admin(&self) -> Admin {
        Admin::new(self.db.clone())
    }

    /// Moves the clock of all servers.
    pub fn later(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_micros()).expect("a short time"), Ordering::SeqCst);
    }

    pub fn address(&self) -> IpAddr {
        [192, 0, 2, 1].into()
    }

    /// Logs the first user in.
    pub async fn log_in(&self, issuer: &Issuer, scope: WantedScope) -> Result<Issued, LoginError> {
        issuer.log_in(&login("admin", PASSWORD, scope), self.address()).await
    }

    pub async fn add_user(&self, name: &str, project: Option<&str>, role: Option<&str>) {
        let new = NewUser {
            name: name.to_owned(),
            password: Secret::new(PASSWORD),
            project: project.map(str::to_owned),
            role: role.map(str::to_owned),
        };
        self.admin().add_user(&new).await.expect("a user");
    }

    pub async fn set_password(&self, name: &str, password: &str) {
        self.admin().set_password(name, &Secret::new(password)).await.expect("another password");
    }

    pub async fn grant_on_domain(&self, user: &str, role: &str) {
        let (user, role) = (user.to_owned(), role.to_owned());
        let granted = self.db.write(move |conn| {
            let (user, role) = (user.clone(), role.clone());
            Box::pin(async move {
                let user = accounts::user_by_name(conn, "default", &user).await?.expect("the user");
                let role = accounts::role_by_name(conn, &role).await?.expect("the role");
                accounts::grant(conn, &user.id, &Target::Domain("default".into()), &role.id).await
            })
        });
        granted.await.expect("granted");
    }

    pub async fn keys(&self) -> Vec<TokenKey> {
        keys::token_keys(&mut self.db.read().await.expect("a connection")).await.expect("keys")
    }

    pub async fn count_of_keys(&self) -> usize {
        self.keys().await.len()
    }

    /// Asks again until it is so; fails after ten seconds.
    pub async fn wait_until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !so().await {
            assert!(begin.elapsed() < Duration::from_secs(10), "not within ten seconds: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A login by name and password.
pub fn login(user: &str, password: &str, scope: WantedScope) -> Login {
    let user = UserRef::Name(user.to_owned(), DomainRef::Id("default".into()));
    Login { methods: vec![Method::Password(user, Secret::new(password))], scope }
}

/// An exchange of a token.
pub fn by_token(token: &Secret, scope: WantedScope) -> Login {
    Login { methods: vec![Method::Token(token.clone())], scope }
}

/// The first project.
pub fn demo() -> WantedScope {
    WantedScope::Project(ProjectRef::Name("demo".into(), None))
}
