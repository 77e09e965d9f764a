//! The stores that DataFusion reads and writes: local files below the allowed folders, buckets of the request. Hidden files are
//! left out of every listing.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::{object_store::ObjectStoreUrl, runtime_env::RuntimeEnv};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};
use url::Url;

use crate::{
    fault::{Fault, Outcome},
    places::{Place, Places, hidden},
};

/// Registers the local store, and that of the bucket of a place.
///
/// # Errors
/// An endpoint that cannot be understood.
pub fn register(runtime: &RuntimeEnv, places: &Arc<Places>, place: &Place) -> Outcome<()> {
    let Place::Bucket(url) = place else { return Ok(()) };
    let name = url.host_str().unwrap_or("");
    let root =
        Url::parse(&format!("s3://{name}")).map_err(|_| Fault::new(format!("{name} is not a name of a bucket")))?;
    if ObjectStoreUrl::parse(root.as_str()).is_ok_and(|known| runtime.object_store(known).is_ok()) {
        return Ok(());
    }
    let bucket =
        places.bucket(name).ok_or_else(|| Fault::new(format!("bucket {name} is not among those of the job")))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_endpoint(bucket.endpoint.trim_end_matches('/'))
        .with_region(&bucket.region)
        .with_allow_http(bucket.endpoint.starts_with("http://"))
        .with_virtual_hosted_style_request(!bucket.path_style);
    if !bucket.path_style {
        // Virtual hosts: this library wants the endpoint with the bucket in it.
        let endpoint = bucket.endpoint.replacen("://", &format!("://{name}."), 1);
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    builder = match (&bucket.access_key, &bucket.secret_key) {
        (Some(access), Some(secret)) => builder.with_access_key_id(access).with_secret_access_key(secret),
        _ => builder.with_skip_signature(true),
    };
    if let Some(token) = &bucket.session_token {
        builder = builder.with_token(token);
    }
    let store = builder.build().map_err(|error| Fault::new(format!("bucket {name}: {error}")))?;
    runtime.register_object_store(&root, Arc::new(Guarded { inner: Arc::new(store), places: None }));
    Ok(())
}

/// Registers the store of local files.
pub fn register_local(runtime: &RuntimeEnv, places: &Arc<Places>) {
    let root = Url::parse("file://").expect("a constant");
    let inner = Arc::new(LocalFileSystem::new());
    runtime.register_object_store(&root, Arc::new(Guarded { inner, places: Some(Arc::clone(places)) }));
}

/// A store that shows no hidden files and, when local, leads nowhere else.
#[derive(Debug)]
struct Guarded {
    inner: Arc<dyn ObjectStore>,
    /// Of local files only.
    places: Option<Arc<Places>>,
}

impl Guarded {
    fn check(places: Option<&Places>, location: &Path) -> Result<()> {
        let Some(places) = places else { return Ok(()) };
        // The library's paths keep escapes that the file system does not know.
        let path = LocalFileSystem::new().path_to_filesystem(location)?;
        let checked = places.local(&path);
        checked.map(|_| ()).map_err(|fault| object_store::Error::Generic { store: "files", source: Box::new(fault) })
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Whether a part of the path below the prefix is hidden. Partition folders may begin with `_`, as in `_day=1`.
fn hidden_below(prefix: Option<&Path>, location: &Path) -> bool {
    let skip = prefix.map_or(0, |prefix| prefix.parts().count());
    location.parts().skip(skip).any(|part| hidden(part.as_ref()) && !part.as_ref().contains('='))
}

#[async_trait]
impl ObjectStore for Guarded {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        Self::check(self.places.as_deref(), location)?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Self::check(self.places.as_deref(), location)?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        Self::check(self.places.as_deref(), location)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        Self::check(self.places.as_deref(), location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let places = self.places.clone();
        self.inner.delete_stream(
            locations
                .and_then(move |location| {
                    let checked = Self::check(places.as_deref(), &location).map(|()| location);
                    futures::future::ready(checked)
                })
                .boxed(),
        )
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let below = prefix.cloned();
        let places = self.places.clone();
        self.inner
            .list(prefix)
            .try_filter_map(move |found| {
                let kept = if hidden_below(below.as_ref(), &found.location) {
                    Ok(None)
                } else {
                    Self::check(places.as_deref(), &found.location).map(|()| Some(found))
                };
                futures::future::ready(kept)
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.inner.list_with_delimiter(prefix).await?;
        found.objects.retain(|object| !hidden_below(prefix, &object.location));
        found.common_prefixes.retain(|folder| !hidden_below(prefix, folder));
        for object in &found.objects {
            Self::check(self.places.as_deref(), &object.location)?;
        }
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        Self::check(self.places.as_deref(), from)?;
        Self::check(self.places.as_deref(), to)?;
        self.inner.copy_opts(from, to, options).await
    }
}
