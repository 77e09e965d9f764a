//! HDFS by its REST interface, WebHDFS: `webhdfs` and `swebhdfs` urls, and `hdfs` urls with a host. Those without one are files
//! of this host (decision 1).
//!
//! opendal's webhdfs service is not used: it knows one address and so no pair of namenodes, its rename cannot take the place of
//! what is there, it sends user and token to datanodes a second time, and reading that goes on after a break does not notice
//! that the file was changed.

mod answer;
mod client;
mod settings;
mod target;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
pub use settings::HdfsSettings;
use url::Url;

use self::{
    answer::Status,
    client::WebHdfs,
    target::{Services, Target},
};
use crate::{
    Access, Blocks, Content, FileEntry, Listing, Reach, Store, StoreError, Version, Writing, exactly,
    listing::is_plain,
    part,
    resume::{Fault, resuming, tried},
};

/// The store.
pub struct HdfsStore {
    settings: HdfsSettings,
    services: Services,
    web: Arc<WebHdfs>,
    /// For `hdfs` urls without a host.
    here: Arc<dyn Store>,
}

impl HdfsStore {
    /// With the operator's settings; namenodes that jobs name obey the rule. `here` has the files of this host. A rustls provider
    /// must be installed in the process.
    pub fn new(settings: HdfsSettings, reach: Reach, here: Arc<dyn Store>) -> Result<Self, StoreError> {
        Ok(Self { services: Services::new(&settings), settings, web: Arc::new(WebHdfs::new(reach)?), here })
    }

    fn target(&self, url: &Url, access: &Access<'_>) -> Result<Target, StoreError> {
        Target::of(url, access.credentials, &self.settings, &self.services)
    }

    /// All files below a folder; one that vanishes meanwhile is passed over.
    async fn walk(&self, top: &Target) -> Result<Listing, StoreError> {
        let (mut files, mut empty) = (Vec::new(), Vec::new());
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = top.at(below(&top.path, &folder));
            let found = match self.web.statuses(&at).await {
                Err(StoreError::NotFound(_)) if !folder.is_empty() => continue,
                found => found?,
            };
            if found.is_empty() {
                empty.push(folder.clone());
            }
            for status in found {
                if !is_plain(&status.name) || status.name.contains('/') {
                    return Err(StoreError::Unsupported(format!(
                        "{} holds '{}', which is no name: it cannot be read by its url",
                        top.name, status.name
                    )));
                }
                let path = if folder.is_empty() { status.name.clone() } else { format!("{folder}/{}", status.name) };
                if status.is_folder() {
                    folders.push(path);
                } else if status.is_file() {
                    files.push(entry(path, &status));
                } else {
                    return Err(StoreError::Unsupported(format!(
                        "{}: '{path}' is neither a file nor a folder",
                        top.name
                    )));
                }
            }
        }
        Ok(Listing::of_folder(files, empty))
    }

    /// So many bytes from an offset on, of a file as it was seen; taken up again where they break off.
    async fn bytes(&self, target: Target, status: Status, (from, length): (u64, u64)) -> Result<Content, StoreError> {
        let end = from + length;
        let first = tried(|| self.web.open(&target, from, end)).await?;
        let web = Arc::clone(&self.web);
        let again = move |came: u64| {
            let (web, target, status) = (Arc::clone(&web), target.clone(), status.clone());
            async move {
                if !web.status(&target).await?.is_same(&status) {
                    return Err(Fault::from(changed(&target)));
                }
                web.open(&target, from + came, end).await
            }
        };
        let content = Content { size: Some(length), stream: resuming(first, Some(length), again) };
        Ok(Content { size: Some(length), stream: exactly(content) })
    }

    /// Puts a complete file into its place. The answer to a rename may get lost, and then the next one finds nothing to rename.
    async fn publish(&self, part: &Target, target: &Target, size: u64) -> Result<(), StoreError> {
        let there = self.web.status(part).await?;
        if there.size != size {
            return Err(StoreError::Unreachable(format!(
                "{}: {} bytes are there where {size} were sent",
                target.name, there.size
            )));
        }
        match self.web.rename(part, &target.path).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                // HttpFS knows no options of RENAME: for a moment nothing is there.
                self.web.delete(target).await?;
                match self.web.rename(part, &target.path).await? {
                    true => Ok(()),
                    false => Err(StoreError::Unreachable(format!("{}: the server did not rename it", target.name))),
                }
            }
            Err(StoreError::NotFound(text)) => match self.web.status(target).await {
                Ok(now) if now.id.is_some() && now.id == there.id => Ok(()),
                _ => Err(StoreError::NotFound(text)),
            },
            Err(error) => Err(error),
        }
    }
}

fn changed(target: &Target) -> StoreError {
    StoreError::Unreachable(format!("{} was changed while it was read: try again", target.name))
}

fn entry(path: String, status: &Status) -> FileEntry {
    FileEntry { path, size: status.size, modified: status.modified(), md5: None }
}

/// A path below a folder's; both as HDFS has them.
fn below(folder: &str, path: &str) -> String {
    match path {
        "" => folder.to_owned(),
        path => format!("{}/{path}", folder.trim_end_matches('/')),
    }
}

fn is_here(url: &Url) -> bool {
    url.scheme() == "hdfs" && url.host_str().is_none_or(str::is_empty)
}

/// What was begun; whoever drops it without keeping it has it removed.
struct Unfinished {
    web: Arc<WebHdfs>,
    part: Option<Target>,
}

impl Unfinished {
    async fn remove(mut self) {
        if let Some(part) = self.part.take() {
            // The first error is the one to tell; the name says what it is.
            let _ = self.web.delete(&part).await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(part), Ok(runtime)) = (self.part.take(), tokio::runtime::Handle::try_current()) {
            let web = Arc::clone(&self.web);
            runtime.spawn(async move { web.delete(&part).await });
        }
    }
}

#[async_trait]
impl Store for HdfsStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["hdfs", "webhdfs", "swebhdfs"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        if is_here(url) {
            return self.here.open(url, access).await;
        }
        let target = self.target(url, access)?;
        let status = self.web.status(&target).await?;
        if !status.is_file() {
            return Err(target.not_a_file(&status));
        }
        let size = status.size;
        if size == 0 {
            return Ok(Content { size: Some(0), stream: stream::empty().boxed() });
        }
        self.bytes(target, status, (0, size)).await
    }

    async fn list(&self, url: &Url, access: &Access<'_>) -> Result<Listing, StoreError> {
        if is_here(url) {
            return self.here.list(url, access).await;
        }
        let target = self.target(url, access)?;
        let status = self.web.status(&target).await?;
        if status.is_file() {
            return Ok(Listing::of_file(entry(String::new(), &status)));
        }
        self.walk(&target).await
    }

    async fn put(&self, url: &Url, content: Content, access: &Access<'_>) -> Result<u64, StoreError> {
        if is_here(url) {
            return self.here.put(url, content, access).await;
        }
        let target = self.target(url, access)?;
        match self.web.status(&target).await {
            Err(StoreError::NotFound(_)) => {}
            Ok(status) if status.is_file() => {}
            Ok(_) => {
                return Err(StoreError::Denied(format!("{} is there already and is not a file", target.name)));
            }
            Err(error) => return Err(error),
        }
        let part = target.at(part::beside(&target.path, &part::unique()));
        let mut unfinished = Unfinished { web: Arc::clone(&self.web), part: Some(part.clone()) };
        let done = async {
            let size = self.web.create(&part, exactly(content)).await?;
            self.publish(&part, &target, size).await?;
            Ok(size)
        };
        match done.await {
            Ok(size) => {
                unfinished.part = None;
                Ok(size)
            }
            Err(error) => {
                unfinished.remove().await;
                Err(error)
            }
        }
    }

    async fn delete(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        if is_here(url) {
            return self.here.delete(url, access).await;
        }
        let target = self.target(url, access)?;
        if target.path == "/" {
            return Err(StoreError::Denied(format!("{} is the root and is not removed", target.name)));
        }
        self.web.delete(&target).await
    }

    async fn make_folder(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        if is_here(url) {
            return self.here.make_folder(url, access).await;
        }
        self.web.make_folder(&self.target(url, access)?).await
    }

    fn computes_md5(&self, url: &Url) -> bool {
        is_here(url)
    }

    async fn md5(&self, url: &Url, access: &Access<'_>) -> Result<Option<String>, StoreError> {
        if is_here(url) { self.here.md5(url, access).await } else { Ok(None) }
    }

    async fn version(&self, url: &Url, access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        if is_here(url) {
            return self.here.version(url, access).await;
        }
        let target = self.target(url, access)?;
        let status = self.web.status(&target).await?;
        if !status.is_file() {
            return Err(target.not_a_file(&status));
        }
        Ok(status.version())
    }

    async fn open_part(
        &self,
        url: &Url,
        version: &Version,
        place: (u64, u64),
        access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        if is_here(url) {
            return self.here.open_part(url, version, place, access).await;
        }
        let target = self.target(url, access)?;
        let status = self.web.status(&target).await?;
        if status.version().as_ref() != Some(version) {
            return Err(changed(&target));
        }
        self.bytes(target, status, place).await
    }

    async fn write_blocks(
        &self,
        url: &Url,
        blocks: &Blocks,
        access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        if is_here(url) { self.here.write_blocks(url, blocks, access).await } else { Ok(None) }
    }

    async fn remove_part(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        if is_here(url) { self.here.remove_part(url, access).await } else { self.delete(url, access).await }
    }
}
