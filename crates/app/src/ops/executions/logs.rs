//! A job's log, without the secrets that the job was given and may have printed.

use foggara_domain::{Caller, Error, ExecutionId, Result, Tag, redact::Secrets};
use foggara_engines::{Engine, EngineError, LogPiece, Stream};

use super::{engine_of, get};
use crate::App;

/// A piece of a job's log. Empty while nothing was written; the log of an ended execution stays until it is deleted.
pub async fn logs(
    app: &App,
    caller: &Caller,
    id: &ExecutionId,
    stream: Stream,
    offset: u64,
    limit: usize,
) -> Result<LogPiece> {
    let row = get(app, caller, id).await?;
    let nothing = LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 };
    let Some(tag) = &row.tag else { return Ok(nothing) };
    let engine = engine_of(app, &row).await?;
    let engine = engine.as_deref().unwrap_or_else(|| app.plugins().nodes());
    let reading = Reading { engine, tag, stream, secrets: Secrets::of(&row.secret_configs) };
    reading.piece(offset, limit).await.map_err(|error| Error::unavailable(format!("log of {id}: {error}")))
}

struct Reading<'a> {
    engine: &'a dyn Engine,
    tag: &'a Tag,
    stream: Stream,
    secrets: Secrets,
}

impl Reading<'_> {
    /// The piece with its secrets hidden, also those that reach into it from its neighbours. Of a secret that the job has written
    /// only in part so far the beginning can be seen.
    async fn piece(&self, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let mut piece = self.read(offset, limit).await?;
        let reach = self.secrets.reach();
        if reach == 0 || piece.bytes.is_empty() || !is_whole(&piece, offset) {
            return Ok(piece);
        }
        let from = offset.saturating_sub(wide(reach));
        let mut before = Vec::new();
        if from < offset {
            let found = self.read(from, usize::try_from(offset - from).unwrap_or(reach)).await?;
            if is_whole(&found, from) && found.next_offset == offset {
                before = found.bytes;
            }
        }
        let after = self.read(piece.next_offset, reach).await?;
        let after = if is_whole(&after, piece.next_offset) { after.bytes } else { Vec::new() };
        let (begin, end) = (before.len(), before.len() + piece.bytes.len());
        let mut all = [before, piece.bytes, after].concat();
        self.secrets.hide(&mut all);
        piece.bytes = all[begin..end].to_vec();
        Ok(piece)
    }

    async fn read(&self, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        self.engine.logs(self.tag, self.stream, offset, limit).await
    }
}

/// Whether the bytes are the log's own; in the place of a cut-out middle a line of ours stands.
fn is_whole(piece: &LogPiece, offset: u64) -> bool {
    piece.next_offset == offset.saturating_add(wide(piece.bytes.len()))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
