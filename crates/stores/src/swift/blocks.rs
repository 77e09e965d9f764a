//! A file that is written as segments, and may be gone on with after a kill.
//!
//! Segments lie in `CONTAINER_segments/OBJECT/VERSION/NUMBER`, where Swift lists them with their MD5. A small object beside the one
//! that is to be names their folder; it is written before the first segment, so that whoever comes later finds them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Method, StatusCode};

use super::{
    client::{Ask, Dialog},
    list::{self, Entry},
    slo::{self, Segment},
    target::Target,
    write::{Feed, Piece, manifest, one, prepare},
};
use crate::{Blocks, Content, StoreError, Writing, exactly, part, part_prefix};

/// Bytes of a note.
const NOTE: u64 = 8 << 10;
/// After this time a note is taken for that of a killed process, where nobody can know.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// What was begun: a note, and the folder of its segments.
#[derive(Clone)]
pub(super) struct Begun {
    dialog: Dialog,
    /// The object that is the note.
    note: String,
    /// Where the segments lie.
    container: String,
    folder: String,
}

impl Begun {
    /// Writes the note.
    pub async fn of(dialog: &Dialog, version: &str) -> Result<Self, StoreError> {
        let Target { container, object } = &dialog.target;
        let segments = slo::container_of(container);
        prepare(dialog, &segments).await?;
        let (note, folder) = (part::beside(object, version), format!("{object}/{version}"));
        let answer = dialog.send(Ask::new(Method::PUT, container, &note), &Bytes::from(folder.clone())).await?;
        if !answer.status().is_success() {
            return Err(dialog.unexpected(&answer, "a note of what is being written"));
        }
        Ok(Self { dialog: dialog.clone(), note, container: segments, folder })
    }

    /// Container and name of a segment.
    pub fn segment(&self, number: u64) -> (&str, String) {
        (&self.container, format!("{}/{number:08}", self.folder))
    }

    async fn found(&self) -> Result<Vec<Entry>, StoreError> {
        list::below(&self.dialog, &self.container, &format!("{}/", self.folder)).await
    }

    /// The segments are those of an object now.
    pub async fn done(&self) {
        if let Err(error) = self.forget().await {
            // It stands for nothing any more, and the next copy removes it.
            tracing::warn!("a note of what was written is left: {error}");
        }
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let answer = self.dialog.ask(Ask::new(Method::DELETE, &self.dialog.target.container, &self.note)).await?;
        slo::check_removed(&self.dialog, &answer)
    }

    /// Removes segments and note, in this order; not those that the object is made of.
    pub async fn give_up(&self) -> Result<(), StoreError> {
        let used = slo::segments(&self.dialog).await?;
        let prefix = format!("{}/", self.folder);
        if !used.iter().any(|segment| segment.is_below(&self.container, &prefix)) {
            let left = self.found().await?;
            let left: Vec<Segment> = left.iter().map(|entry| Segment::of(&self.container, &entry.name)).collect();
            slo::remove(&self.dialog, &left).await?;
        }
        self.forget().await
    }
}

/// Removes what a note stands for, which is the object of the dialog.
pub(super) async fn remove_part(dialog: &Dialog) -> Result<(), StoreError> {
    let answer = dialog.ask(dialog.about(Method::GET)).await?;
    match answer.status() {
        StatusCode::NOT_FOUND => return Ok(()),
        status if status.is_success() => {}
        _ => return Err(dialog.unexpected(&answer, "a question about a note")),
    }
    let Target { container, object: note } = &dialog.target;
    let is_short = answer.content_length().is_some_and(|length| length <= NOTE);
    let text = if is_short { answer.text().await.unwrap_or_default() } else { String::new() };
    let mut begun = Begun {
        dialog: dialog.clone(),
        note: note.clone(),
        container: slo::container_of(container),
        folder: text.trim().to_owned(),
    };
    // Anybody who may write there can have written it: it counts only where it says of itself what its name says.
    match begun.folder.rsplit_once('/') {
        Some((object, version)) if part::beside(object, version) == *note => {
            begun.dialog.target.object = object.to_owned();
            begun.give_up().await
        }
        _ => begun.forget().await,
    }
}

/// Removes what killed processes have left of the object of a dialog long ago.
pub(super) async fn remove_old(dialog: &Dialog) -> Result<(), StoreError> {
    let Target { container, object } = &dialog.target;
    let (folder, name) = object.rsplit_once('/').map_or(("", object.as_str()), |(folder, name)| (folder, name));
    let prefix = if folder.is_empty() { part_prefix(name) } else { format!("{folder}/{}", part_prefix(name)) };
    for entry in list::below(dialog, container, &prefix).await? {
        let age = entry.modified().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > OLD) && part::part_of(&entry.name) == Some(entry.name.as_str()) {
            let mut of_note = dialog.clone();
            of_note.target.object = entry.name;
            remove_part(&of_note).await?;
        }
    }
    Ok(())
}

/// The writing.
pub(super) struct InBlocks {
    begun: Begun,
    blocks: Blocks,
    written: BTreeMap<u64, String>,
    hashes: Lock<BTreeMap<u64, String>>,
}

/// Begins, or finds the segments that are there.
pub(super) async fn begin(dialog: &Dialog, blocks: Blocks) -> Result<InBlocks, StoreError> {
    let begun = Begun::of(dialog, &blocks.version).await?;
    let mut written = BTreeMap::new();
    for entry in begun.found().await? {
        let number = entry.name.rsplit('/').next().and_then(|name| name.parse::<u64>().ok());
        // One of another size is not one of these blocks.
        if let Some(number) = number.filter(|number| *number < blocks.count() && blocks.place(*number).1 == entry.bytes)
        {
            written.insert(number, entry.hash.to_ascii_lowercase());
        }
    }
    Ok(InBlocks { begun, blocks, hashes: Lock::new(written.clone()), written })
}

#[async_trait]
impl Writing for InBlocks {
    fn written(&self) -> &BTreeMap<u64, String> {
        &self.written
    }

    async fn write(&self, number: u64, content: Content) -> Result<String, StoreError> {
        let (_, length) = self.blocks.place(number);
        let pieces = exactly(Content { size: Some(length), stream: content.stream });
        let feed = Arc::new(Feed::of(pieces));
        let (container, object) = self.begun.segment(number);
        let (_, md5) = one(&self.begun.dialog, &feed, u64::MAX, (container, &object), None).await?;
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(number, md5.clone());
        Ok(md5)
    }

    async fn finish(&self) -> Result<(), StoreError> {
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pieces = hashes.into_iter().map(|(number, hash)| {
            let (container, object) = self.begun.segment(number);
            Piece { path: format!("/{container}/{object}"), hash, size: self.blocks.place(number).1 }
        });
        let dialog = &self.begun.dialog;
        let (own, prefix) = (&self.begun.container, format!("{}/", self.begun.folder));
        let mut old = slo::segments(dialog).await?;
        old.retain(|segment| !segment.is_below(own, &prefix));
        manifest(dialog, pieces.collect()).await?;
        self.begun.done().await;
        if let Err(error) = slo::remove(dialog, &old).await {
            tracing::warn!("segments that nothing needs any more are left: {error}");
        }
        Ok(())
    }

    async fn give_up(&self) -> Result<(), StoreError> {
        self.begun.give_up().await
    }
}
