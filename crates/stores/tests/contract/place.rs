//! One place with all stores: a folder, a mounted share, a database, a web server of its own, a fake S3, a fake HDFS and a fake Swift.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use foggara_db::{
    Db, SealKeys,
    internal_binaries::{self, PIECE},
};
use foggara_domain::{InternalBinaryId, ProjectId, Secret, Timestamp, binary::InternalBinary, flag::Flag};
use foggara_stores::{
    Access, Content, Fetched, HdfsSettings, HdfsStore, HttpStore, InternalStore, Listing, LocalRoots, LocalStore,
    MountStore, Mounts, Reach, S3Settings, S3Store, Store, StoreError, Stores, SwiftSettings, SwiftStore,
    fetch_into_file,
};
use foggara_testkit::{
    s3::{ACCESS_KEY, FakeS3, SECRET_KEY},
    swift::{self, FakeSwift},
    webhdfs::FakeHdfs,
};
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use url::Url;

use crate::web;

/// How long an answer may take: a store that waits for ever fails its test.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Place {
    pub stores: Stores,
    pub db: Db,
    /// The root of local files.
    pub files: PathBuf,
    /// A folder that is no root.
    pub outside: PathBuf,
    pub roots: LocalRoots,
    pub project: ProjectId,
    /// A folder that is mounted as the share [`SHARE`].
    pub share: PathBuf,
    pub web: SocketAddr,
    /// Another web server, which tells what it was asked with.
    pub other: SocketAddr,
    pub s3: FakeS3,
    pub hdfs: FakeHdfs,
    pub swift: FakeSwift,
    /// What a user of the fake Swift gives along with a url.
    pub login: Map<String, Value>,
    dir: tempfile::TempDir,
}

/// The bucket and the container that are there.
pub const BUCKET: &str = "data";
/// The share that is mounted.
pub const SHARE: &str = "00000000-0000-4000-8000-000000000abc";
/// The name by which the operator of the fake HDFS knows it.
pub const CLUSTER: &str = "cluster:8020";
/// Bytes of a segment.
pub const SEGMENT: u64 = 1 << 20;

/// What an operator of the fake Swift would set.
pub fn of_swift(swift: &FakeSwift) -> SwiftSettings {
    SwiftSettings { auth_url: Some(swift.keystone()), segment: SEGMENT, ..SwiftSettings::default() }
}

/// Credentials, written as JSON.
pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// What an operator of the fake S3 would set.
pub fn operators(s3: &FakeS3) -> S3Settings {
    S3Settings {
        endpoint: Some(s3.endpoint()),
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(Secret::new(SECRET_KEY)),
        ..S3Settings::default()
    }
}

pub async fn place() -> Place {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a folder");
    let [files, outside, share] = ["files", "outside", "share"].map(|name| dir.path().join(name));
    for folder in [&files, &outside, &share, &share.join("mapr")] {
        std::fs::create_dir(folder).expect("a folder");
    }
    let url = Secret::new(format!("sqlite:{}", dir.path().join("db").display()));
    let db = Db::open(foggara_db::Settings { url, connections: 4, seal_keys: SealKeys::generate() }).await;
    let db = db.expect("the database opens");
    db.migrate(Timestamp::from_micros(0)).await.expect("the database is brought up to date");
    let (web, other) = web::start(&files).await;
    let roots = LocalRoots::new(vec![files.clone()]);
    let s3 = FakeS3::start(&[BUCKET]).expect("a fake S3");
    let hdfs = FakeHdfs::start().expect("a fake HDFS");
    let swift = FakeSwift::start(&[BUCKET, swift::FORBIDDEN]).expect("a fake Swift");
    let login = json!({"user": swift::USER, "password": swift::PASSWORD, "project": swift::PROJECT_NAME});
    let local = Arc::new(LocalStore::new(roots.clone()));
    let mounts = Mounts::new(BTreeMap::from([(SHARE.to_owned(), share.clone())]), Some(share.join("mapr")));
    let stores = Stores::new()
        .with(Arc::new(SwiftStore::new(of_swift(&swift), None, here()).expect("a client")))
        .with(Arc::new(S3Store::new(operators(&s3), here()).expect("a client")))
        .with(local.clone())
        .with(Arc::new(HdfsStore::new(of_hdfs(&hdfs), here(), local).expect("a client")))
        .with(Arc::new(MountStore::new(mounts)))
        .with(Arc::new(InternalStore::new(db.clone())))
        .with(Arc::new(HttpStore::new(here()).expect("a client")));
    let project = ProjectId::from("1".repeat(32));
    Place { stores, db, files, outside, roots, project, share, web, other, s3, hdfs, swift, login: object(login), dir }
}

/// Tests have their servers on this host.
pub fn here() -> Reach {
    Reach::of(&["127.0.0.1".to_owned()]).expect("a rule")
}

/// What an operator of the fake HDFS would set.
pub fn of_hdfs(hdfs: &FakeHdfs) -> HdfsSettings {
    let names = BTreeMap::from([(CLUSTER.to_owned(), hdfs.urls())]);
    HdfsSettings::of(Some("usual".to_owned()), &names).expect("settings")
}

impl Place {
    /// Puts bytes under a name into every store; gives the urls.
    pub async fn put(&self, name: &str, bytes: &[u8]) -> Vec<String> {
        std::fs::write(self.files.join(name), bytes).expect("a file");
        std::fs::write(self.share.join(name), bytes).expect("a file");
        std::fs::write(self.share.join("mapr").join(name), bytes).expect("a file");
        self.s3.put(BUCKET, name, bytes);
        self.hdfs.put(&format!("/data/{name}"), bytes);
        self.hdfs.put(&format!("/web/{name}"), bytes);
        self.swift.put(BUCKET, name, bytes);
        let mut urls = self.writable(name);
        urls.extend([self.web(&format!("/files/{name}")), self.upload(name, bytes).await]);
        urls
    }

    /// Urls of every store behind which there is nothing.
    pub fn nothing(&self) -> Vec<String> {
        let internal = format!("internal-db://{}", InternalBinaryId::new());
        let mut urls = self.writable("nothing");
        urls.extend([self.web("/files/nothing"), internal]);
        urls
    }

    /// Where the stores that can write would put a file.
    pub fn writable(&self, name: &str) -> Vec<String> {
        let web = format!("webhdfs://{}/web/{name}", self.hdfs.address(0));
        let maprfs = format!("maprfs:///{name}");
        let objects = [self.object(name), self.in_swift(name)];
        [self.local(name), self.hdfs(name), web, self.share(name), maprfs].into_iter().chain(objects).collect()
    }

    pub fn hdfs(&self, name: &str) -> String {
        format!("hdfs://{CLUSTER}/data/{name}")
    }

    pub fn share(&self, name: &str) -> String {
        format!("manila://{SHARE}/{name}")
    }

    pub fn in_swift(&self, name: &str) -> String {
        format!("swift://{BUCKET}.sahara/{name}")
    }

    pub fn object(&self, name: &str) -> String {
        format!("s3a://{BUCKET}/{name}")
    }

    pub fn local(&self, name: &str) -> String {
        format!("file://{}/{name}", self.files.display())
    }

    pub fn web(&self, path: &str) -> String {
        format!("http://{}{path}", self.web)
    }

    /// Uploads bytes into the database, as the service does it.
    pub async fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let binary = InternalBinary {
            id: InternalBinaryId::new(),
            project: self.project.clone(),
            name: name.to_owned(),
            size: u64::try_from(bytes.len()).expect("a size"),
            sha256: String::new(),
            is_public: Flag::Off,
            is_protected: Flag::Off,
            created_at: Timestamp::from_micros(0),
            updated_at: None,
        };
        let url = format!("internal-db://{}", binary.id);
        let pieces: Vec<Vec<u8>> = bytes.chunks(PIECE).map(<[u8]>::to_vec).collect();
        let done = self.db.write(move |conn| {
            let (binary, pieces) = (binary.clone(), pieces.clone());
            Box::pin(async move {
                internal_binaries::begin(conn, &binary).await?;
                for (number, piece) in (0..).zip(pieces) {
                    internal_binaries::put_piece(conn, &binary.id, number, piece).await?;
                }
                internal_binaries::finish(conn, &binary.id, binary.size, "").await
            })
        });
        done.await.expect("an upload");
        url
    }

    pub async fn open(&self, url: &str) -> Result<Content, StoreError> {
        self.open_with(url, None).await
    }

    pub async fn open_with(&self, url: &str, credentials: Option<&Map<String, Value>>) -> Result<Content, StoreError> {
        let url = Url::parse(url).expect("a url");
        let store = self.stores.get(url.scheme()).expect("a store");
        let credentials = credentials.or_else(|| self.login_of(&url));
        let access = Access { project: &self.project, caller: None, credentials, lent: None };
        tokio::time::timeout(SOON, store.open(&url, &access)).await.expect("an answer in time")
    }

    pub fn store(&self, url: &str) -> (Url, &Arc<dyn Store>, Access<'_>) {
        let url = Url::parse(url).expect("a url");
        let store = self.stores.get(url.scheme()).expect("a store");
        let credentials = self.login_of(&url);
        (url, store, Access { project: &self.project, caller: None, credentials, lent: None })
    }

    /// Swift has no operator's keys: whoever comes brings a log-in along.
    fn login_of(&self, url: &Url) -> Option<&Map<String, Value>> {
        (url.scheme() == "swift").then_some(&self.login)
    }

    pub async fn list(&self, url: &str) -> Result<Listing, StoreError> {
        let (url, store, access) = self.store(url);
        tokio::time::timeout(SOON, store.list(&url, &access)).await.expect("an answer in time")
    }

    /// Writes pieces as content of a size.
    pub async fn write(
        &self,
        url: &str,
        size: Option<u64>,
        pieces: Vec<Result<Bytes, StoreError>>,
    ) -> Result<u64, StoreError> {
        let (url, store, access) = self.store(url);
        let content = Content { size, stream: stream::iter(pieces).boxed() };
        tokio::time::timeout(SOON, store.put(&url, content, &access)).await.expect("an answer in time")
    }

    pub async fn delete(&self, url: &str) -> Result<(), StoreError> {
        let (url, store, access) = self.store(url);
        tokio::time::timeout(SOON, store.delete(&url, &access)).await.expect("an answer in time")
    }

    /// Opens a url that has to be refused.
    pub async fn refused(&self, url: &str) -> StoreError {
        match self.open(url).await {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error,
        }
    }

    /// Where fetched files go.
    pub fn target(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join("fetched");
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join(name)
    }

    pub async fn fetch(&self, url: &str, name: &str, limit: u64) -> Result<Fetched, StoreError> {
        let content = self.open(url).await?;
        let path = self.target(name);
        tokio::time::timeout(SOON, fetch_into_file(content, &path, limit)).await.expect("an end in time")
    }

    /// Names of the files that fetches left.
    pub fn fetched(&self) -> Vec<String> {
        let folder = self.target("x");
        let entries = std::fs::read_dir(folder.parent().expect("a folder")).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

pub async fn bytes_of(content: Content) -> Result<Vec<u8>, StoreError> {
    let pieces: Vec<Result<Bytes, StoreError>> =
        tokio::time::timeout(SOON, content.stream.collect()).await.expect("an end in time");
    Ok(pieces.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}
