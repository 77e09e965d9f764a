//! As whom Swift is asked: credentials that came with a url, else the caller's token, else a trust of the execution.
//!
//! Credentials bear Sahara's names (`user`, `password`; sahara-v1.1.md sections 4 and 5) or those of Hadoop's connector
//! (`fs.swift.service.sahara.*`). A token or trust goes nowhere but to the operator's Keystone and what its catalogue names.

use std::{fmt::Write as _, path::PathBuf};

use foggara_domain::Secret;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use super::SwiftSettings;
use crate::{Access, Lent, StoreError};

/// Prefix of the settings of Hadoop's connector for the service that Sahara configures.
const HADOOP: &str = "fs.swift.service.sahara.";

/// As whom.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// A user, by password.
    User(User),
    /// The caller, by the token of the request.
    Token { token: Secret, project: String },
    /// Whoever gave the trust.
    Trust { id: String, project: String },
    /// Whoever the server gave a token for, in a file.
    Ticket(PathBuf),
}

/// A user's log-in.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub login: Login,
    pub user: String,
    pub password: Secret,
    pub project: Option<Project>,
    pub user_domain: String,
    pub region: Option<String>,
    /// Whether `login` is the operator's; its endpoint counts only there.
    pub is_operators: bool,
}

/// Where a user logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// Keystone, without `/v3`.
    Keystone(String),
    /// What a Swift speaks that has no Keystone beside it.
    V1(String),
}

/// What a token is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Project {
    Id(String),
    Name { name: String, domain: String },
}

impl Who {
    pub fn of(
        access: &Access<'_>,
        settings: &SwiftSettings,
        name: &str,
        has_service: bool,
    ) -> Result<Self, StoreError> {
        if let Some(user) = User::of(access, settings, name)? {
            return Ok(Self::User(user));
        }
        // A token of the embedded identity says nothing to a Swift.
        match (access.lent, access.caller) {
            (Some(Lent::Token(token)), Some(caller)) if has_service => {
                Ok(Self::Token { token: token.clone(), project: caller.project.to_string() })
            }
            (Some(Lent::Trust { id, project }), _) if has_service => {
                Ok(Self::Trust { id: id.to_owned(), project: project.to_string() })
            }
            (Some(Lent::Ticket(file)), _) => Ok(Self::Ticket(file.to_owned())),
            _ => Err(StoreError::Denied(format!(
                "{name}: there are no credentials: give user and password in the credentials (extra of a job binary), or \
                 {HADOOP}username and {HADOOP}password in the job's configs; without them a trust of the user is needed, which \
                 takes [keystone] auth_url"
            ))),
        }
    }

    /// What tells this log-in from others; the password is in it as a hash. A token needs none.
    pub fn key(&self) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        match self {
            Self::User(user) => {
                let project = user.project.as_ref().map(|project| format!("{project:?}")).unwrap_or_default();
                let region = user.region.as_deref().unwrap_or_default();
                for text in ["user", user.login.shown(), &user.user, &user.user_domain, &project, region] {
                    add(text);
                }
                add(user.password.reveal());
            }
            Self::Token { .. } => return None,
            Self::Trust { id, project } => ["trust", id, project].into_iter().for_each(add),
            Self::Ticket(file) => ["ticket", &file.to_string_lossy()].into_iter().for_each(add),
        }
        Some(hash.finalize().into())
    }

    /// Whether the operator says where the log-in is. Tokens and trusts are those of the operator's Keystone.
    pub fn is_operators(&self) -> bool {
        !matches!(self, Self::User(user) if !user.is_operators)
    }

    /// For errors.
    pub fn shown(&self) -> String {
        match self {
            Self::User(user) => format!("the user '{}'", user.user),
            Self::Token { .. } => "the caller".to_owned(),
            Self::Trust { .. } | Self::Ticket(_) => "the user who started the job".to_owned(),
        }
    }
}

impl User {
    fn of(access: &Access<'_>, settings: &SwiftSettings, name: &str) -> Result<Option<Self>, StoreError> {
        let words = Words(access.credentials);
        let how = format!("give user and password, or {HADOOP}username and {HADOOP}password");
        let (user, password) = match (words.get(&["user"], "username"), words.get(&["password"], "password")) {
            (Some(user), Some(password)) => (user, Secret::new(password)),
            (None, None) => return Ok(None),
            (Some(_), None) => {
                return Err(StoreError::Denied(format!("{name}: there is a user without a password: {how}")));
            }
            (None, Some(_)) => {
                return Err(StoreError::Denied(format!("{name}: there is a password without a user: {how}")));
            }
        };
        let operators = settings.auth_url.as_deref().map(Login::of).transpose()?;
        let own = words.get(&["auth_url"], "auth.url").map(|text| Login::of(&text)).transpose()?;
        let is_operators = own.is_none() || own == operators;
        let Some(login) = own.or(operators) else {
            return Err(StoreError::Denied(format!(
                "{name}: nobody says where to log in: set auth_url in the credentials ({HADOOP}auth.url in the job's configs), \
                 or [stores.swift] auth_url"
            )));
        };
        let user_domain = words.get(&["user_domain_name"], "domain.name");
        let project_domain = words.get(&["project_domain_name"], "project.domain.name").or_else(|| user_domain.clone());
        let project_domain = project_domain.unwrap_or_else(|| settings.project_domain.clone());
        let named = words.get(&["project", "project_name", "tenant", "tenant_name"], "tenant");
        let of_record = || {
            let project = access.project.to_string();
            (is_operators && settings.knows_projects && !project.is_empty()).then_some(Project::Id(project))
        };
        let project = named.map(|name| Project::Name { name, domain: project_domain }).or_else(of_record);
        let region = words.get(&["region", "region_name"], "region");
        Ok(Some(Self {
            login,
            user,
            password,
            project,
            user_domain: user_domain.unwrap_or_else(|| settings.user_domain.clone()),
            region: region.or_else(|| settings.region.clone().filter(|_| is_operators)),
            is_operators,
        }))
    }
}

/// The credentials that came with a url.
struct Words<'a>(Option<&'a Map<String, Value>>);

impl Words<'_> {
    /// A value by one of Sahara's names or by Hadoop's.
    fn get(&self, sahara: &[&str], hadoop: &str) -> Option<String> {
        let credentials = self.0?;
        let of = |key: &str| match credentials.get(key)? {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        sahara.iter().find_map(|key| of(key)).or_else(|| of(&format!("{HADOOP}{hadoop}")))
    }
}

impl Login {
    /// Hadoop's connector is told the address of the request itself (`.../v3/auth/tokens`); so that one will do too.
    fn of(text: &str) -> Result<Self, StoreError> {
        let malformed = || {
            StoreError::Unsupported(
                "auth_url is not of the form https://host:5000/v3 (Keystone) or https://host:8080/auth/v1.0 (Swift alone)"
                    .to_owned(),
            )
        };
        let url = Url::parse(text.trim()).map_err(|_| malformed())?;
        let is_open = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_open || url.query().is_some() || url.fragment().is_some() {
            return Err(malformed());
        }
        let whole = url.as_str().trim_end_matches('/');
        if ["/v1.0", "/v1"].iter().any(|end| whole.ends_with(end)) {
            return Ok(Self::V1(whole.to_owned()));
        }
        let mut base = whole;
        for end in ["/tokens", "/auth", "/v3", "/v2.0"] {
            base = base.strip_suffix(end).unwrap_or(base);
        }
        Ok(Self::Keystone(base.to_owned()))
    }

    /// The address, for errors.
    pub fn shown(&self) -> &str {
        match self {
            Self::Keystone(url) | Self::V1(url) => url,
        }
    }
}

/// The url of an account: what the log-in told, or the operator's endpoint with the account from there.
pub(super) fn storage(told: Option<&str>, project: &str, endpoint: Option<&str>) -> Option<String> {
    let Some(endpoint) = endpoint else {
        return told.map(|url| url.trim_end_matches('/').to_owned());
    };
    let mut whole = endpoint.trim_end_matches('/').to_owned();
    let parts = whole.split_once("://").map_or(whole.as_str(), |(_, rest)| rest).split('/').skip(1).count();
    // `/v1/ACCOUNT`, or deeper behind a proxy.
    if parts >= 2 && !whole.ends_with("/v1") {
        return Some(whole);
    }
    if !whole.ends_with("/v1") {
        whole.push_str("/v1");
    }
    let last = told.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
    let account = last.filter(|last| *last != "v1").map(str::to_owned);
    let account = account.or_else(|| (!project.is_empty()).then(|| format!("AUTH_{project}")))?;
    let _ = write!(whole, "/{account}");
    Some(whole)
}

#[cfg(test)]
mod tests {
    use foggara_domain::ProjectId;
    use serde_json::json;

    use super::*;

    fn of(credentials: Value, settings: &SwiftSettings) -> Result<User, String> {
        let project = ProjectId::from("p1".to_owned());
        let access = Access { project: &project, caller: None, credentials: credentials.as_object(), lent: None };
        match Who::of(&access, settings, "swift://c/o", true) {
            Ok(Who::User(user)) => Ok(user),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn operators() -> SwiftSettings {
        SwiftSettings {
            auth_url: Some("https://keystone.test:5000/v3".to_owned()),
            region: Some("here".to_owned()),
            knows_projects: true,
            ..SwiftSettings::default()
        }
    }

    #[test]
    fn sahara_and_hadoop_name_the_same_things() {
        let sahara = json!({
            "user": "ada", "password": "very-secret", "project": "demo", "user_domain_name": "U", "project_domain_name": "P",
            "auth_url": "https://k.test/identity/v3/", "region": "r",
        });
        let hadoop = json!({
            "fs.swift.service.sahara.username": "ada", "fs.swift.service.sahara.password": "very-secret",
            "fs.swift.service.sahara.tenant": "demo", "fs.swift.service.sahara.domain.name": "U",
            "fs.swift.service.sahara.project.domain.name": "P", "fs.swift.service.sahara.region": "r",
            "fs.swift.service.sahara.auth.url": "https://k.test/identity/v3/auth/tokens",
        });
        for words in [sahara, hadoop] {
            let user = of(words, &operators()).expect("a user");
            assert_eq!(user.login, Login::Keystone("https://k.test/identity".to_owned()));
            assert_eq!(user.project, Some(Project::Name { name: "demo".to_owned(), domain: "P".to_owned() }));
            assert_eq!((user.user_domain.as_str(), user.region.as_deref(), user.is_operators), ("U", Some("r"), false));
            assert!(!format!("{user:?}").contains("very-secret"));
        }
        assert_eq!(Login::of("http://h:8080/auth/v1.0"), Ok(Login::V1("http://h:8080/auth/v1.0".to_owned())));
    }

    #[test]
    fn the_record_gives_the_project_where_keystone_knows_it() {
        let words = json!({"user": "ada", "password": "p"});
        let user = of(words.clone(), &operators()).expect("a user");
        assert_eq!(user.project, Some(Project::Id("p1".to_owned())));
        assert_eq!((user.region.as_deref(), user.is_operators), (Some("here"), true));
        let elsewhere = SwiftSettings { knows_projects: false, ..operators() };
        assert_eq!(of(words, &elsewhere).expect("a user").project, None);
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_set() {
        for (words, settings, why) in [
            (json!({}), operators(), "there are no credentials"),
            (json!({"user": "ada"}), operators(), "without a password"),
            (json!({"password": "very-secret"}), operators(), "without a user"),
            (json!({"user": "ada", "password": "very-secret"}), SwiftSettings::default(), "[stores.swift] auth_url"),
            (
                json!({"user": "a", "password": "very-secret", "auth_url": "https://me:very-secret@h"}),
                operators(),
                "form",
            ),
        ] {
            let error = of(words, &settings).expect_err(why);
            assert!(error.contains(why) && !error.contains("very-secret"), "{error}");
        }
    }

    #[test]
    fn log_ins_are_told_apart() {
        let key = |words: Value| Who::User(of(words, &operators()).expect("a user")).key();
        let one = key(json!({"user": "ada", "password": "p"}));
        assert!(one.is_some() && one == key(json!({"user": "ada", "password": "p"})));
        for other in [
            json!({"user": "ada", "password": "q"}),
            json!({"user": "ad", "password": "ap"}),
            json!({"user": "ada", "password": "p", "project": "x"}),
            json!({"user": "ada", "password": "p", "region": "x"}),
        ] {
            assert_ne!(one, key(other));
        }
    }

    #[test]
    fn the_operators_endpoint_goes_before_the_catalogue() {
        let told = Some("http://inside/v1/AUTH_x/");
        assert_eq!(storage(told, "p", None).as_deref(), Some("http://inside/v1/AUTH_x"));
        assert_eq!(storage(told, "p", Some("https://out:1")).as_deref(), Some("https://out:1/v1/AUTH_x"));
        assert_eq!(storage(None, "p", Some("https://out/v1/")).as_deref(), Some("https://out/v1/AUTH_p"));
        assert_eq!(storage(told, "p", Some("https://out/swift/v1")).as_deref(), Some("https://out/swift/v1/AUTH_x"));
        assert_eq!(storage(None, "p", Some("https://out/v1/AUTH_y")).as_deref(), Some("https://out/v1/AUTH_y"));
        assert_eq!(storage(None, "p", None), None);
    }
}
