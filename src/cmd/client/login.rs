//! Finding a server and getting a token.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Client, ClientArgs, Refused, said};
use crate::cmd::credentials::{Credentials, current_note};

fn from_environment() -> Option<Credentials> {
    let get = |key: &str| env::var(key).ok().filter(|value| !value.is_empty());
    Some(Credentials {
        auth_url: get("OS_AUTH_URL")?,
        username: get("OS_USERNAME")?,
        password: get("OS_PASSWORD")?,
        project_name: get("OS_PROJECT_NAME").or_else(|| get("OS_TENANT_NAME"))?,
        domain_id: get("OS_USER_DOMAIN_ID").unwrap_or_else(|| "default".to_owned()),
        region: get("OS_REGION_NAME").unwrap_or_default(),
    })
}

fn clouds_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    files.extend(env::var_os("OS_CLIENT_CONFIG_FILE").map(PathBuf::from));
    files.push(PathBuf::from("clouds.yaml"));
    if let Some(home) = env::var_os("HOME") {
        files.push(PathBuf::from(home).join(".config/openstack/clouds.yaml"));
    }
    files.push(PathBuf::from("/etc/openstack/clouds.yaml"));
    files
}

fn find(args: &ClientArgs) -> Result<Credentials> {
    if let Some(dir) = &args.data_dir {
        let file = dir.join("clouds.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        return Credentials::from_clouds(&text, None);
    }
    let cloud = args.cloud.clone().or_else(|| env::var("OS_CLOUD").ok().filter(|name| !name.is_empty()));
    if cloud.is_none()
        && let Some(found) = from_environment()
    {
        return Ok(found);
    }
    if let Some(file) = clouds_files().into_iter().find(|file| file.is_file())
        && let Ok(text) = fs::read_to_string(&file)
        && let Ok(found) = Credentials::from_clouds(&text, cloud.as_deref())
    {
        return Ok(found);
    }
    if let Some(cloud) = cloud {
        bail!("no clouds.yaml with the cloud '{cloud}' was found");
    }
    let note = current_note().and_then(|note| fs::read_to_string(note).ok());
    let file = note.map(|dir| PathBuf::from(dir.trim()).join("clouds.yaml")).filter(|file| file.is_file());
    let Some(file) = file else {
        bail!(
            "no server is known: set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME, or write a clouds.yaml, or \
             start one on this host with `foggara serve`"
        );
    };
    Credentials::from_clouds(&fs::read_to_string(&file)?, None)
}

pub(super) async fn connect(args: &ClientArgs) -> Result<Client> {
    let mut credentials = find(args)?;
    if let Some(url) = &args.auth_url {
        credentials.auth_url.clone_from(url);
    }
    let http = reqwest::Client::builder().user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION"))).build()?;
    let base = credentials.auth_url.trim_end_matches('/').trim_end_matches("/v3").to_owned();
    let domain = json!({"id": credentials.domain_id});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": credentials.username, "domain": domain, "password": credentials.password}}},
        "scope": {"project": {"name": credentials.project_name, "domain": domain}},
    }});
    let answer = http.post(format!("{base}/v3/auth/tokens")).json(&body).send().await;
    let answer = answer.map_err(|error| Refused::no_answer(&error))?;
    let status = answer.status();
    let token = answer.headers().get("X-Subject-Token").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body: Value = answer.json().await.unwrap_or_default();
    let Some(token) = token.filter(|_| status.is_success()) else {
        let message = format!("log in as {} at {base}: {}", credentials.username, said(status, &body));
        return Err(Refused { status: Some(status), message }.into());
    };
    let sahara = endpoint(&body, &credentials.region).with_context(|| {
        format!("the catalogue of {base} has no data-processing endpoint in region '{}'", credentials.region)
    })?;
    let root = sahara.split("/v1.1").next().unwrap_or(&sahara).to_owned();
    Ok(Client { http, token, own: format!("{root}/api/v1"), sahara })
}

/// The public url of the data-processing service.
fn endpoint(token: &Value, region: &str) -> Option<String> {
    let catalog = token.get("token")?.get("catalog")?.as_array()?;
    let service = catalog.iter().find(|service| service["type"] == "data-processing")?;
    let endpoints = service["endpoints"].as_array()?;
    let fits =
        |endpoint: &&Value| endpoint["interface"] == "public" && (region.is_empty() || endpoint["region"] == region);
    Some(endpoints.iter().find(fits)?["url"].as_str()?.trim_end_matches('/').to_owned())
}
