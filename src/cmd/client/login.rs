//! Finding a server and getting a token.

use std::{env, fs, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ClientArgs, Refused, said};
use crate::cmd::credentials::{Credentials, Login, Named, current_note};

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long no byte may come.
const SILENCE: Duration = Duration::from_secs(90);

/// Credentials, and in words where they come from.
pub(super) struct Found {
    pub credentials: Credentials,
    pub source: String,
}

/// Where a token is good.
pub(super) struct Session {
    pub token: String,
    /// `http://host/v1.1/<project>`
    pub sahara: String,
}

fn clouds_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    files.extend(env::var_os("OS_CLIENT_CONFIG_FILE").map(PathBuf::from));
    files.push(PathBuf::from("clouds.yaml"));
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let config = env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or(home);
    files.extend(config.map(|config| config.join("openstack/clouds.yaml")));
    files.push(PathBuf::from("/etc/openstack/clouds.yaml"));
    files
}

fn unknown(text: impl Into<String>) -> anyhow::Error {
    Refused { status: None, message: text.into() }.into()
}

/// The first that is there: the data directory that was named, the cloud that was named, OS_* variables, a clouds.yaml, the
/// server that was started last.
fn first_source(args: &ClientArgs) -> Result<Found> {
    if let Some(dir) = &args.data_dir {
        return of_directory(dir.clone());
    }
    let set = |key: &str| env::var(key).ok().filter(|value| !value.is_empty());
    let cloud = args.cloud.clone().or_else(|| set("OS_CLOUD"));
    if cloud.is_none()
        && let Some(credentials) = Credentials::from_settings(|key| set(&format!("OS_{}", key.to_uppercase())))
            .context("the OS_* variables")?
    {
        return Ok(Found { credentials, source: "the OS_* variables".to_owned() });
    }
    for file in clouds_files().into_iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let read = Credentials::from_clouds(&text, cloud.as_deref()).with_context(|| file.display().to_string())?;
        if let Some((name, credentials)) = read {
            return Ok(Found { credentials, source: format!("cloud '{name}' of {}", file.display()) });
        }
    }
    if let Some(cloud) = cloud {
        return Err(unknown(format!("no clouds.yaml with the cloud '{cloud}' was found")));
    }
    let note = current_note().and_then(|note| fs::read_to_string(note).ok());
    match note.map(|dir| PathBuf::from(dir.trim())).filter(|dir| dir.join("clouds.yaml").is_file()) {
        Some(dir) => of_directory(dir),
        None => Err(unknown(
            "no server is known: set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME, or write a clouds.yaml, or \
             start one on this host with `foggara serve`",
        )),
    }
}

fn of_directory(dir: PathBuf) -> Result<Found> {
    let file = dir.join("clouds.yaml");
    let text = fs::read_to_string(&file)
        .with_context(|| format!("read {} (a server writes it at its first start on the directory)", file.display()))?;
    let read = Credentials::from_clouds(&text, None).with_context(|| file.display().to_string())?;
    let (_, credentials) =
        read.with_context(|| format!("{}: it has several clouds and none is ours", file.display()))?;
    Ok(Found { credentials, source: file.display().to_string() })
}

/// Credentials with what the flags say otherwise.
pub(super) fn find(args: &ClientArgs) -> Result<Found> {
    let mut found = first_source(args)?;
    let credentials = &mut found.credentials;
    if let Some(url) = &args.auth_url {
        credentials.auth_url.clone_from(url);
    }
    if let Some(project) = &args.project {
        credentials.project = Named::Name(project.clone());
    }
    if let Some(region) = &args.region {
        credentials.region.clone_from(region);
    }
    Ok(found)
}

/// A client for an identity url. A proxy of the environment cannot reach this host's own addresses.
pub(super) fn http(auth_url: &str) -> Result<reqwest::Client> {
    let url = reqwest::Url::parse(auth_url).with_context(|| format!("'{auth_url}' is no identity url"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let builder = reqwest::Client::builder()
        .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE);
    Ok(if here { builder.no_proxy() } else { builder }.build()?)
}

pub(super) async fn log_in(http: &reqwest::Client, found: &Found) -> Result<Session> {
    let Found { credentials, source } = found;
    let base = credentials.auth_url.trim_end_matches('/').trim_end_matches("/v3").to_owned();
    let answer = http.post(format!("{base}/v3/auth/tokens")).json(&request(credentials)).send().await;
    let answer = answer.map_err(|error| Refused::no_answer(&error).with_source(source))?;
    let status = answer.status();
    let token = answer.headers().get("X-Subject-Token").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body: Value = answer.json().await.unwrap_or_default();
    let Some(token) = token.filter(|_| status.is_success()) else {
        let message = format!("log in at {base}: {}", said(status, &body));
        return Err(Refused { status: Some(status), message }.with_source(source).into());
    };
    let sahara = endpoint(&body, &credentials.region).with_context(|| {
        let region = if credentials.region.is_empty() { "any" } else { &credentials.region };
        format!("the catalogue of {base} has no data-processing endpoint in region '{region}' (credentials: {source})")
    })?;
    Ok(Session { token, sahara })
}

/// The body of a log-in.
fn request(credentials: &Credentials) -> Value {
    let identity = match &credentials.login {
        Login::Password { username, domain, password } => json!({"methods": ["password"], "password": {"user": {
            "name": username, "domain": domain.json(), "password": password}}}),
        Login::Token(token) => json!({"methods": ["token"], "token": {"id": token}}),
    };
    let mut project = credentials.project.json();
    if matches!(credentials.project, Named::Name(_)) {
        project["domain"] = credentials.project_domain.json();
    }
    json!({"auth": {"identity": identity, "scope": {"project": project}}})
}

/// The public url of the data-processing service.
fn endpoint(token: &Value, region: &str) -> Option<String> {
    let catalog = token.get("token")?.get("catalog")?.as_array()?;
    let services =
        catalog.iter().filter(|service| service["type"] == "data-processing" || service["type"] == "data_processing");
    let mut endpoints = services.filter_map(|service| service["endpoints"].as_array()).flatten();
    let fits =
        |endpoint: &&Value| endpoint["interface"] == "public" && (region.is_empty() || endpoint["region"] == region);
    Some(endpoints.find(fits)?["url"].as_str()?.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_decides_the_url() {
        let token = json!({"token": {"catalog": [
            {"type": "identity", "endpoints": [{"interface": "public", "region": "A", "url": "http://i/v3"}]},
            {"type": "data-processing", "endpoints": [
                {"interface": "internal", "region": "A", "url": "http://in/v1.1/p"},
                {"interface": "public", "region": "B", "url": "http://b/v1.1/p/"},
                {"interface": "public", "region": "A", "url": "http://a/v1.1/p"}]},
        ]}});
        assert_eq!(endpoint(&token, "A").as_deref(), Some("http://a/v1.1/p"));
        assert_eq!(endpoint(&token, "").as_deref(), Some("http://b/v1.1/p"));
        assert_eq!(endpoint(&token, "C"), None);
    }

    #[test]
    fn a_login_names_domains_only_where_they_count() {
        let mut credentials = Credentials::first("http://h", "w", "R");
        let body = request(&credentials);
        assert_eq!(body["auth"]["scope"]["project"], json!({"name": "demo", "domain": {"id": "default"}}));
        assert_eq!(body["auth"]["identity"]["password"]["user"]["domain"]["id"], "default");
        credentials.project = Named::Id("p".to_owned());
        credentials.login = Login::Token("t".to_owned());
        let body = request(&credentials);
        assert_eq!(body["auth"]["scope"]["project"], json!({"id": "p"}));
        assert_eq!(body["auth"]["identity"], json!({"methods": ["token"], "token": {"id": "t"}}));
    }
}
