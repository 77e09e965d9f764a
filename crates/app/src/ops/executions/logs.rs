//! A job's log, without the secrets that the job was given and may have printed.

use std::sync::Arc;

use foggara_domain::{Caller, Error, Execution, ExecutionId, Result, Tag, redact::Secrets};
use foggara_engines::{Engine, EngineError, JobRef, LogPiece, Stream};

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
    let engine = engine_of(app, &row).await?;
    let engine = engine.unwrap_or_else(|| Arc::clone(app.plugins().nodes()));
    let Some(reader) = LogReader::of(engine, &row, stream) else { return Ok(nothing) };
    reader.piece(offset, limit).await.map_err(|error| Error::unavailable(format!("log of {id}: {error}")))
}

/// Reads one log of an execution.
pub(crate) struct LogReader {
    engine: Arc<dyn Engine>,
    tag: Tag,
    reference: Option<String>,
    stream: Stream,
    secrets: Secrets,
}

impl LogReader {
    /// Nothing while there was no attempt.
    pub(crate) fn of(engine: Arc<dyn Engine>, row: &Execution, stream: Stream) -> Option<Self> {
        let tag = row.tag.clone()?;
        let reference = row.engine_ref.clone();
        Some(Self { engine, tag, reference, stream, secrets: Secrets::of(&row.secret_configs) })
    }

    /// The piece with its secrets hidden, also those that reach into it from its neighbours. Of a secret that the job has written
    /// only in part so far the beginning can be seen.
    pub(crate) async fn piece(&self, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
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
        let job = JobRef { tag: &self.tag, reference: self.reference.as_deref(), sent_at: None };
        self.engine.logs(job, self.stream, offset, limit).await
    }
}

/// Whether the bytes are the log's own; in the place of a cut-out middle a line of ours stands.
fn is_whole(piece: &LogPiece, offset: u64) -> bool {
    piece.next_offset == offset.saturating_add(wide(piece.bytes.len()))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
