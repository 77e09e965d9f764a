//! Internal binaries: bytes kept in the database, streamed in and out in pieces (sahara-v1.1.md section 6).

use std::io;

use bytes::{Bytes, BytesMut};
use foggara_db::internal_binaries::{self, PIECE};
use foggara_domain::{
    Caller, Code, Error, InternalBinaryId, Result,
    binary::{InternalBinary, check_internal_name},
    flag::Flag,
    page::{ListQuery, Page},
};
use foggara_stores::{Access, Content};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::ownership::{Protection, may_delete, may_update};
use crate::App;

const CLASS: &str = "JobBinaryInternal";

/// Changes of an internal binary: what is nothing stays.
#[derive(Clone, Debug, Default)]
pub struct InternalBinaryChange {
    /// New name.
    pub name: Option<String>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
}

/// The refusal of too many bytes, in the original's words.
pub(super) fn too_big(size: u64, limit: u64) -> Error {
    #[allow(clippy::cast_precision_loss, reason = "one decimal of kilobytes for a person")]
    let kilobytes = size as f64 / 1024.0;
    let text = format!("Size of internal binary ({kilobytes:.1}KB) is greater than the maximum ({}KB)", limit / 1024);
    Error::refused(Code::DataTooBig, text)
}

/// Stores an upload under a name. `size` is what the request announced, if it did; more than the limit is refused before or
/// while the bytes come. Nothing of a refused or broken upload is ever visible.
pub async fn upload(
    app: &App,
    caller: &Caller,
    name: &str,
    size: Option<u64>,
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
) -> Result<InternalBinary> {
    check_internal_name(name)?;
    let limit = app.settings().internal_binary;
    if let Some(size) = size.filter(|size| *size > limit) {
        return Err(too_big(size, limit));
    }
    let binary = InternalBinary {
        id: InternalBinaryId::new(),
        project: caller.project.clone(),
        name: name.to_owned(),
        size: 0,
        sha256: String::new(),
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: app.now(),
        updated_at: None,
    };
    if internal_binaries::name_taken(&mut app.db().read().await?, &caller.project, name).await? {
        return Err(Error::refused(
            Code::DbDuplicateEntry,
            "Duplicate entry for JobBinaryInternal: ['name', 'tenant_id']",
        ));
    }
    let begun = binary.clone();
    app.db()
        .write_part(move |conn| {
            let binary = begun.clone();
            Box::pin(async move { internal_binaries::begin(conn, &binary).await })
        })
        .await?;
    match receive(app, &binary, limit, bytes).await {
        Ok(done) => Ok(done),
        Err(error) => {
            discard(app, &binary.id).await;
            Err(error)
        }
    }
}

async fn receive(
    app: &App,
    binary: &InternalBinary,
    limit: u64,
    mut bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
) -> Result<InternalBinary> {
    let mut hash = Sha256::new();
    let (mut size, mut number) = (0u64, 0i64);
    let mut waiting = BytesMut::new();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| {
            Error::refused(Code::BadJobBinary, format!("the upload broke off after {size} bytes: {error}"))
        })?;
        size += u64::try_from(piece.len()).unwrap_or(0);
        if size > limit {
            return Err(too_big(size, limit));
        }
        hash.update(&piece);
        waiting.extend_from_slice(&piece);
        while waiting.len() >= PIECE {
            put(app, &binary.id, number, waiting.split_to(PIECE)).await?;
            number += 1;
        }
    }
    if size == 0 {
        let text = "Job binary internal data must be a string of length greater than zero";
        return Err(Error::refused(Code::BadJobBinary, text));
    }
    if !waiting.is_empty() {
        put(app, &binary.id, number, waiting).await?;
    }
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let done = InternalBinary { size, sha256, ..binary.clone() };
    let stored = done.clone();
    foggara_db::once::makes(&done.id);
    app.db()
        .write(move |conn| {
            let done = stored.clone();
            Box::pin(async move { internal_binaries::finish(conn, &done.id, done.size, &done.sha256).await })
        })
        .await?;
    Ok(done)
}

async fn put(app: &App, id: &InternalBinaryId, number: i64, bytes: BytesMut) -> Result<()> {
    let (id, bytes) = (id.clone(), bytes.to_vec());
    app.db()
        .write_part(move |conn| {
            let (id, bytes) = (id.clone(), bytes.clone());
            Box::pin(async move { internal_binaries::put_piece(conn, &id, number, bytes).await })
        })
        .await
}

/// Removes what came of a refused upload; what a crash leaves is swept.
async fn discard(app: &App, id: &InternalBinaryId) {
    let key = id.clone();
    let done = app.db().write_part(move |conn| {
        let id = key.clone();
        Box::pin(async move { internal_binaries::delete(conn, &id).await })
    });
    if let Err(error) = done.await {
        tracing::warn!("the pieces of upload {id} are left to the sweep: {error}");
    }
}

/// A visible internal binary.
pub async fn get(app: &App, caller: &Caller, id: &InternalBinaryId) -> Result<InternalBinary> {
    let binary = internal_binaries::get(&mut app.db().read().await?, &caller.project, id).await?;
    binary.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<InternalBinary>> {
    internal_binaries::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Changes name or flags.
pub async fn update(
    app: &App,
    caller: &Caller,
    id: &InternalBinaryId,
    change: InternalBinaryChange,
) -> Result<InternalBinary> {
    let (caller, id, now) = (caller.clone(), id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (caller, id, change) = (caller.clone(), id.clone(), change.clone());
            Box::pin(async move {
                let before =
                    internal_binaries::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                let mut binary = InternalBinary {
                    name: change.name.unwrap_or_else(|| before.name.clone()),
                    is_public: change.is_public.unwrap_or(before.is_public),
                    is_protected: change.is_protected.unwrap_or(before.is_protected),
                    ..before.clone()
                };
                let protection = Protection {
                    is_protected: before.is_protected.is_on(),
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some() && binary.name == before.name,
                };
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                if binary == before {
                    return Ok(binary);
                }
                binary.updated_at = Some(now);
                internal_binaries::update(conn, &binary).await?;
                Ok(binary)
            })
        })
        .await
}

/// Deletes an internal binary; job binaries that point at it stay.
pub async fn delete(app: &App, caller: &Caller, id: &InternalBinaryId) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db()
        .write(move |conn| {
            let (caller, id) = (caller.clone(), id.clone());
            Box::pin(async move {
                let binary =
                    internal_binaries::get(conn, &caller.project, &id).await?.ok_or_else(|| Error::no_such_id(&id))?;
                may_delete(CLASS, &binary.project, &caller, binary.is_protected.is_on(), id.as_str())?;
                internal_binaries::delete(conn, &id).await
            })
        })
        .await
}

/// Its bytes.
pub async fn data(app: &App, caller: &Caller, id: &InternalBinaryId) -> Result<Content> {
    let binary = get(app, caller, id).await?;
    let limit = app.settings().internal_binary;
    if binary.size > limit {
        return Err(too_big(binary.size, limit));
    }
    let access = Access { project: &caller.project, caller: Some(caller), credentials: None, lent: None };
    let content = super::job_binaries::open(app, &format!("internal-db://{id}"), &access).await;
    content.map_err(|error| Error::refused(Code::StoreError, error.to_string()))
}
