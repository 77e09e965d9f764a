//! What jobs may read and write, and whether the stores give what the settings say that they should.

use std::{path::Path, time::Duration};

use anyhow::Result;
use foggara_domain::ProjectId;
use foggara_stores::{Access, LocalRoots, StoreError, Stores};
use futures::StreamExt;
use url::Url;

use super::{Findings, Level};
use crate::{cmd::parts, config::Config};

/// How long a store may take for one check.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn look(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    schemes(config, findings)?;
    folders(config, dir, findings)?;
    mounts(config, findings)?;
    checks(config, dir, findings).await
}

fn schemes(config: &Config, findings: &mut Findings) -> Result<()> {
    let section = &config.stores;
    let s3 = match (&section.s3.access_key, section.s3.allow_anonymous) {
        (Some(_), _) => "with the job's keys or those of [stores.s3]",
        (None, true) => "with the job's keys, or without a signature",
        (None, false) => "with the job's keys ([stores.s3] is for those without)",
    };
    findings.add(Level::Good, "stores", &format!("s3, s3a, s3n and obs {s3}"))?;
    let swift = match (&section.swift.auth_url, &config.keystone.auth_url) {
        (None, None) => {
            "for jobs that bring user, password and auth_url ([stores.swift] auth_url is for those without)"
        }
        (_, None) => "for jobs that bring user and password",
        (_, Some(_)) => "for jobs that bring user and password, else in the name of the job's user",
    };
    findings.add(Level::Good, "stores", &format!("swift {swift}"))?;
    let user = match &section.hdfs.user {
        Some(user) => format!("as the job's user, or as '{user}'"),
        None => "as the job's user ([stores.hdfs] user is for those without)".to_owned(),
    };
    let names: Vec<&str> = section.hdfs.webhdfs.keys().map(String::as_str).collect();
    let names = if names.is_empty() { String::new() } else { format!("; known: {}", names.join(", ")) };
    findings.add(Level::Good, "stores", &format!("webhdfs, swebhdfs and hdfs with a host {user}{names}"))?;
    let allowed = match section.http.allow.as_slice() {
        [] => String::new(),
        allow => format!("; of what is this host's or its link's, jobs may reach {}", allow.join(", ")),
    };
    findings.add(Level::Good, "stores", &format!("internal-db, http and https{allowed}"))
}

/// Folders of this host, which are also those of `hdfs:///`.
fn folders(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    let Some(roots) = &config.stores.file.roots else {
        let text = format!("jobs may use {} ([stores.file] roots names others)", dir.join("files").display());
        return findings.add(Level::Good, "files", &text);
    };
    for root in roots {
        if root.is_dir() {
            findings.add(Level::Good, "files", &format!("jobs may use {}", root.display()))?;
        } else {
            let text = format!("[stores.file] roots: {} is no folder: nothing below it can be used", root.display());
            findings.add(Level::Note, "files", &text)?;
        }
    }
    Ok(())
}

fn mounts(config: &Config, findings: &mut Findings) -> Result<()> {
    for (url, folder) in parts::mounts(config).all() {
        if folder.is_dir() {
            findings.add(Level::Good, "mounts", &format!("{url} is {}", folder.display()))?;
        } else {
            let text = format!(
                "{url}: {} is no folder: it is not mounted, and nothing below it can be used",
                folder.display()
            );
            findings.add(Level::Note, "mounts", &text)?;
        }
    }
    Ok(())
}

/// Asks for what `[stores.check]` names, as a job without credentials would.
async fn checks(config: &Config, dir: &Path, findings: &mut Findings) -> Result<()> {
    let urls = &config.stores.check.urls;
    if urls.is_empty() {
        let text = "none was asked for anything ([stores.check] urls names what to ask for)";
        return findings.add(Level::Good, "stores", text);
    }
    let stores = match parts::outer_stores(config, LocalRoots::new(parts::root_folders(config, dir)?), None) {
        Ok(stores) => stores,
        Err(error) => return findings.add(Level::Bad, "stores", &format!("{error:#}")),
    };
    for url in urls.iter().filter_map(|url| Url::parse(url).ok()) {
        let found = tokio::time::timeout(PATIENCE, check(&stores, &url)).await;
        let found = found
            .unwrap_or_else(|_| Err(StoreError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))));
        let shown = shown(&url);
        match found {
            Ok(text) => findings.add(Level::Good, "store", &format!("{shown}: {text}"))?,
            Err(error) => {
                let why = error.to_string();
                let text = if why.starts_with(&shown) { why } else { format!("{shown}: {why}") };
                findings.add(Level::Bad, "store", &text)?;
            }
        }
    }
    Ok(())
}

/// Lists a url, or reads its first bytes where its store has no folders. Gives what was found.
async fn check(stores: &Stores, url: &Url) -> Result<String, StoreError> {
    let store = stores.get(url.scheme());
    let store = store.ok_or_else(|| StoreError::Unsupported(format!("there is no store of {} urls", url.scheme())))?;
    let project = ProjectId::from(String::new());
    let access = Access { project: &project, caller: None, credentials: None, lent: None };
    if matches!(url.scheme(), "http" | "https") {
        let mut content = store.open(url, &access).await?;
        content.stream.next().await.transpose()?;
        let size = content.size.map_or_else(|| "of unknown size".to_owned(), |size| format!("of {size} bytes"));
        return Ok(format!("a file {size} can be read"));
    }
    let listing = store.list(url, &access).await?;
    let size: u64 = listing.files.iter().map(|file| file.size).sum();
    Ok(match listing.is_folder {
        true => format!("a folder with {} files, {size} bytes", listing.files.len()),
        false => format!("a file of {size} bytes"),
    })
}

/// A url without what may be secret in it.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}
