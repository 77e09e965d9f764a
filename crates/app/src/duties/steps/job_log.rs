//! `job_log` of MRS's submit-job: the folder into which the logs of an ended job are copied, through the stores (decision 30;
//! mrs-v1.1.md section 3).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use foggara_domain::Execution;
use foggara_engines::Stream;
use foggara_stores::{Access, Content, StoreError, put_while_moving};
use futures::stream::{self, StreamExt};
use serde_json::Value;

use super::{
    publish::{Unpublished, unless_stopped},
    trust,
};
use crate::{
    duties::cluster::Room,
    ops::{executions::LogReader, job_binaries::store_of},
};

/// How long a store may take no byte: an execution that has ended is not to wait for one that does not answer.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// Copies stdout and stderr to `{job_log}/{id of the execution}/`, with secrets hidden, if the job asked for it. It may be repeated.
/// The error is a reason for which the execution ends as FAILED.
pub(super) async fn publish(room: &Room, row: &Execution) -> Result<(), Unpublished> {
    let asked = row.direct.as_ref().and_then(|direct| direct.shown.get("job_log")).and_then(Value::as_str);
    let Some(folder) = asked.filter(|path| !path.is_empty()) else { return Ok(()) };
    // Nobody reads the logs of a deleted execution, and an engine that runs nothing has none.
    if row.deleted_at.is_some() || !room.engine.stages() {
        return Ok(());
    }
    let copies = async {
        let trust = trust::of(&room.app, row).await?;
        for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
            let Some(log) = LogReader::of(Arc::clone(&room.engine), row, stream) else { return Ok(()) };
            let url = format!("{}/{}/{name}", folder.trim_end_matches('/'), row.id);
            let access = Access {
                project: &row.project,
                caller: None,
                credentials: None,
                lent: trust::lent(trust.as_deref(), row),
            };
            let (store, url) = store_of(room.app.stores(), &url).map_err(|error| error.to_string())?;
            let put = put_while_moving(store.as_ref(), &url, whole(log), &access, SILENCE);
            put.await.map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let failed = |error: String| format!("the logs could not be copied to job_log '{folder}': {error}");
    unless_stopped(room, row, async { copies.await.map_err(failed) }).await
}

/// All of a log, read piece by piece as the store takes it.
fn whole(log: LogReader) -> Content {
    let pieces = stream::try_unfold((log, 0), |(log, offset)| async move {
        let piece = log.piece(offset, PIECE).await.map_err(|error| StoreError::Unreachable(error.to_string()))?;
        Ok((!piece.bytes.is_empty()).then(|| (Bytes::from(piece.bytes), (log, piece.next_offset))))
    });
    Content { size: None, stream: pieces.boxed() }
}
