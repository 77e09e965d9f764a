//! One file on its way: whole, or, when it is large and both stores can, in blocks. Then several are copied at once, and those that
//! a killed copy has left are not copied again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use foggara_domain::plan::CopyOptions;
use foggara_stores::{Blocks, Content, Store, StoreError, Version, Writing};
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use sha2::Sha256;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::{Fault, Places, layout::Item, shown, work::Counters};

/// Blocks of one file that are on their way at once, if as many streams are free.
const AT_ONCE: usize = 4;
/// Tries of a block after the first, with a pause before each.
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// What the files of a copy share.
pub(super) struct Copying<'a> {
    pub places: &'a Places,
    pub options: CopyOptions,
    pub counters: &'a Counters,
    /// As many as may be read and written at once.
    pub streams: Semaphore,
    /// The job is to stop: what is unfinished is removed.
    pub stop: &'a CancellationToken,
    /// Another file failed, or the job is to stop. What a later copy can go on with stays.
    pub give_up: CancellationToken,
}

impl Copying<'_> {
    /// Copies a file, and reads it back: what is at the destination has the checksum of what was read at the source.
    pub async fn copy(&self, item: &Item) -> Result<(), Fault> {
        if self.give_up.is_cancelled() {
            return Err("stopped".to_owned());
        }
        let in_blocks = if item.size > self.places.block { self.in_blocks(item).await? } else { None };
        let size = match in_blocks {
            Some(size) => size,
            None => self.whole(item).await?,
        };
        self.counters.bytes.fetch_add(size, Ordering::Relaxed);
        self.counters.copied.fetch_add(1, Ordering::Relaxed);
        // What killed copies have left of it is of no use any more; the one that was gone on with is gone already.
        self.places.remove_parts(&item.parts).await;
        Ok(())
    }

    async fn stream(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.streams.acquire().await.map_err(|error| error.to_string())
    }

    /// A stop ends the content with an error: a store that was not told its size must not take it for whole.
    fn counted(&self, content: Content) -> Content {
        let moved = Arc::clone(&self.counters.moved);
        let stop = self.give_up.clone();
        let end = stream::once(async move { stop.is_cancelled() })
            .filter_map(|stopped| async move { stopped.then(|| Err(StoreError::Unreachable("stopped".to_owned()))) });
        let stream =
            content.stream.take_until(self.give_up.clone().cancelled_owned()).chain(end).inspect(move |piece| {
                let Ok(piece) = piece else { return };
                moved.fetch_add(u64::try_from(piece.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            });
        Content { size: content.size, stream: stream.boxed() }
    }

    async fn whole(&self, item: &Item) -> Result<u64, Fault> {
        let failed = |error: StoreError| failed(item, &error);
        let _stream = self.stream().await?;
        let access = self.places.access();
        let content = self.places.store(&item.from)?.open(&item.from, &access).await.map_err(failed)?;
        let read = Arc::new(Mutex::new(Sha256::new()));
        let hash = Arc::clone(&read);
        let Content { size, stream } = self.counted(content);
        let stream = stream.inspect(move |piece| {
            if let Ok(piece) = piece {
                hash.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
            }
        });
        let store = self.places.store(&item.to)?;
        let size = store.put(&item.to, Content { size, stream: stream.boxed() }, &access).await.map_err(failed)?;
        if !self.options.skip_check {
            let sum = read.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize();
            let back = store.open(&item.to, &access).await.map_err(failed)?;
            if hash_of(Sha256::new(), back).await.map_err(failed)? != hex::encode(sum) {
                return Err(self.damaged(item).await);
            }
        }
        Ok(size)
    }

    /// What came otherwise than it was sent is removed, so that no later copy takes it for a good one.
    async fn damaged(&self, item: &Item) -> Fault {
        let text = format!(
            "{} has another checksum than what was read of {}: it was changed meanwhile, or the store lost something",
            shown(&item.to),
            shown(&item.from)
        );
        let Ok(store) = self.places.store(&item.to) else { return text };
        match store.delete(&item.to, &self.places.access()).await {
            Ok(()) => text,
            Err(error) => format!("{text}; it cannot be removed: {error}"),
        }
    }

    /// Copies in blocks; nothing where one of the stores cannot, or where somebody else is writing the same.
    async fn in_blocks(&self, item: &Item) -> Result<Option<u64>, Fault> {
        let failed = |error: StoreError| failed(item, &error);
        let (from, to) = (self.places.store(&item.from)?, self.places.store(&item.to)?);
        let access = self.places.access();
        let Some(version) = from.version(&item.from, &access).await.map_err(failed)? else { return Ok(None) };
        let Some(blocks) = Blocks::of(item.from.as_str(), &version, self.places.block) else { return Ok(None) };
        let writing = to.write_blocks(&item.to, &blocks, &access).await.map_err(failed)?;
        let Some(writing) = writing else { return Ok(None) };
        let file = InBlocks { copying: self, item, from, version, blocks, writing };
        let copied = file.copy().await;
        if copied.is_err() && self.stop.is_cancelled() {
            // Best effort, as the process has little time left: the next copy to this place finds what is left.
            let _ = file.writing.give_up().await;
        }
        copied.map(Some)
    }
}

fn failed(item: &Item, error: &StoreError) -> Fault {
    format!("cannot copy {} to {}: {error}", shown(&item.from), shown(&item.to))
}

/// The hash of content in lower-case hexadecimal.
async fn hash_of<D: Digest>(mut hash: D, mut content: Content) -> Result<String, StoreError> {
    while let Some(piece) = content.stream.next().await {
        hash.update(piece?);
    }
    Ok(hex::encode(hash.finalize()))
}

/// A file in blocks.
struct InBlocks<'a> {
    copying: &'a Copying<'a>,
    item: &'a Item,
    from: &'a Arc<dyn Store>,
    version: Version,
    blocks: Blocks,
    writing: Box<dyn Writing>,
}

impl InBlocks<'_> {
    async fn copy(&self) -> Result<u64, Fault> {
        let there = self.writing.written();
        let size_of = |number: &u64| self.blocks.place(*number).1;
        if !there.is_empty() {
            let bytes: u64 = there.keys().map(size_of).sum();
            self.copying.counters.moved.fetch_add(bytes, Ordering::Relaxed);
            let (many, all) = (there.len(), self.blocks.count());
            super::work::tell(&format!("goes on with {}: {many} of {all} blocks are there", shown(&self.item.to)))?;
        }
        let missing = (0..self.blocks.count()).filter(|number| !there.contains_key(number));
        let copied = stream::iter(missing.map(|number| self.block(number))).buffer_unordered(AT_ONCE);
        let mut sums: BTreeMap<u64, String> = copied.try_collect().await?;
        let known: Vec<u64> = there.keys().copied().collect();
        sums.extend(there.clone());
        // Blocks were read one by one: only if the source is still the same do they belong together.
        let now = self.from.version(&self.item.from, &self.copying.places.access()).await;
        if now.map_err(|error| failed(self.item, &error))?.as_ref() != Some(&self.version) {
            // Nobody will go on with this version.
            let _ = self.writing.give_up().await;
            return Err(format!("{} was changed while it was copied: try again", shown(&self.item.from)));
        }
        self.writing.finish().await.map_err(|error| failed(self.item, &error))?;
        if !self.copying.options.skip_check {
            self.check(&sums, &known).await?;
        }
        Ok(self.version.size)
    }

    /// Copies a block, again where that may help; gives its number and the MD5 of what was sent.
    async fn block(&self, number: u64) -> Result<(u64, String), Fault> {
        let _stream = self.copying.stream().await?;
        let mut tries = 0;
        loop {
            if self.copying.give_up.is_cancelled() {
                return Err("stopped".to_owned());
            }
            let written = async {
                let content = self.read(number).await?;
                self.writing.write(number, self.copying.counted(content)).await
            };
            // A store that hangs does not keep a stop waiting. A block that is dropped counts as not written.
            let written = tokio::select! {
                written = written => written,
                () = self.copying.give_up.cancelled() => return Err("stopped".to_owned()),
            };
            match written {
                Ok(md5) => return Ok((number, md5)),
                Err(StoreError::Unreachable(_)) if tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE * tries).await;
                }
                Err(error) => return Err(failed(self.item, &error)),
            }
        }
    }

    async fn read(&self, number: u64) -> Result<Content, StoreError> {
        let access = self.copying.places.access();
        self.from.open_part(&self.item.from, &self.version, self.blocks.place(number), &access).await
    }

    /// Reads the destination back. Of blocks that an earlier copy wrote, the store's note of their checksum counts, and where that
    /// is another one (not every store's is the MD5), the source itself.
    async fn check(&self, sums: &BTreeMap<u64, String>, known: &[u64]) -> Result<(), Fault> {
        let wrong = |error: StoreError| failed(self.item, &error);
        let (access, url) = (self.copying.places.access(), &self.item.to);
        let to = self.copying.places.store(url)?;
        let Some(version) = to.version(url, &access).await.map_err(wrong)? else {
            return Err(format!("{} cannot be read back", shown(url)));
        };
        let checked = sums.iter().map(|(number, sum)| {
            let (access, version) = (&access, &version);
            async move {
                let _stream = self.copying.stream().await?;
                let back = to.open_part(url, version, self.blocks.place(*number), access).await.map_err(wrong)?;
                let back = hash_of(Md5::new(), back).await.map_err(wrong)?;
                let is_same = back == *sum
                    || known.contains(number)
                        && hash_of(Md5::new(), self.read(*number).await.map_err(wrong)?).await.map_err(wrong)? == back;
                Ok::<_, Fault>(is_same)
            }
        });
        let is_same = stream::iter(checked).buffer_unordered(AT_ONCE).try_all(|is_same| async move { is_same }).await?;
        if version.size != self.version.size || !is_same {
            return Err(self.copying.damaged(self.item).await);
        }
        Ok(())
    }
}
