//! Objects of S3 and of what speaks its protocol (OBS, MinIO, Ceph): `s3`, `s3a`, `s3n` and `obs` urls.
//!
//! opendal's S3 service does the work. An operator is made for each request, since bucket, endpoint and keys come with it; the
//! connections are shared. Nothing is taken from the server's own environment: no AWS variables, profiles or instance roles,
//! which would be lent to every job.

mod fault;
mod settings;
mod target;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use opendal::{
    ErrorKind, HttpTransporter, Metadata, OperationContext, Operator,
    layers::{RetryLayer, TimeoutLayer},
    options::{ReadOptions, ReaderOptions},
    services::S3,
};
use opendal_http_transport_reqwest::ReqwestTransport;
pub use settings::S3Settings;
use url::Url;

use self::target::Target;
use crate::{
    Access, Content, FileEntry, Listing, Reach, Store, StoreError, exactly, listing::is_plain, reach::free_client,
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
/// S3 takes 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// Parts of one object that are on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// The store.
pub struct S3Store {
    settings: S3Settings,
    reach: Reach,
    /// To the operator's endpoint.
    free: HttpTransporter,
    /// To endpoints that jobs name.
    bound: HttpTransporter,
}

impl S3Store {
    /// With the operator's settings and connections of its own; endpoints that jobs name obey the rule. A rustls provider must
    /// be installed in the process.
    pub fn new(settings: S3Settings, reach: Reach) -> Result<Self, StoreError> {
        // No redirects: one to another region would be followed without its signature; the answer itself says more.
        let transport = |client: reqwest::ClientBuilder| {
            let client = client.build();
            let client = client.map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))?;
            Ok(HttpTransporter::new(ReqwestTransport::new(client)))
        };
        Ok(Self { settings, free: transport(free_client())?, bound: transport(reach.client())?, reach })
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
        let transport = if target.is_operators { &self.free } else { &self.bound };
        let context = OperationContext::new().with_http_transport(transport.clone());
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
        Ok(metadata) => return Ok(metadata),
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
        let etag = metadata.etag().filter(|etag| !etag.starts_with("W/")).map(ToOwned::to_owned);
        let options = ReaderOptions { if_match: etag, content_length_hint: Some(size), ..ReaderOptions::default() };
        let reader = operator.reader_options(&target.key, options).await.map_err(|error| fault::of(&target, &error))?;
        let pieces = reader.into_stream(0..size).await.map_err(|error| fault::of(&target, &error))?;
        let pieces = pieces.map(move |piece| match piece {
            Ok(piece) => Ok(piece.to_bytes()),
            Err(error) => Err(fault::of(&target, &error)),
        });
        Ok(Content { size: Some(size), stream: pieces.boxed() })
    }

    async fn list(&self, url: &Url, access: &Access<'_>) -> Result<Listing, StoreError> {
        let target = self.target(url, access)?;
        let operator = self.operator(&target, SILENCE)?;
        if !target.key.is_empty() && !target.key.ends_with('/') {
            match stat(&operator, &target).await {
                Ok(metadata) => {
                    let modified = metadata.last_modified().map(Into::into);
                    return Ok(Listing::of_file(metadata.content_length(), modified));
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
        while let Some(entry) = entries.try_next().await? {
            is_there = true;
            let (key, metadata) = entry.into_parts();
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
            files.push(FileEntry {
                path: path.to_owned(),
                size: metadata.content_length(),
                modified: metadata.last_modified().map(Into::into),
            });
        }
        if !is_there {
            return Err(StoreError::NotFound(format!(
                "{} does not exist: no object has that name or lies below it",
                target.name()
            )));
        }
        Ok(Listing::of_folder(files))
    }

    async fn put(&self, url: &Url, content: Content, access: &Access<'_>) -> Result<u64, StoreError> {
        let target = self.target(url, access)?;
        target.need_object()?;
        let operator = self.operator(&target, UPLOAD)?;
        let part = content.size.map_or(PART_OF_UNKNOWN, |size| PART.max(size.div_ceil(MOST_PARTS)));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        let writer = operator.writer_with(&target.key).chunk(part).concurrent(PARTS_AT_ONCE).await;
        let mut writer = writer.map_err(|error| fault::of(&target, &error))?;
        let mut pieces = exactly(content);
        let mut size = 0u64;
        let written = async {
            while let Some(piece) = pieces.next().await {
                let piece: Bytes = piece?;
                size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                writer.write(piece).await.map_err(|error| fault::of(&target, &error))?;
            }
            writer.close().await.map_err(|error| fault::of(&target, &error))
        };
        match written.await {
            Ok(_) => Ok(size),
            Err(error) => {
                // The parts cost their owner until somebody removes them. What does not work here is told by the first error.
                let _ = writer.abort().await;
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
}
