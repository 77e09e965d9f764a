//! A file that is written as the parts of an upload, and may be gone on with after a kill.
//!
//! The server knows the parts that it has; a small object beside the one that is to be says which upload they belong to. It is
//! written before the first part, so that whoever comes later finds them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as Lock, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use md5::{Digest, Md5};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{
    fault,
    request::{Sent, ask, element, refusal, text, unescaped},
    target::Target,
};
use crate::{Blocks, Content, StoreError, Writing, exactly, part};

/// Bytes of a note that are read.
const NOTE: u64 = 16 << 10;

/// What the note says.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    /// The upload's id.
    upload: String,
    /// Key of the object that is to be.
    key: String,
}

/// The writing.
pub(super) struct InBlocks {
    client: reqwest::Client,
    operator: opendal::Operator,
    target: Target,
    blocks: Blocks,
    note: String,
    upload: String,
    written: BTreeMap<u64, String>,
    /// The entity tag of each part, as the server gave it.
    tags: Arc<Lock<BTreeMap<u64, String>>>,
}

/// Begins an upload, or finds the one that was begun.
pub(super) async fn begin(
    client: reqwest::Client,
    operator: opendal::Operator,
    target: Target,
    blocks: Blocks,
) -> Result<InBlocks, StoreError> {
    let note = part::beside(&target.key, &blocks.version);
    let known = read_note(&operator, &target, &note).await?;
    let found = match known {
        None => None,
        Some(known) => parts(&client, &target, &known.upload).await?.map(|parts| (known.upload, parts)),
    };
    let (upload, parts) = match found {
        Some(found) => found,
        None => (create(&client, &operator, &target, &note).await?, BTreeMap::new()),
    };
    // A part of another size is not one of these blocks.
    let fits = |number: &u64, size: u64| *number < blocks.count() && blocks.place(*number).1 == size;
    let tags: BTreeMap<u64, String> = parts
        .into_iter()
        .filter(|(number, (size, _))| fits(number, *size))
        .map(|(number, (_, tag))| (number, tag))
        .collect();
    let written = tags.iter().map(|(number, tag)| (*number, tag.trim_matches('"').to_ascii_lowercase())).collect();
    Ok(InBlocks { client, operator, target, blocks, note, upload, written, tags: Arc::new(Lock::new(tags)) })
}

async fn read_note(operator: &opendal::Operator, target: &Target, key: &str) -> Result<Option<Note>, StoreError> {
    let read = async {
        let length = operator.stat(key).await?.content_length();
        if length > NOTE { Ok(None) } else { operator.read(key).await.map(Some) }
    };
    match read.await {
        Ok(text) => Ok(text.and_then(|text| serde_json::from_slice(&text.to_vec()).ok())),
        // If it is the bucket that is missing, the next request says so.
        Err(error) if error.kind() == opendal::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault::of(target, &error)),
    }
}

async fn create(
    client: &reqwest::Client,
    operator: &opendal::Operator,
    target: &Target,
    note: &str,
) -> Result<String, StoreError> {
    let answer = ask(client, target, Method::POST, &[("uploads", "")], Sent::Nothing).await?;
    let answer = text(target, answer).await?;
    let upload = element(&answer, "UploadId").filter(|id| !id.is_empty()).map(unescaped).ok_or_else(|| {
        StoreError::Unsupported(format!("{}: {} does not answer as S3 does", target.name(), target.endpoint))
    })?;
    let text = serde_json::to_vec(&Note { upload: upload.clone(), key: target.key.clone() }).unwrap_or_default();
    match operator.write(note, text).await {
        Ok(_) => Ok(upload),
        Err(error) => {
            // Nobody would find it. What does not work here is told by the first error.
            let _ = abort(client, target, &upload).await;
            Err(fault::of(target, &error))
        }
    }
}

/// Size and entity tag of each part, by the number of its block; nothing when there is no such upload any more.
async fn parts(
    client: &reqwest::Client,
    target: &Target,
    upload: &str,
) -> Result<Option<BTreeMap<u64, (u64, String)>>, StoreError> {
    let mut found = BTreeMap::new();
    let mut after = "0".to_owned();
    loop {
        let query = [("uploadId", upload), ("part-number-marker", &after)];
        let page = match ask(client, target, Method::GET, &query, Sent::Nothing).await {
            Ok(answer) => text(target, answer).await?,
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        for part in page.split("<Part>").skip(1) {
            let number = element(part, "PartNumber").and_then(|text| text.parse::<u64>().ok());
            let size = element(part, "Size").and_then(|text| text.parse().ok());
            let tag = element(part, "ETag").map(unescaped);
            if let (Some(number), Some(size), Some(tag)) = (number.and_then(|number| number.checked_sub(1)), size, tag)
            {
                found.insert(number, (size, tag));
            }
        }
        let next = element(&page, "NextPartNumberMarker").filter(|next| *next != after).map(ToOwned::to_owned);
        match next.filter(|_| element(&page, "IsTruncated") == Some("true")) {
            Some(next) => after = next,
            None => return Ok(Some(found)),
        }
    }
}

async fn abort(client: &reqwest::Client, target: &Target, upload: &str) -> Result<(), StoreError> {
    match ask(client, target, Method::DELETE, &[("uploadId", upload)], Sent::Nothing).await {
        Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives up the upload that a note names, and removes the note, which is the target.
pub(super) async fn remove_part(
    client: &reqwest::Client,
    operator: &opendal::Operator,
    target: &Target,
) -> Result<(), StoreError> {
    if let Some(note) = read_note(operator, target, &target.key).await? {
        abort(client, &target.at(note.key), &note.upload).await?;
    }
    operator.delete(&target.key).await.map_err(|error| fault::of(target, &error))
}

#[async_trait]
impl Writing for InBlocks {
    fn written(&self) -> &BTreeMap<u64, String> {
        &self.written
    }

    async fn write(&self, number: u64, content: Content) -> Result<String, StoreError> {
        let (_, length) = self.blocks.place(number);
        let hash = Arc::new(Lock::new((Md5::new(), None::<StoreError>)));
        let seen = Arc::clone(&hash);
        let pieces = exactly(Content { size: Some(length), stream: content.stream });
        let pieces = pieces.inspect(move |piece: &Result<Bytes, StoreError>| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match piece {
                Ok(piece) => seen.0.update(piece),
                Err(error) => seen.1 = Some(error.clone()),
            }
        });
        let name = (number + 1).to_string();
        let query = [("partNumber", name.as_str()), ("uploadId", &self.upload)];
        let sent = ask(&self.client, &self.target, Method::PUT, &query, Sent::Bytes(length, pieces.boxed())).await;
        let (md5, fault) = {
            let seen = hash.lock().unwrap_or_else(PoisonError::into_inner);
            (hex::encode(seen.0.clone().finalize()), seen.1.clone())
        };
        if let Some(fault) = fault {
            return Err(fault);
        }
        let answer = sent?;
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).ok_or_else(|| {
            StoreError::Unsupported(format!("{}: {} gives parts no tag", self.target.name(), self.target.endpoint))
        })?;
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tag.to_owned());
        Ok(md5)
    }

    async fn finish(&self) -> Result<(), StoreError> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let parts: String = tags
            .iter()
            .map(|(number, tag)| {
                format!("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number + 1, escaped(tag))
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let answer =
            ask(&self.client, &self.target, Method::POST, &[("uploadId", &self.upload)], Sent::Text(body)).await?;
        // A failure may come late, behind a status of success.
        let answer = text(&self.target, answer).await?;
        if element(&answer, "Code").is_some() || !answer.contains("CompleteMultipartUploadResult") {
            return Err(refusal(&self.target, &answer, 500));
        }
        if let Err(error) = self.operator.delete(&self.note).await {
            // It stands for nothing any more, and the next copy removes it.
            tracing::warn!("{}", fault::of(&self.target, &error));
        }
        Ok(())
    }

    async fn give_up(&self) -> Result<(), StoreError> {
        abort(&self.client, &self.target, &self.upload).await?;
        self.operator.delete(&self.note).await.map_err(|error| fault::of(&self.target, &error))
    }
}
