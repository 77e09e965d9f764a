//! `internal-db://<id>`: bytes that were uploaded into the service, read from the database in pieces.

use async_trait::async_trait;
use bytes::Bytes;
use foggara_db::{Db, internal_binaries};
use foggara_domain::InternalBinaryId;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use url::Url;

use crate::{Access, Content, Store, StoreError};

/// The store.
pub struct InternalStore(Db);

impl InternalStore {
    /// Over the database.
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Store for InternalStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["internal-db"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        let id = InternalBinaryId::from(url.host_str().unwrap_or_default());
        let mut conn = self.0.read().await.map_err(unreachable_db)?;
        let binary = internal_binaries::get(&mut conn, access.project, &id).await.map_err(unreachable_db)?;
        drop(conn);
        let binary = binary.ok_or_else(|| {
            StoreError::NotFound(format!("internal binary {id} does not exist any more: upload it again"))
        })?;
        let pieces = stream::try_unfold((self.0.clone(), id, 0i64), |(db, id, number)| async move {
            // A connection per piece: a slow reader must not hold one.
            let mut conn = db.read().await.map_err(unreachable_db)?;
            let piece = internal_binaries::piece(&mut conn, &id, number).await.map_err(unreachable_db)?;
            drop(conn);
            Ok::<_, StoreError>(piece.map(|piece| (Bytes::from(piece), (db, id, number + 1))))
        });
        Ok(Content { size: Some(binary.size), stream: whole(pieces.boxed(), binary.size) })
    }
}

/// Deleted while it was read: the reader is told, it never sees a short file as a whole one.
fn whole(
    pieces: BoxStream<'static, Result<Bytes, StoreError>>,
    size: u64,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let ended = pieces.map(Some).chain(stream::once(async { None }));
    let counted = ended.scan(size, |left, piece| {
        let out = match piece {
            Some(piece) => {
                let length = piece.as_ref().map_or(0, Bytes::len);
                *left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
                Some(piece)
            }
            None if *left > 0 => {
                Some(Err(StoreError::NotFound("the internal binary was deleted while it was read".to_owned())))
            }
            None => None,
        };
        async move { out }
    });
    counted.boxed()
}

fn unreachable_db(error: foggara_domain::Error) -> StoreError {
    StoreError::Unreachable(format!("the database cannot be read at the moment: {error}"))
}
