//! Tokens: asked for when there is none, renewed before their end and after Swift refused one. All who need one wait for the
//! same log-in.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use foggara_domain::{Secret, Timestamp};
use foggara_identity::keystone::{Catalogue, Keystone, TrustError, Trusts as _};
use reqwest::{RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    Connections, SwiftSettings,
    client::{self, RETRIES},
    ticket::Ticket,
    who::{Login, Project, User, Who, storage},
};
use crate::StoreError;

/// How long an answer to a log-in may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether there is a new token in a file.
const LOOK: Duration = Duration::from_secs(60);
/// Log-ins that are remembered.
const MANY: usize = 1024;
/// Part of a token's life after which there is a new one, so that none ends under way.
const USED: f64 = 0.9;

/// A token, and where it counts.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub token: Secret,
    /// The account's url, without a `/` at its end.
    pub storage: String,
    /// Nothing where the log-in told no end.
    renew_at: Option<Instant>,
}

type Entry = Arc<tokio::sync::Mutex<Option<Session>>>;

/// The log-ins of this process.
pub(super) struct Sessions {
    connections: Connections,
    settings: SwiftSettings,
    keystone: Option<Arc<Keystone>>,
    known: Mutex<HashMap<[u8; 32], Entry>>,
}

impl Sessions {
    pub fn new(connections: Connections, settings: SwiftSettings, keystone: Option<Arc<Keystone>>) -> Self {
        Self { connections, settings, keystone, known: Mutex::default() }
    }

    /// Whether tokens of callers and trusts say something here.
    pub fn has_service(&self) -> bool {
        self.keystone.is_some()
    }

    /// A token that was not refused; `name` is the url for errors.
    pub async fn get(&self, who: &Who, refused: Option<&Session>, name: &str) -> Result<Session, StoreError> {
        // What the caller brings is not kept for longer than the request.
        let Some(key) = who.key() else { return self.log_in_as(who, refused, name).await };
        let entry = self.entry(key);
        let mut held = entry.lock().await;
        if let Some(session) = held.as_ref() {
            let is_fresh = session.renew_at.is_none_or(|end| Instant::now() < end);
            if is_fresh && refused.is_none_or(|refused| refused.token != session.token) {
                return Ok(session.clone());
            }
        }
        *held = None;
        let session = self.log_in_as(who, refused, name).await?;
        *held = Some(session.clone());
        Ok(session)
    }

    async fn log_in_as(&self, who: &Who, refused: Option<&Session>, name: &str) -> Result<Session, StoreError> {
        match who {
            Who::User(user) => self.log_in(user, name).await,
            Who::Token { .. } if refused.is_some() => {
                Err(StoreError::Denied(format!("{name}: Swift does not take the caller's token, or it has ended")))
            }
            Who::Token { token, project } => self.of_caller(token, project, name).await,
            Who::Trust { id, project } => self.of_trust(id, project, name).await,
            Who::Ticket(file) => of_ticket(file, refused, name),
        }
    }

    fn entry(&self, key: [u8; 32]) -> Entry {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            // Whoever is in the middle of a log-in has the entry, and finds another place for it the next time.
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }

    async fn log_in(&self, user: &User, name: &str) -> Result<Session, StoreError> {
        // Counted from before the request, so that no token is taken for younger than it is.
        let asked_at = Instant::now();
        self.connections.check(user.login.shown(), user.is_operators, name)?;
        let endpoint = self.settings.endpoint.as_deref().filter(|_| user.is_operators);
        let (token, told, project, lasts) = match &user.login {
            Login::V1(url) => self.of_v1(user, url, name).await?,
            Login::Keystone(base) => self.of_keystone(user, base, name).await?,
        };
        let storage =
            storage(told.as_deref(), &project, endpoint).ok_or_else(|| self.no_swift(user, &project, name))?;
        let storage = checked(storage, name)?;
        self.connections.check(&storage, user.is_operators, name)?;
        Ok(Session { token, storage, renew_at: lasts.and_then(|lasts| renewal(asked_at, lasts)) })
    }

    /// The log-in of a Swift without a Keystone. A tenant stands before the user, unless it does so already.
    async fn of_v1(&self, user: &User, url: &str, name: &str) -> Result<Granted, StoreError> {
        let account = match &user.project {
            Some(Project::Name { name, .. }) if !user.user.contains(':') => format!("{name}:{}", user.user),
            _ => user.user.clone(),
        };
        let build = || {
            let request = self.connections.client(user.is_operators).get(url).header("X-Auth-User", &account);
            Ok(request.header("X-Auth-Key", client::hidden(&user.password)?))
        };
        let answer = self.ask(build, url, name).await?;
        let status = answer.status();
        let head = |key: &str| text(answer.headers(), key);
        match (status.is_success(), head("x-auth-token"), head("x-storage-url")) {
            (true, Some(token), Some(storage)) => {
                let lasts = head("x-auth-token-expires").and_then(|text| text.parse().ok()).map(Duration::from_secs);
                Ok((Secret::new(token), Some(storage), String::new(), lasts))
            }
            (true, ..) => {
                Err(StoreError::Unsupported(format!("{name}: {url} is not the log-in of a Swift: it gives no token")))
            }
            (false, ..) => Err(refusal(user, url, status, name)),
        }
    }

    async fn of_keystone(&self, user: &User, base: &str, name: &str) -> Result<Granted, StoreError> {
        let url = format!("{base}/v3/auth/tokens");
        let identity = json!({"methods": ["password"], "password": {"user": {
            "name": user.user, "domain": {"name": user.user_domain}, "password": user.password.reveal(),
        }}});
        let body = match &user.project {
            None => json!({"auth": {"identity": identity}}),
            Some(Project::Id(id)) => json!({"auth": {"identity": identity, "scope": {"project": {"id": id}}}}),
            Some(Project::Name { name, domain }) => {
                let project = json!({"name": name, "domain": {"name": domain}});
                json!({"auth": {"identity": identity, "scope": {"project": project}}})
            }
        };
        let answer =
            self.ask(|| Ok(self.connections.client(user.is_operators).post(&url).json(&body)), base, name).await?;
        let status = answer.status();
        if status != StatusCode::CREATED {
            return Err(refusal(user, base, status, name));
        }
        let not_keystone = || StoreError::Unsupported(format!("{name}: {base} does not answer as Keystone v3 does"));
        let token = text(answer.headers(), "x-subject-token").ok_or_else(not_keystone)?;
        let body: Value = answer.json().await.map_err(|_| not_keystone())?;
        let of = |path: &str| body.pointer(path).and_then(Value::as_str);
        let time = |path: &str| of(path).and_then(Timestamp::parse);
        // Both times are Keystone's, so its clock and ours need not agree.
        let lasts = time("/token/expires_at").zip(time("/token/issued_at")).map(|(end, begin)| end.since(begin));
        let project = of("/token/project/id").unwrap_or_default().to_owned();
        let catalogue = body.pointer("/token/catalog").cloned().unwrap_or_default();
        let catalogue: Catalogue = serde_json::from_value(catalogue).unwrap_or_default();
        let told = swift_of(&catalogue, user.region.as_deref());
        Ok((Secret::new(token), told, project, lasts))
    }

    fn no_swift(&self, user: &User, project: &str, name: &str) -> StoreError {
        let at = user.login.shown();
        StoreError::Denied(match (&user.region, project) {
            (_, "") => format!(
                "{name}: the log-in at {at} is for no project: give project (tenant) in the credentials, or \
                 fs.swift.service.sahara.tenant"
            ),
            (Some(region), _) => format!(
                "{name}: the catalogue of {at} has no public object-store in the region '{region}': set [stores.swift] region \
                 or endpoint"
            ),
            (None, _) => {
                format!("{name}: the catalogue of {at} has no public object-store: set [stores.swift] endpoint")
            }
        })
    }

    async fn of_caller(&self, token: &Secret, project: &str, name: &str) -> Result<Session, StoreError> {
        let known = self.keystone()?.validate(token.reveal()).await;
        let known = known.map_err(|error| match error {
            foggara_identity::Error::Unauthorized => {
                StoreError::Denied(format!("{name}: Keystone does not take the caller's token any more"))
            }
            other => StoreError::Unreachable(format!("{name}: the caller's token cannot be looked at: {other}")),
        })?;
        Ok(Session { token: token.clone(), storage: self.storage_in(&known.catalogue, project, name)?, renew_at: None })
    }

    async fn of_trust(&self, id: &str, project: &str, name: &str) -> Result<Session, StoreError> {
        let asked_at = Instant::now();
        let given = self.keystone()?.token_for_trust(id).await.map_err(|error| match error {
            TrustError::Unavailable(why) => StoreError::Unreachable(format!("{name}: {why}")),
            why => StoreError::Denied(format!("{name}: the job cannot act for the user who started it: {why}")),
        })?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let lasts = given.expires_at.since(now);
        let storage = self.storage_in(&given.catalogue, project, name)?;
        Ok(Session { token: given.token, storage, renew_at: renewal(asked_at, lasts) })
    }

    fn keystone(&self) -> Result<&Keystone, StoreError> {
        let none = || StoreError::Denied("there is no [keystone] auth_url".to_owned());
        self.keystone.as_deref().ok_or_else(none)
    }

    fn storage_in(&self, catalogue: &Catalogue, project: &str, name: &str) -> Result<String, StoreError> {
        let told = swift_of(catalogue, self.settings.region.as_deref());
        let found = storage(told.as_deref(), project, self.settings.endpoint.as_deref());
        let found = found.ok_or_else(|| {
            StoreError::Denied(format!(
                "{name}: Keystone's catalogue has no public object-store{}: set [stores.swift] endpoint or region",
                self.settings.region.as_deref().map(|region| format!(" in the region '{region}'")).unwrap_or_default()
            ))
        })?;
        checked(found, name)
    }

    /// Sends a log-in, again where that can help.
    async fn ask(
        &self,
        build: impl Fn() -> Result<RequestBuilder, StoreError>,
        at: &str,
        name: &str,
    ) -> Result<Response, StoreError> {
        let mut tries = 0;
        loop {
            let sent = tokio::time::timeout(WITHIN, build()?.send()).await;
            let why = match sent {
                Ok(Ok(answer)) if !client::is_passing(answer.status()) => return Ok(answer),
                Ok(Ok(answer)) => format!("answered {}", answer.status()),
                Ok(Err(error)) => client::broken(&error),
                Err(_) => "did not answer in time".to_owned(),
            };
            if tries == RETRIES {
                return Err(StoreError::Unreachable(format!("{name}: the log-in at {at} {why}")));
            }
            client::pause(tries).await;
            tries += 1;
        }
    }
}

/// The token that the server wrote; one that was refused counts no more, until there is another.
fn of_ticket(file: &Path, refused: Option<&Session>, name: &str) -> Result<Session, StoreError> {
    let none = |why: String| StoreError::Denied(format!("{name}: the token that was given to this process: {why}"));
    let ticket = Ticket::read(file).map_err(none)?;
    if refused.is_some_and(|refused| refused.token == ticket.token) {
        return Err(none("Swift does not take it any more, and there is no other".to_owned()));
    }
    let renew_at = Instant::now().checked_add(LOOK);
    Ok(Session { token: ticket.token, storage: checked(ticket.storage, name)?, renew_at })
}

fn renewal(asked_at: Instant, lasts: Duration) -> Option<Instant> {
    asked_at.checked_add(lasts.mul_f64(USED))
}

/// Token, the url of the account, the project, and how long it lasts.
type Granted = (Secret, Option<String>, String, Option<Duration>);

fn refusal(user: &User, at: &str, status: StatusCode, name: &str) -> StoreError {
    let who = &user.user;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => StoreError::Denied(format!(
            "{name}: {at} does not let the user '{who}' in ({}): check user, password{}",
            status.as_u16(),
            match (&user.login, &user.project) {
                (Login::Keystone(_), Some(_)) => ", user_domain_name and project (tenant)",
                (Login::Keystone(_), None) => " and user_domain_name",
                (Login::V1(_), _) => ": the user is of the form account:user",
            }
        )),
        status => StoreError::Unsupported(format!(
            "{name}: {at} does not answer as Keystone v3 or Swift's log-in does ({status})"
        )),
    }
}

fn swift_of(catalogue: &Catalogue, region: Option<&str>) -> Option<String> {
    catalogue.endpoint(&["object-store"], "public", region).map(str::to_owned)
}

fn checked(storage: String, name: &str) -> Result<String, StoreError> {
    match url::Url::parse(&storage) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(storage),
        _ => Err(StoreError::Unsupported(format!("{name}: the address of Swift is no http or https url"))),
    }
}

fn text(headers: &HeaderMap, key: &str) -> Option<String> {
    client::header(headers, key).map(str::to_owned)
}
