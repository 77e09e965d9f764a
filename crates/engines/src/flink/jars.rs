//! Jars on the cluster: each is uploaded once under a name that is made of its hash, and removed when it was not used for a
//! while. Flink copies the jar of a job when it takes the job, so that only submissions need it there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Method, header::CONTENT_TYPE};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{EngineError, remote::rest::Rest};

/// How long an unused jar stays.
const KEPT: Duration = Duration::from_secs(3600);
/// How often unused jars are looked for.
const COLLECTED: Duration = Duration::from_secs(60);
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(300);
/// Begins the names of our jars; the hash and `.jar` follow.
const PREFIX: &str = "foggara-";
/// Separates the parts of an upload. A jar may hold it by chance only.
const BOUNDARY: &str = "foggara-5d1f0c7e9a3b4826";

/// See the module.
#[derive(Default)]
pub struct Jars {
    /// When a jar was used last by this process, by its name.
    used: Mutex<BTreeMap<String, Instant>>,
    /// When unused ones were looked for last.
    collected: Mutex<Option<Instant>>,
    /// Two launches with one jar upload it once.
    uploading: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Listed {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    name: String,
    /// Milliseconds since 1970, by the JobManager's clock.
    uploaded: i64,
}

#[derive(Deserialize)]
struct Uploaded {
    filename: String,
}

impl Jars {
    /// The id of a jar on the cluster, which gets it if it lacks it.
    pub async fn ensure(&self, rest: &Rest, jar: &Bytes) -> Result<String, EngineError> {
        let name = format!("{PREFIX}{}.jar", hex::encode(Sha256::digest(jar)));
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Instant::now());
        let _uploading = self.uploading.lock().await;
        let listed: Listed = rest.get("/jars").await?;
        if let Some(file) = listed.files.into_iter().find(|file| file.name == name) {
            return Ok(file.id);
        }
        let body = form(&name, jar);
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        let fill = |request: reqwest::RequestBuilder| {
            request.timeout(UPLOAD).header(CONTENT_TYPE, form.as_str()).body(body.clone())
        };
        let uploaded: Uploaded = rest.send(Method::POST, "/jars/upload", fill).await?.good()?.json()?;
        let id = uploaded.filename.rsplit('/').next().unwrap_or_default();
        Ok(id.to_owned())
    }

    /// Removes one that nobody is to find any longer. What goes wrong is tried again when unused ones are removed.
    pub async fn remove(&self, rest: &Rest, id: &str) {
        let removed = async { rest.send(Method::DELETE, &format!("/jars/{id}"), |request| request).await?.found() };
        if let Err(why) = removed.await {
            tracing::debug!("a jar with a script stays on the Flink cluster for now: {why}");
        }
    }

    /// Removes jars of ours that nobody used for a while, at most once a minute. One that another server still wants is uploaded
    /// again by it; what goes wrong is tried again.
    pub async fn collect(&self, rest: &Rest) {
        {
            let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
            if collected.is_some_and(|last| last.elapsed() < COLLECTED) {
                return;
            }
            *collected = Some(Instant::now());
        }
        if let Err(why) = self.remove_unused(rest).await {
            tracing::debug!("unused jars on the Flink cluster stay for now: {why}");
        }
    }

    async fn remove_unused(&self, rest: &Rest) -> Result<(), EngineError> {
        let listed: Listed = rest.get("/jars").await?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        for file in listed.files.iter().filter(|file| is_ours(&file.name)) {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).get(&file.name).copied();
            let uploaded = Duration::from_millis(u64::try_from(file.uploaded).unwrap_or(0));
            let unused = now.saturating_sub(uploaded).min(used.map_or(Duration::MAX, |used| used.elapsed()));
            if unused > KEPT {
                rest.send(Method::DELETE, &format!("/jars/{}", file.id), |request| request).await?.good()?;
                self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&file.name);
            }
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    let hash = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(".jar"));
    hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The jar as a form of one part.
fn form(name: &str, jar: &[u8]) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
         content-type: application/java-archive\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    Bytes::from([head.as_bytes(), jar, tail.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_our_own_are_removed() {
        assert!(is_ours(&format!("foggara-{}.jar", "0a".repeat(32))));
        for name in ["foggara-1.jar", "other.jar", "foggara-.jar"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
