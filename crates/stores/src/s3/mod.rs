//! Objects of S3 and of what speaks its protocol (OBS, MinIO, Ceph): `s3`, `s3a`, `s3n` and `obs` urls.
//!
//! opendal's S3 service does the work. An operator is made for each request, since bucket, endpoint and keys come with it; the
//! connections are shared. Nothing is taken from the server's own environment: no AWS variables, profiles or instance roles,
//! which would be lent to every job.

mod blocks;
mod fault;
mod request;
mod settings;
mod target;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use opendal::{
    ErrorKind, HttpTransporter, Metadata, OperationContext, Operator, Writer,
    layers::{RetryLayer, TimeoutLayer},
    options::{ReadOptions, ReaderOptions},
    services::S3,
};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::Client;
pub use settings::S3Settings;
use url::Url;

use self::target::Target;
use crate::{
    Access, Blocks, Content, FileEntry, Listing, Reach, Store, StoreError, Version, Writing, exactly,
    listing::is_plain, reach::free_client,
};

/// How long an answer may take, and how long no byte may come.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a part may be on its way up: at the least part size that is 28 kB in a second.
const UPLOAD: Duration = Duration::from_secs(300);
/// Tries after the first where another may help, from this pause on, each twice as long as the one before.
const RETRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of a part of an upload; below that an object is sent whole.
const PART: u64 = 8 << 20;
/// Bytes of a part when nobody knows how much comes.
const PART_OF_UNKNOWN: u64 = 32 << 20;
/// S3 takes no smaller part, unless it is the last.
const LEAST_PART: u64 = 5 << 20;
/// S3 takes 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// Parts of one object that are on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// The store.
pub struct S3Store {
    settings: S3Settings,
    reach: Reach,
    /// To the operator's endpoint.
    free: Client,
    /// To endpoints that jobs name.
    bound: Client,
}

impl S3Store {
    /// With the operator's settings and connections of its own; endpoints that jobs name obey the rule. A rustls provider must
    /// be installed in the process.
    pub fn new(settings: S3Settings, reach: Reach) -> Result<Self, StoreError> {
        // No redirects: one to another region would be followed without its signature; the answer itself says more.
        let made = |client: reqwest::ClientBuilder| {
            client.build().map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))
        };
        Ok(Self { settings, free: made(free_client())?, bound: made(reach.client())?, reach })
    }

    fn client(&self, target: &Target) -> &Client {
        if target.is_operators { &self.free } else { &self.bound }
    }

    fn operator(&self, target: &Target, silence: Duration) -> Result<Operator, StoreError> {
        let mut service = S3::default()
            .bucket(&target.bucket)
            .endpoint(&target.endpoint)
            .region(&target.region)
            .disable_config_load()
            .disable_ec2_metadata();
        match &target.keys {
            Some(keys) => {
                service = service.access_key_id(&keys.access).secret_access_key(keys.secret.reveal());
                if let Some(token) = &keys.token {
                    service = service.session_token(token.reveal());
                }
            }
            None => service = service.skip_signature(),
        }
        if !target.path_style {
            service = service.enable_virtual_host_style();
        }
        let operator = Operator::new(service).map_err(|error| {
            StoreError::Unsupported(format!("{} cannot be addressed: {}", target.name(), error.message()))
        })?;
        let timeout = TimeoutLayer::new().with_timeout(SILENCE).with_io_timeout(silence);
        let retry = RetryLayer::new().with_max_times(RETRIES).with_min_delay(PAUSE).with_jitter();
        let transport = HttpTransporter::new(ReqwestTransport::new(self.client(target).clone()));
        let context = OperationContext::new().with_http_transport(transport);
        Ok(operator.layer(timeout).layer(retry).with_context(context))
    }

    fn target(&self, url: &Url, access: &Access<'_>) -> Result<Target, StoreError> {
        let target = Target::of(url, access.credentials, &self.settings)?;
        let endpoint = Url::parse(&target.endpoint).ok().filter(|_| !target.is_operators);
        match endpoint.map(|endpoint| self.reach.check(&endpoint)) {
            Some(Err(fault)) => {
                Err(StoreError::Denied(format!("{}: {} is not asked: {fault}", target.name(), target.endpoint)))
            }
            _ => Ok(target),
        }
    }
}

/// Asks for an object's size and change. The answer to HEAD has no text, so that a refusal is asked for once more with one.
async fn stat(operator: &Operator, target: &Target) -> Result<Metadata, StoreError> {
    let error = match operator.stat(&target.key).await {
        // Each S3 gives its objects a tag; a web page answers to anything.
        Ok(metadata) if metadata.etag().is_some() => return Ok(metadata),
        Ok(_) => {
            return Err(StoreError::Unsupported(format!(
                "{}: {} does not answer as S3 does: is the endpoint right?",
                target.name(),
                target.endpoint
            )));
        }
        Err(error) => error,
    };
    if !fault::is_refusal(&error) {
        return Err(fault::of(target, &error));
    }
    // With a length to believe in, opendal does not ask by HEAD again.
    let options = ReadOptions { range: (0..1).into(), content_length_hint: Some(1), ..ReadOptions::default() };
    match operator.read_options(&target.key, options).await {
        Err(more) if more.kind() != ErrorKind::RangeNotSatisfied => Err(fault::of(target, &more)),
        _ => Err(fault::of(target, &error)),
    }
}

/// The entity tag of an object that was sent whole is its MD5; that of one in parts has a `-` in it.
fn entry(path: String, metadata: &Metadata) -> FileEntry {
    let tag = metadata.etag().map(|tag| tag.trim_matches('"').to_ascii_lowercase());
    let md5 = tag.filter(|tag| tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    FileEntry { path, size: metadata.content_length(), modified: metadata.last_modified().map(Into::into), md5 }
}

/// An upload; whoever drops it without an end gives it up, since its parts cost their owner until somebody removes them.
struct Upload(Option<Writer>);

impl Upload {
    async fn give_up(mut self) {
        if let Some(mut writer) = self.0.take() {
            // What does not work here is told by the first error.
            let _ = writer.abort().await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(mut writer), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { writer.abort().await });
        }
    }
}

/// What tells a version: a strong entity tag, with the time beside it.
fn version(metadata: &Metadata) -> Option<Version> {
    let tag = strong(metadata)?;
    let mark = format!("{tag} {}", metadata.last_modified().map(|time| time.to_string()).unwrap_or_default());
    Some(Version { size: metadata.content_length(), mark })
}

fn strong(metadata: &Metadata) -> Option<String> {
    metadata.etag().filter(|etag| !etag.starts_with("W/")).map(ToOwned::to_owned)
}

impl S3Store {
    async fn bytes(
        &self,
        operator: &Operator,
        target: Target,
        etag: Option<String>,
        size: u64,
        (from, length): (u64, u64),
    ) -> Result<Content, StoreError> {
        let options = ReaderOptions { if_match: etag, content_length_hint: Some(size), ..ReaderOptions::default() };
        let reader = operator.reader_options(&target.key, options).await.map_err(|error| fault::of(&target, &error))?;
        let pieces = reader.into_stream(from..from + length).await.map_err(|error| fault::of(&target, &error))?;
        let pieces = pieces.map(move |piece| match piece {
            Ok(piece) => Ok(piece.to_bytes()),
            Err(error) => Err(fault::of(&target, &error)),
        });
        Ok(Content { size: Some(length), stream: pieces.boxed() })
    }
}

#[async_trait]
impl Store for S3Store {
    fn schemes(&self) -> &'static [&'static str] {
        &["s3", "s3a", "s3n", "obs"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        let operator = self.operator(&target, SILENCE)?;
        let metadata = stat(&operator, &target).await?;
        let size = metadata.content_length();
        if size == 0 {
            return Ok(Content { size: Some(0), stream: stream::empty().boxed() });
        }
        // All bytes are of one version, however often the reading is taken up again.
        self.bytes(&operator, target, strong(&metadata), size, (0, size)).await
    }

    async fn list(&self, url: &Url, access: &Access<'_>) -> Result<Listing, StoreError> {
        let target = self.target(url, access)?;
        let operator = self.operator(&target, SILENCE)?;
        if !target.key.is_empty() && !target.key.ends_with('/') {
            match stat(&operator, &target).await {
                Ok(metadata) => {
                    return Ok(Listing::of_file(entry(String::new(), &metadata)));
                }
                Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let prefix = match target.key.trim_end_matches('/') {
            "" => String::new(),
            key => format!("{key}/"),
        };
        let path = if prefix.is_empty() { "/" } else { &prefix };
        let lister = operator.lister_with(path).recursive(true).await.map_err(|error| fault::of(&target, &error))?;
        let mut is_there = prefix.is_empty();
        let mut files = Vec::new();
        let mut entries = lister.map_err(|error| fault::of(&target, &error));
        while let Some(found) = entries.try_next().await? {
            is_there = true;
            let (key, metadata) = found.into_parts();
            // What some programs leave as a sign for a folder.
            if key.ends_with('/') || key == prefix {
                continue;
            }
            let path = key.strip_prefix(&prefix).unwrap_or(&key);
            if !is_plain(path) || path.trim() != path {
                return Err(StoreError::Unsupported(format!(
                    "{} holds the object '{key}', whose name is no path: it cannot be read by its url",
                    target.bucket_name()
                )));
            }
            files.push(entry(path.to_owned(), &metadata));
        }
        if !is_there {
            return Err(StoreError::NotFound(format!(
                "{} does not exist: no object has that name or lies below it",
                target.name()
            )));
        }
        Ok(Listing::of_folder(files, Vec::new()))
    }

    async fn put(&self, url: &Url, content: Content, access: &Access<'_>) -> Result<u64, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        let operator = self.operator(&target, UPLOAD)?;
        let part = content.size.map_or(PART_OF_UNKNOWN, |size| PART.max(size.div_ceil(MOST_PARTS)));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        let writer = operator.writer_with(&target.key).chunk(part).concurrent(PARTS_AT_ONCE).await;
        let mut upload = Upload(Some(writer.map_err(|error| fault::of(&target, &error))?));
        let mut pieces = exactly(content);
        let mut size = 0u64;
        let written = async {
            let Some(writer) = &mut upload.0 else { return Ok(()) };
            while let Some(piece) = pieces.next().await {
                let piece: Bytes = piece?;
                size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                writer.write(piece).await.map_err(|error| fault::of(&target, &error))?;
            }
            writer.close().await.map(|_| ()).map_err(|error| fault::of(&target, &error))
        };
        match written.await {
            Ok(()) => {
                upload.0 = None;
                Ok(size)
            }
            Err(error) => {
                upload.give_up().await;
                Err(error)
            }
        }
    }

    async fn delete(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        let operator = self.operator(&target, SILENCE)?;
        operator.delete(&target.key).await.map_err(|error| fault::of(&target, &error))
    }

    async fn version(&self, url: &Url, access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        Ok(version(&stat(&self.operator(&target, SILENCE)?, &target).await?))
    }

    async fn open_part(
        &self,
        url: &Url,
        wanted: &Version,
        place: (u64, u64),
        access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        let operator = self.operator(&target, SILENCE)?;
        // The tag is what stands before the time.
        let etag = wanted.mark.split(' ').next().map(ToOwned::to_owned);
        self.bytes(&operator, target, etag, wanted.size, place).await
    }

    async fn write_blocks(
        &self,
        url: &Url,
        blocks: &Blocks,
        access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        if blocks.block < LEAST_PART {
            return Ok(None);
        }
        let (client, operator) = (self.client(&target).clone(), self.operator(&target, SILENCE)?);
        Ok(Some(Box::new(blocks::begin(client, operator, target, blocks.clone()).await?)))
    }

    async fn remove_part(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        blocks::remove_part(self.client(&target), &self.operator(&target, SILENCE)?, &target).await
    }
}
