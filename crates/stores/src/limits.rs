//! Size limit and hash while bytes stream: nothing is taken into memory whole.

use std::{io, path::Path};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::{fs, io::AsyncWriteExt};

use crate::{Content, Fetched, StoreError, part};

/// Writes content into a new file. More than `limit` bytes: [`StoreError::TooBig`], and no file is left. A full disk is
/// [`StoreError::Local`]. A time limit is the caller's.
pub async fn fetch_into_file(content: Content, path: &Path, limit: u64) -> Result<Fetched, StoreError> {
    if let Some(size) = content.size.filter(|size| *size > limit) {
        return Err(too_big(size, limit));
    }
    // Under a name that no other file has: one of the job's may end in whatever was added to this one's.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = &path.with_file_name(part::name(&name, &part::unique()));
    match write(content, part, limit).await {
        Ok(fetched) => {
            fs::rename(part, path).await.map_err(|error| local(path, &error))?;
            Ok(fetched)
        }
        Err(error) => {
            // Whether or not it can be removed, the first error is the one to tell.
            let _ = fs::remove_file(part).await;
            Err(error)
        }
    }
}

async fn write(mut content: Content, path: &Path, limit: u64) -> Result<Fetched, StoreError> {
    let mut file = fs::File::create(path).await.map_err(|error| local(path, &error))?;
    let mut hash = Sha256::new();
    let mut size = 0u64;
    while let Some(piece) = content.stream.next().await {
        let piece = piece?;
        size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if size > limit {
            return Err(too_big(size, limit));
        }
        hash.update(&piece);
        file.write_all(&piece).await.map_err(|error| local(path, &error))?;
    }
    file.flush().await.map_err(|error| local(path, &error))?;
    Ok(Fetched { size, sha256: hex::encode(hash.finalize()) })
}

fn too_big(size: u64, limit: u64) -> StoreError {
    StoreError::TooBig(format!("it has {size} bytes or more, and [limits] staged_binary is {limit}"))
}

fn local(path: &Path, error: &io::Error) -> StoreError {
    let what = if error.kind() == io::ErrorKind::StorageFull { "the disk is full" } else { "cannot write" };
    StoreError::Local(format!("{what}: {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn content(text: &'static str) -> Content {
        Content { size: None, stream: stream::iter([Ok(text.into())]).boxed() }
    }

    /// The disk that is always full.
    #[tokio::test]
    async fn a_full_disk_is_said_to_be_full() {
        let error = write(content("x"), Path::new("/dev/full"), 10).await.expect_err("full");
        assert!(matches!(&error, StoreError::Local(text) if text.contains("the disk is full: /dev/full")), "{error:?}");
    }

    /// A file on its way takes no name that another file may have.
    #[tokio::test]
    async fn files_with_names_alike_do_not_meet() {
        let dir = tempfile::tempdir().expect("a folder");
        let (send, late) = futures::channel::oneshot::channel::<()>();
        let waits = stream::once(async move {
            let _ = late.await;
            Ok("one".into())
        });
        let one = dir.path().join("x");
        let slow = fetch_into_file(Content { size: None, stream: waits.boxed() }, &one, 10);
        let others = async {
            for name in ["x.part", "x.part.part"] {
                fetch_into_file(content("other"), &dir.path().join(name), 10).await.expect("written");
            }
            let _ = send.send(());
        };
        let (slow, ()) = futures::future::join(slow, others).await;
        slow.expect("written");
        let text = |name: &str| fs::read_to_string(dir.path().join(name));
        assert_eq!(text("x").await.expect("there"), "one");
        assert_eq!(text("x.part").await.expect("there"), "other");
    }
}
