//! Bytes by URL: job binaries and data sources, wherever they are.

mod blocks;
mod checksum;
mod http;
mod internal;
mod limits;
mod listing;
mod local;
mod mounts;
mod part;
mod reach;
mod resume;
mod s3;
mod swift;
mod webhdfs;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
pub use blocks::{Blocks, Version, Writing};
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
pub use part::{part_of, part_prefix, prefix_of_part};
pub use reach::Reach;
pub use resume::put_while_moving;
pub use s3::{S3Settings, S3Store};
use serde_json::{Map, Value};
pub use swift::{SwiftSettings, SwiftStore, Ticket};
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
    /// What the server gave to a process of its own: a file that [`Ticket::write`] has written.
    Ticket(&'a Path),
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
    /// the content breaks off or is not as long as it said, what was there stays. Whoever drops the future gives the writing up: what
    /// was begun is removed then.
    async fn put(&self, url: &url::Url, _content: Content, _access: &Access<'_>) -> Result<u64, StoreError> {
        Err(cannot(url, "write files"))
    }

    /// Removes a file; one that is not there is no error.
    async fn delete(&self, url: &url::Url, _access: &Access<'_>) -> Result<(), StoreError> {
        Err(cannot(url, "remove files"))
    }

    /// Makes a folder and those above it; nothing where a store has none.
    async fn make_folder(&self, _url: &url::Url, _access: &Access<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether [`Store::md5`] computes something for a url: where that takes no more than reading a file of this host.
    fn computes_md5(&self, _url: &url::Url) -> bool {
        false
    }

    /// The MD5 of a file in lower-case hexadecimal; nothing where it would have to be fetched for it. What a listing tells itself is in [`FileEntry::md5`].
    async fn md5(&self, _url: &url::Url, _access: &Access<'_>) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// The file as it is now; nothing where the store cannot tell its versions apart.
    async fn version(&self, _url: &url::Url, _access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        Ok(None)
    }

    /// Opens so many bytes from an offset on, of that version: a file that was changed since is an error. Asked only where
    /// [`Store::version`] tells one.
    async fn open_part(
        &self,
        url: &url::Url,
        _version: &Version,
        _place: (u64, u64),
        _access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        Err(cannot(url, "read a part of a file"))
    }

    /// Begins to write a file in blocks, or goes on where a process was killed that wrote the same version. Nothing where the store
    /// cannot do that, or where another process is at it.
    async fn write_blocks(
        &self,
        _url: &url::Url,
        _blocks: &Blocks,
        _access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        Ok(None)
    }

    /// What a process of ours needs to do in this store what `access` may, for a while and without a log-in of its own; nothing where
    /// there is no such thing.
    async fn ticket(&self, _access: &Access<'_>) -> Result<Option<Ticket>, StoreError> {
        Ok(None)
    }

    /// Removes what a killed process has left of a file that was not complete: what a listing shows under a name that
    /// [`part_of`] knows, with all that it stands for. What another process is writing stays where the store can tell.
    async fn remove_part(&self, url: &url::Url, access: &Access<'_>) -> Result<(), StoreError> {
        self.delete(url, access).await
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
