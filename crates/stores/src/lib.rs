//! Bytes by URL: job binaries and data sources, wherever they are.

mod checksum;
mod http;
mod internal;
mod limits;
mod listing;
mod local;
mod mounts;
mod reach;
mod resume;
mod s3;
mod swift;
mod webhdfs;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use foggara_domain::{Caller, ProjectId, Secret};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
pub use http::HttpStore;
pub use internal::InternalStore;
pub use limits::fetch_into_file;
pub use listing::{FileEntry, Listing, below};
pub use local::{LocalRoots, LocalStore, file_content};
pub use mounts::{MountStore, Mounts};
pub use reach::Reach;
pub use s3::{S3Settings, S3Store};
use serde_json::{Map, Value};
pub use swift::{SwiftSettings, SwiftStore};
use thiserror::Error;
pub use webhdfs::{HdfsSettings, HdfsStore};

/// Why bytes could not be read or written. The text says which url, what happened and what to do; it holds no credentials.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum StoreError {
    /// Nothing is there.
    #[error("{0}")]
    NotFound(String),
    /// It may not be read: outside the roots, a link that leads out, 401, 403.
    #[error("{0}")]
    Denied(String),
    /// It is larger than the limit.
    #[error("{0}")]
    TooBig(String),
    /// The url has no store in this program, or is malformed.
    #[error("{0}")]
    Unsupported(String),
    /// It cannot be reached, broke off or timed out; another try may help.
    #[error("{0}")]
    Unreachable(String),
    /// The local disk is full or fails.
    #[error("{0}")]
    Local(String),
}

/// On whose behalf bytes are read.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// The project.
    pub project: &'a ProjectId,
    /// The caller, when there is one at the moment (a download over the API); nothing while a job is staged.
    pub caller: Option<&'a Caller>,
    /// Credentials that were stored with the binary or source.
    pub credentials: Option<&'a Map<String, Value>>,
    /// Rights of a user in an outside Keystone's cloud, for a store that needs some and got no credentials.
    pub lent: Option<Lent<'a>>,
}

/// By what a store may act as a user of an outside Keystone.
#[derive(Clone, Copy, Debug)]
pub enum Lent<'a> {
    /// The caller's token, as long as the request lasts.
    Token(&'a Secret),
    /// What the user gave for the time after the token.
    Trust {
        /// The trust's id.
        id: &'a str,
        /// The project that it is for.
        project: &'a ProjectId,
    },
}

/// Bytes on their way, with their size where it is known beforehand.
pub struct Content {
    /// Size in bytes, if the store told it.
    pub size: Option<u64>,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// What was fetched into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// Size in bytes.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

/// One kind of store.
#[async_trait]
pub trait Store: Send + Sync {
    /// Schemes that it serves, without `://`.
    fn schemes(&self) -> &'static [&'static str];

    /// Opens the bytes behind a url.
    async fn open(&self, url: &url::Url, access: &Access<'_>) -> Result<Content, StoreError>;

    /// The file behind a url, or all files below it, hidden ones too. [`StoreError::NotFound`] when it is neither;
    /// [`StoreError::Unsupported`] where a store has no folders.
    async fn list(&self, url: &url::Url, _access: &Access<'_>) -> Result<Listing, StoreError> {
        Err(cannot(url, "list files"))
    }

    /// Writes a file; gives its size in bytes. It appears only when it is complete, in the place of one that was there; when
    /// the content breaks off or is not as long as it said, what was there stays.
    async fn put(&self, url: &url::Url, _content: Content, _access: &Access<'_>) -> Result<u64, StoreError> {
        Err(cannot(url, "write files"))
    }

    /// Removes a file; one that is not there is no error.
    async fn delete(&self, url: &url::Url, _access: &Access<'_>) -> Result<(), StoreError> {
        Err(cannot(url, "remove files"))
    }
}

fn cannot(url: &url::Url, what: &str) -> StoreError {
    StoreError::Unsupported(format!(
        "the store of {} urls cannot {what}: only file, hdfs, webhdfs, swebhdfs, manila, maprfs, s3, s3a, s3n, obs and swift can",
        url.scheme()
    ))
}

/// The bytes, with an error at their end when they were fewer or more than the size that was told.
fn exactly(content: Content) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let Some(told) = content.size else { return content.stream };
    let ended = content.stream.map(Some).chain(stream::once(async { None }));
    let checked = ended.scan(0u64, move |came, piece| {
        let out = match piece {
            Some(piece) => {
                let length = piece.as_ref().map_or(0, Bytes::len);
                *came = came.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                Some(piece)
            }
            None if *came != told => {
                let text =
                    format!("{came} bytes came where {told} were announced: it was changed meanwhile, or it broke off");
                Some(Err(StoreError::Unreachable(text)))
            }
            None => None,
        };
        async move { out }
    });
    checked.boxed()
}

/// The stores of this server by scheme.
#[derive(Clone, Default)]
pub struct Stores(BTreeMap<&'static str, Arc<dyn Store>>);

impl Stores {
    /// No store.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, store: Arc<dyn Store>) -> Self {
        for scheme in store.schemes() {
            self.0.insert(scheme, Arc::clone(&store));
        }
        self
    }

    /// The store of a scheme.
    pub fn get(&self, scheme: &str) -> Option<&Arc<dyn Store>> {
        self.0.get(scheme)
    }
}

/// Where local paths may lie; the program's only notion of "the files of this host" (decision 1).
pub trait Roots: Send + Sync {
    /// The canonical path behind `file:///p`, `/p` or `hdfs:///p`, if it lies below a root after following links.
    fn resolve(&self, path: &Path) -> Result<std::path::PathBuf, StoreError>;
}
