//! Files of this host below configured roots (`[stores.file] roots`, decision 1). Links that lead out are refused.

mod blocks;
mod tree;
mod write;

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use async_trait::async_trait;
use futures::StreamExt;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use rustix::fs::OFlags;
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;
use url::Url;

use crate::{Access, Blocks, Content, Listing, Roots, Store, StoreError, Version, Writing, resume::Pieces};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// The roots. Each is made canonical when it is asked, so that one that appears later counts.
#[derive(Clone, Debug)]
pub struct LocalRoots {
    folders: Vec<PathBuf>,
    /// Whether they are a share's and not those of `[stores.file]`.
    is_mount: bool,
}

impl LocalRoots {
    /// From absolute paths.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { folders: roots, is_mount: false }
    }

    /// From the absolute paths of mounted shares.
    pub(crate) fn mounted(folders: Vec<PathBuf>) -> Self {
        Self { folders, is_mount: true }
    }

    fn denied(&self, path: &Path) -> StoreError {
        let roots: Vec<String> = self.folders.iter().map(|root| root.display().to_string()).collect();
        if self.is_mount {
            return StoreError::Denied(format!(
                "{} lies outside of the mounted share {}",
                path.display(),
                roots.join(", ")
            ));
        }
        StoreError::Denied(format!(
            "{} lies outside of the folders that jobs may use ({}); add it to [stores.file] roots",
            path.display(),
            roots.join(", ")
        ))
    }
}

impl Roots for LocalRoots {
    /// A path that does not exist yet (an output folder) is resolved by its nearest ancestor that does.
    fn resolve(&self, path: &Path) -> Result<PathBuf, StoreError> {
        if !path.is_absolute() {
            return Err(StoreError::Denied(format!("{} is not an absolute path", path.display())));
        }
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(StoreError::Denied(format!("{} has '..' in it", path.display())));
        }
        let mut existing = path.to_owned();
        let mut rest = Vec::new();
        let canonical = loop {
            match existing.canonicalize() {
                Ok(canonical) => break canonical,
                Err(error) if error.kind() == io::ErrorKind::NotFound && existing.symlink_metadata().is_err() => {
                    let (Some(name), Some(parent)) = (existing.file_name(), existing.parent()) else {
                        return Err(self.denied(path));
                    };
                    rest.push(name.to_owned());
                    existing = parent.to_owned();
                }
                Err(error) => return Err(StoreError::NotFound(format!("{}: {error}", path.display()))),
            }
        };
        let is_root = |root: &PathBuf| root.canonicalize().is_ok_and(|root| canonical.starts_with(root));
        if !self.folders.iter().any(is_root) {
            return Err(self.denied(path));
        }
        Ok(rest.into_iter().rev().fold(canonical, |path, name| path.join(name)))
    }
}

/// The bytes of a file of this host, whatever the roots: for callers that know it to be theirs.
pub async fn file_content(path: &Path) -> Result<Content, StoreError> {
    let (file, metadata) = opened(path).await?;
    Ok(Content { size: Some(metadata.len()), stream: pieces(path, file) })
}

async fn opened(path: &Path) -> Result<(File, Metadata), StoreError> {
    let file = open(path).await.map_err(|error| failed(path, &error))?;
    let metadata = file.metadata().await.map_err(|error| failed(path, &error))?;
    if !metadata.is_file() {
        return Err(StoreError::NotFound(format!("{} is not a file", path.display())));
    }
    Ok((file, metadata))
}

fn pieces(path: &Path, bytes: impl AsyncRead + Send + 'static) -> Pieces {
    let path = path.to_owned();
    ReaderStream::with_capacity(bytes, PIECE).map(move |piece| piece.map_err(|error| failed(&path, &error))).boxed()
}

/// Times of the last change to content and to the file itself (nobody sets that one back), and its number.
fn version(metadata: &Metadata) -> Version {
    let mark = format!(
        "{}.{} {}.{} {} {}",
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.ino(),
        metadata.dev()
    );
    Version { size: metadata.len(), mark }
}

/// The store of `file` urls and of `hdfs` urls without a host.
pub struct LocalStore<R>(R);

impl<R: Roots> LocalStore<R> {
    /// Over roots.
    pub fn new(roots: R) -> Self {
        Self(roots)
    }
}

#[async_trait]
impl<R: Roots + Clone + 'static> Store for LocalStore<R> {
    fn schemes(&self) -> &'static [&'static str] {
        &["file", "hdfs"]
    }

    async fn open(&self, url: &Url, _access: &Access<'_>) -> Result<Content, StoreError> {
        file_content(&self.path(url)?).await
    }

    async fn list(&self, url: &Url, _access: &Access<'_>) -> Result<Listing, StoreError> {
        let (path, roots) = (self.path(url)?, self.0.clone());
        let walked = tokio::task::spawn_blocking(move || tree::list(&path, &roots)).await;
        walked.map_err(|error| StoreError::Local(format!("the listing ended: {error}")))?
    }

    async fn put(&self, url: &Url, content: Content, _access: &Access<'_>) -> Result<u64, StoreError> {
        write::put(&self.path(url)?, content).await
    }

    async fn delete(&self, url: &Url, _access: &Access<'_>) -> Result<(), StoreError> {
        let path = self.path(url)?;
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, &error)),
            _ => Ok(()),
        }
    }

    async fn make_folder(&self, url: &Url, _access: &Access<'_>) -> Result<(), StoreError> {
        let path = self.path(url)?;
        tokio::fs::create_dir_all(&path).await.map_err(|error| write::unwritable(&path, &error))
    }

    fn computes_md5(&self, _url: &Url) -> bool {
        true
    }

    async fn md5(&self, url: &Url, access: &Access<'_>) -> Result<Option<String>, StoreError> {
        let mut stream = self.open(url, access).await?.stream;
        let mut hash = Md5::new();
        while let Some(piece) = stream.next().await {
            hash.update(piece?);
        }
        Ok(Some(hex::encode(hash.finalize())))
    }

    async fn version(&self, url: &Url, _access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        Ok(Some(version(&opened(&self.path(url)?).await?.1)))
    }

    async fn open_part(
        &self,
        url: &Url,
        wanted: &Version,
        (from, length): (u64, u64),
        _access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        let path = self.path(url)?;
        let (mut file, metadata) = opened(&path).await?;
        if version(&metadata) != *wanted {
            return Err(StoreError::Unreachable(format!(
                "{} was changed while it was read: try again",
                path.display()
            )));
        }
        file.seek(io::SeekFrom::Start(from)).await.map_err(|error| failed(&path, &error))?;
        Ok(Content { size: Some(length), stream: pieces(&path, file.take(length)) })
    }

    async fn write_blocks(
        &self,
        url: &Url,
        blocks: &Blocks,
        _access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        let begun = blocks::begin(self.path(url)?, blocks.clone()).await?;
        Ok(begun.map(|begun| Box::new(begun) as Box<dyn Writing>))
    }

    async fn remove_part(&self, url: &Url, _access: &Access<'_>) -> Result<(), StoreError> {
        blocks::remove_part(self.path(url)?).await
    }
}

impl<R: Roots> LocalStore<R> {
    /// The path behind a url, below a root.
    fn path(&self, url: &Url) -> Result<PathBuf, StoreError> {
        if url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(StoreError::Unsupported(format!(
                "the {} url names a host: this server reads only its own files (file:///path, hdfs:///path)",
                url.scheme()
            )));
        }
        let decoded = percent_decode_str(url.path()).decode_utf8();
        let decoded = decoded.map_err(|_| StoreError::Unsupported(format!("{} is not UTF-8", url.path())))?;
        if decoded.contains('\0') {
            return Err(StoreError::Unsupported("the path holds a zero byte".to_owned()));
        }
        self.0.resolve(Path::new(decoded.as_ref()))
    }
}

/// Opens a resolved path. The open of a pipe must not wait for its writer, and a link that took the file's place after it was
/// resolved is not followed.
async fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).await
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound(format!("{} does not exist", path.display())),
        io::ErrorKind::PermissionDenied => StoreError::Denied(format!("{} may not be read", path.display())),
        _ => StoreError::Local(format!("{}: {error}", path.display())),
    }
}
