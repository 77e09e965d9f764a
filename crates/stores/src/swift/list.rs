//! Listing: an object, or all objects below a prefix, page by page.

use std::time::{Duration, SystemTime};

use foggara_domain::Timestamp;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde::Deserialize;

use super::client::{Ask, Dialog, etag, header};
use crate::{FileEntry, Listing, StoreError, listing::is_plain};

/// What some programs leave as a sign for a folder.
const FOLDER: &str = "application/directory";
/// Objects that are looked at at once.
const AT_ONCE: usize = 8;

/// An object as a listing shows it.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub name: String,
    #[serde(default)]
    pub bytes: u64,
    /// MD5; of a large object it is that of something else.
    #[serde(default)]
    pub hash: String,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    last_modified: String,
    /// Only large objects have one.
    slo_etag: Option<String>,
}

impl Entry {
    pub fn modified(&self) -> Option<SystemTime> {
        time(&self.last_modified)
    }

    /// MD5 of the bytes. A dynamic large object is shown without bytes.
    fn md5(&self) -> Option<String> {
        let is_plain = self.slo_etag.is_none() && self.bytes > 0 && self.hash.len() == 32;
        is_plain.then(|| self.hash.to_ascii_lowercase())
    }
}

/// All objects of a container whose names begin so.
pub(super) async fn below(dialog: &Dialog, container: &str, prefix: &str) -> Result<Vec<Entry>, StoreError> {
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let page = page(dialog, container, prefix, &marker).await?;
        let Some(last) = page.last() else { return Ok(found) };
        marker.clone_from(&last.name);
        found.extend(page);
    }
}

/// The object of a dialog's url, or what lies below it.
pub(super) async fn list(dialog: &Dialog) -> Result<Listing, StoreError> {
    let object = dialog.target.object.as_str();
    if !object.is_empty() && !object.ends_with('/') {
        let answer = dialog.ask(dialog.about(Method::HEAD)).await?;
        match answer.status() {
            status if status.is_success() => {
                if header(answer.headers(), "content-type") != Some(FOLDER) {
                    return Ok(Listing::of_file(entry(answer.headers())));
                }
            }
            StatusCode::NOT_FOUND => {}
            _ => return Err(dialog.unexpected(&answer, "a question about an object")),
        }
    }
    let prefix = match object.trim_end_matches('/') {
        "" => String::new(),
        object => format!("{object}/"),
    };
    let mut files = Vec::new();
    let found = below(dialog, &dialog.target.container, &prefix).await?;
    let is_there = prefix.is_empty() || !found.is_empty();
    for entry in found.into_iter().filter(|entry| !entry.name.ends_with('/') && entry.content_type != FOLDER) {
        let path = entry.name.strip_prefix(&prefix).unwrap_or(&entry.name);
        if !is_plain(path) {
            return Err(StoreError::Unsupported(format!(
                "swift://{} holds the object '{}', whose name is no path: it cannot be read by its url",
                dialog.target.container, entry.name
            )));
        }
        let (size, modified, md5) = (entry.bytes, entry.modified(), entry.md5());
        files.push(FileEntry { path: path.to_owned(), size, modified, md5 });
    }
    if !is_there {
        return Err(StoreError::NotFound(format!(
            "{} does not exist: no object has that name or lies below it",
            dialog.target.name()
        )));
    }
    Ok(Listing::of_folder(sized(dialog, &prefix, files).await?, Vec::new()))
}

/// The objects after a name, as many as the server gives at once.
async fn page(dialog: &Dialog, container: &str, prefix: &str, marker: &str) -> Result<Vec<Entry>, StoreError> {
    let mut ask = Ask::new(Method::GET, container, "").query("format", "json");
    for (key, value) in [("prefix", prefix), ("marker", marker)] {
        if !value.is_empty() {
            ask = ask.query(key, value);
        }
    }
    let answer = dialog.ask(ask).await?;
    match answer.status() {
        StatusCode::NO_CONTENT => Ok(Vec::new()),
        status if status.is_success() => answer.json().await.map_err(|_| {
            StoreError::Unreachable(format!("{}: Swift's listing broke off or cannot be read", dialog.target.name()))
        }),
        StatusCode::NOT_FOUND => Err(dialog.no_container()),
        _ => Err(dialog.unexpected(&answer, "a listing")),
    }
}

/// Listings give the size of a dynamic large object as zero, for it is made of what lies elsewhere: what has none is asked.
async fn sized(dialog: &Dialog, prefix: &str, files: Vec<FileEntry>) -> Result<Vec<FileEntry>, StoreError> {
    let asked = stream::iter(files).map(|mut file| async move {
        if file.size == 0 {
            let name = format!("{prefix}{}", file.path);
            let answer = dialog.ask(Ask::new(Method::HEAD, &dialog.target.container, &name)).await?;
            if answer.status().is_success() {
                file.size = size(answer.headers());
            }
        }
        Ok(file)
    });
    asked.buffered(AT_ONCE).try_collect().await
}

/// What an answer about an object tells of it.
fn entry(headers: &HeaderMap) -> FileEntry {
    let is_large = ["x-static-large-object", "x-object-manifest"].iter().any(|key| header(headers, key).is_some());
    let md5 = etag(headers).filter(|etag| !is_large && etag.len() == 32).map(str::to_ascii_lowercase);
    FileEntry { path: String::new(), size: size(headers), modified: changed(headers), md5 }
}

fn size(headers: &HeaderMap) -> u64 {
    header(headers, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The last change of an object, as its own answer tells it: seconds with a fraction.
fn changed(headers: &HeaderMap) -> Option<SystemTime> {
    let seconds: f64 = header(headers, "x-timestamp")?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// The last change in a listing, UTC without a zone.
fn time(text: &str) -> Option<SystemTime> {
    let micros = Timestamp::parse(text)?.as_micros();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}
