//! A fresh application, two callers, and short ways to make resources.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use foggara_app::{
    App, Parts, Settings,
    ops::{clusters, data_sources, executions, internal_binaries, job_binaries, job_templates},
};
use foggara_db::{Db, SealKeys};
use foggara_domain::{
    BinaryId, Caller, ClusterId, Error, Execution, JobId, ProjectId, Result, Secret, Timestamp, UserId,
    binary::{InternalBinary, JobBinary},
    data_source::DataSource,
    flag::Flag,
    job_template::JobTemplate,
    page::ListQuery,
};
use foggara_engines::{
    Plugin, Plugins,
    plugins::sim::SimPlugin,
    sim::{Sim, SimSettings},
};
use foggara_stores::{Content, InternalStore, LocalRoots, LocalStore, Mounts, Stores};
use futures::{StreamExt, stream};
use serde_json::{Map, Value};

/// Largest internal binary here, in bytes.
pub const LIMIT: u64 = 600 * 1024;

pub struct Place {
    pub app: App,
    /// Whose objects are made.
    pub owner: Caller,
    /// Of the owner.
    pub token: Secret,
    /// Someone of another project.
    pub other: Caller,
    /// A folder that jobs may use.
    pub files: PathBuf,
    _dir: tempfile::TempDir,
}

fn caller(project: &str) -> Caller {
    Caller {
        user: UserId::from("u"),
        user_name: "u".to_owned(),
        project: ProjectId::from(project),
        project_name: project.to_owned(),
        roles: vec!["member".to_owned()],
    }
}

pub async fn place() -> Place {
    let dir = tempfile::tempdir().expect("a folder");
    let url = Secret::new(format!("sqlite:{}", dir.path().join("db").display()));
    let db = Db::open(foggara_db::Settings { url, connections: 4, seal_keys: SealKeys::generate() }).await;
    let db = db.expect("the database opens");
    db.migrate(Timestamp::from_micros(0)).await.expect("the database is brought up to date");
    let files = dir.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    let roots = LocalRoots::new(vec![files.clone()]);
    let stores =
        Stores::new().with(Arc::new(LocalStore::new(roots.clone()))).with(Arc::new(InternalStore::new(db.clone())));
    let settings = SimSettings { dir: dir.path().join("sim"), control_file: None, run: Duration::ZERO };
    let sim = || Sim::new(settings.clone()).expect("the simulated engine");
    let plugins = Plugins::new(Arc::new(sim()), [Arc::new(SimPlugin::new(sim())) as Arc<dyn Plugin>]);
    let settings = Settings {
        data_dir: dir.path().to_owned(),
        installation: "t".to_owned(),
        host: "h".to_owned(),
        kill_grace: Duration::from_secs(1),
        clusters: Vec::new(),
        unknown_for: Duration::from_secs(2),
        tombstone_keep: Duration::from_secs(1),
        sahara_strict: false,
        max_waiting: 5,
        internal_binary: LIMIT,
        staged_binary: LIMIT,
        staged_data: 1 << 20,
        fetch_timeout: Duration::from_secs(5),
        host_lost_after: Duration::from_secs(60),
    };
    let (roots, mounts) = (Arc::new(roots), Mounts::default());
    let app = App::new(Parts { db, stores, roots, mounts, plugins, trusts: None, cloud: None, settings });
    clusters::ensure_public(&app).await.expect("public clusters");
    Place {
        app,
        owner: caller(&"1".repeat(32)),
        token: Secret::new("t"),
        other: caller(&"2".repeat(32)),
        files,
        _dir: dir,
    }
}

/// `CODE text` of a refusal.
pub fn refusal<T>(answer: Result<T>) -> String {
    match answer {
        Ok(_) => panic!("it was not refused"),
        Err(Error::Refused { code, message }) => format!("{} {message}", code.name()),
        Err(other) => other.to_string(),
    }
}

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub fn pieces(pieces: Vec<Vec<u8>>) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Unpin {
    stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))))
}

pub async fn bytes_of(content: Content) -> Vec<u8> {
    let parts: Vec<Bytes> = content.stream.map(|piece| piece.expect("bytes")).collect().await;
    parts.concat()
}

impl Place {
    pub async fn cluster(&self, name: &str) -> ClusterId {
        let found = clusters::list(&self.app, &self.owner, &ListQuery::default()).await.expect("a list").items;
        found.into_iter().find(|shown| shown.cluster.name == name).expect("a public cluster").cluster.id
    }

    pub async fn source(&self, name: &str, url: &str, is_public: bool) -> DataSource {
        data_sources::create(&self.app, &self.owner, self.new_source(name, url, is_public))
            .await
            .expect("a data source")
    }

    pub fn new_source(&self, name: &str, url: &str, is_public: bool) -> data_sources::NewDataSource {
        data_sources::NewDataSource {
            name: name.to_owned(),
            description: None,
            kind: "hdfs".to_owned(),
            url: url.to_owned(),
            credentials: None,
            is_public: Flag::from(is_public),
            is_protected: Flag::Off,
        }
    }

    pub async fn upload(&self, name: &str, bytes: &[u8]) -> InternalBinary {
        let stream = pieces(bytes.chunks(100_000).map(<[u8]>::to_vec).collect());
        internal_binaries::upload(&self.app, &self.owner, name, None, stream).await.expect("an upload")
    }

    pub async fn binary(&self, name: &str, url: &str) -> JobBinary {
        job_binaries::create(&self.app, &self.owner, self.new_binary(name, url)).await.expect("a job binary")
    }

    pub fn new_binary(&self, name: &str, url: &str) -> job_binaries::NewJobBinary {
        job_binaries::NewJobBinary {
            name: name.to_owned(),
            description: None,
            url: url.to_owned(),
            extra: None,
            is_public: Flag::Off,
            is_protected: Flag::Off,
        }
    }

    pub fn new_template(&self, name: &str, job_type: &str, mains: &[&BinaryId]) -> job_templates::NewJobTemplate {
        job_templates::NewJobTemplate {
            name: name.to_owned(),
            description: Some("d".to_owned()),
            job_type: job_type.to_owned(),
            mains: mains.iter().map(|id| (*id).clone()).collect(),
            libs: Vec::new(),
            interface: Vec::new(),
            is_public: Flag::Off,
            is_protected: Flag::Off,
        }
    }

    pub async fn template(&self, new: job_templates::NewJobTemplate) -> JobTemplate {
        job_templates::create(&self.app, &self.owner, new).await.expect("a job template")
    }

    /// A Shell template of one binary.
    pub async fn shell(&self) -> JobTemplate {
        let main = self.binary("a.sh", "file:///a.sh").await;
        self.template(self.new_template("shell", "Shell", &[&main.id])).await
    }

    pub async fn execute(&self, job: &JobId, submit: executions::Submit) -> Result<Execution> {
        let cluster = match submit.cluster {
            Some(cluster) => cluster,
            None => self.cluster("sim").await,
        };
        executions::submit(
            &self.app,
            &self.owner,
            &self.token,
            job,
            executions::Submit { cluster: Some(cluster), ..submit },
        )
        .await
    }
}
