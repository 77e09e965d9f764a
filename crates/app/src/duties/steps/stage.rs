//! Staging: a fresh workspace with the fetched binaries, resolved references, and the plan. It may be repeated as often as a
//! crash or restart wants; nothing outside of the workspace is touched.

mod direct;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use foggara_db::{data_sources, job_templates};
use foggara_domain::{
    DataSourceId, Execution, Tag,
    binary::JobBinary,
    data_source::{DataSource, UrlParts, native_url, swift_url},
    drive::STAGING_DEADLINE,
    job_template::JobTemplate,
    job_type::{self, JobType, Staged, StagedFile},
    placeholder::{References, Target, expand},
    plan::{Plan, PlanKind},
    status::{Phase, Wish},
};
use foggara_engines::failpoint;
use foggara_stores::{Access, Fetched, StoreError, fetch_into_file};
use rand::RngExt;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{artifacts, data, settle::remove, ticket, trust};
use crate::{
    App,
    duties::{cluster::Room, live::Done},
    ops::job_binaries::open,
    rows::{Changed, Edit, change},
};

/// What staging gives to the launch.
#[derive(Clone, Debug)]
pub(in crate::duties) struct Prepared {
    pub plan: Plan,
    pub workspace: PathBuf,
    /// Data source id to the url that the job sees.
    pub data_source_urls: Map<String, Value>,
    /// Where the plan's files lie for the nodes of the engine, see [`foggara_engines::Launch::urls`].
    pub urls: BTreeMap<PathBuf, String>,
}

/// Where the workspaces of this host lie.
pub(in crate::duties) fn workspaces_root(app: &App) -> PathBuf {
    app.settings().data_dir.join("workspaces")
}

/// The folder of an attempt; each staging makes a fresh one inside.
pub(in crate::duties) fn workspace_folder(app: &App, tag: &Tag) -> PathBuf {
    workspaces_root(app).join(tag.as_str())
}

/// Where the log of an attempt is written.
pub(in crate::duties) fn logs_folder(app: &App, tag: &Tag) -> PathBuf {
    app.settings().data_dir.join("logs").join(tag.as_str())
}

pub(in crate::duties) async fn run(room: Arc<Room>, row: Execution) -> Done {
    let now = room.app.now();
    let place = room.own.place.clone();
    let changed = change(&room.app, Some(&room.own), &row.id, move |row| {
        if row.phase != Phase::Waiting || row.wish != Wish::Run || row.deleted_at.is_some() {
            return Ok(Edit::Keep);
        }
        row.phase = Phase::Staging;
        row.place = Some(place.clone());
        row.deadline = Some(now.plus(STAGING_DEADLINE));
        Ok(Edit::Record("staging", None))
    })
    .await;
    let row = match changed {
        Ok(Changed::Saved(row) | Changed::Kept(row)) => row,
        Ok(other) => return Done::row(other),
        Err(error) => return Done::trouble(error),
    };
    failpoint::pass("stage.committed");
    if row.phase != Phase::Staging || row.wish != Wish::Run || row.deleted_at.is_some() {
        return Done::row(Changed::Kept(row));
    }
    // What an earlier staging left takes room, and nothing can have been launched from it. After a launch was sent that is not
    // so, and then only the settling clears the folder.
    let tag = Tag::of(&room.app.settings().installation, &row.id, row.attempt);
    let staged = match remove(&workspace_folder(&room.app, &tag)).await {
        Ok(()) => prepare(&room, &row).await,
        Err(reason) => Err(reason),
    };
    failpoint::pass("stage.prepared");
    Done { row: Some(Changed::Kept(row)), staged: Some(staged), ..Done::default() }
}

/// Makes workspace and plan. The error is the reason with which the execution ends.
pub(in crate::duties) async fn prepare(room: &Room, row: &Execution) -> Result<Prepared, String> {
    let app = &room.app;
    let tag = Tag::of(&app.settings().installation, &row.id, row.attempt);
    let folder = workspace_folder(app, &tag);
    let workspace = folder.join(Uuid::new_v4().simple().to_string());
    let making = |error: std::io::Error| format!("cannot make the workspace {}: {error}", workspace.display());
    tokio::fs::create_dir_all(&workspace).await.map_err(making)?;
    restrict(&folder).await?;
    let (plan, data_source_urls) = match &row.direct {
        Some(direct) => (direct::plan(app, row, direct, &workspace).await?, Map::new()),
        None => of_template(room, row, &workspace).await?,
    };
    let plan = ticket::give(room, row, plan, &folder).await?;
    let urls = match room.engine.artifacts() {
        Some(base) => artifacts::put(app.stores(), base, &tag, &plan).await?,
        None => BTreeMap::new(),
    };
    Ok(Prepared { plan, workspace, data_source_urls, urls })
}

/// The plan of a job template's execution, and the urls of the data sources in it.
async fn of_template(room: &Room, row: &Execution, workspace: &Path) -> Result<(Plan, Map<String, Value>), String> {
    let app = &room.app;
    let job = template(app, row).await?;
    let job_type = job_type::find(&row.job_type).ok_or_else(|| format!("unknown job type '{}'", row.job_type))?;
    let mut staged = Staged {
        mains: fetch(app, row, workspace, &job.mains).await?,
        libs: fetch(app, row, workspace, &job.libs).await?,
        project: row.project.to_string(),
        ..Staged::default()
    };
    let mut urls = Map::new();
    resolve(room, row, job_type, workspace, &mut staged, &mut urls).await?;
    let plan = job_type.plan(&staged).map_err(|error| error.to_string())?;
    Ok((plan, urls))
}

/// Only the service's own user reads what jobs are made of.
async fn restrict(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o700);
    tokio::fs::set_permissions(folder, mode)
        .await
        .map_err(|error| format!("cannot restrict {}: {error}", folder.display()))
}

async fn template(app: &App, row: &Execution) -> Result<JobTemplate, String> {
    let Some(id) = &row.job else { return Err("the execution has no job template any more".to_owned()) };
    let mut conn = app.db().read().await.map_err(|error| error.to_string())?;
    let job = job_templates::find(&mut conn, id).await.map_err(|error| error.to_string())?;
    job.ok_or_else(|| format!("job template {id} does not exist any more"))
}

async fn fetch(
    app: &App,
    row: &Execution,
    workspace: &Path,
    binaries: &[JobBinary],
) -> Result<Vec<StagedFile>, String> {
    let given = trust::of(app, row).await?;
    let lent = trust::lent(given.as_deref(), row);
    let mut files = Vec::with_capacity(binaries.len());
    for binary in binaries {
        let path = workspace.join(&binary.name);
        if path.exists() {
            return Err(format!("two binaries of the job template are called '{}'", binary.name));
        }
        let access = Access { project: &binary.project, caller: None, credentials: binary.extra.as_ref(), lent };
        let fetched = fetch_one(app, &binary.url, &access, &path).await;
        let fetched = fetched.map_err(|error| format!("job binary '{}': {error}", binary.name))?;
        tracing::debug!(execution = %row.id, binary = %binary.name, size = fetched.size, sha256 = %fetched.sha256, "fetched");
        files.push(StagedFile { name: binary.name.clone(), path });
    }
    Ok(files)
}

/// Fetches a url into a file, within the limits.
async fn fetch_one(app: &App, url: &str, access: &Access<'_>, path: &Path) -> Result<Fetched, StoreError> {
    let settings = app.settings();
    let work = async {
        let content = open(app, url, access).await?;
        fetch_into_file(content, path, settings.staged_binary).await
    };
    tokio::time::timeout(settings.fetch_timeout, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unreachable(format!("not there within {} s", settings.fetch_timeout.as_secs())))
    })
}

/// Configs, params and args with secrets filled in, references to data sources replaced by urls, and input and output.
async fn resolve(
    room: &Room,
    row: &Execution,
    job_type: &JobType,
    workspace: &Path,
    staged: &mut Staged,
    urls: &mut Map<String, Value>,
) -> Result<(), String> {
    let map = |key: &str| -> BTreeMap<String, Value> {
        let object = row.job_configs.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        object.into_iter().collect()
    };
    let mut configs = map("configs");
    configs.extend(row.secret_configs.clone());
    let mut params = map("params");
    let references = References::of(&configs);
    let opens_urls = room.engine.opens_urls();
    let mut resolver =
        Resolver { app: &room.app, row, job_type, opens_urls, references, urls, credentials: Map::new() };
    for value in configs.values_mut().chain(params.values_mut()) {
        if let Value::String(text) = value {
            *text = resolver.text(text).await?;
        }
    }
    let mut args = Vec::new();
    for arg in row.job_configs.get("args").and_then(Value::as_array).into_iter().flatten() {
        args.push(resolver.text(&job_type::text(arg)).await?);
    }
    if let Some((source, url)) = resolver.source(row.input.as_ref()).await? {
        staged.input = Some(match resolver.place(&source, &url)? {
            Some(place) => place,
            None => data::fetch_input(&room.app, row, &source, &url, workspace).await?.display().to_string(),
        });
    }
    if let Some((source, url)) = resolver.source(row.output.as_ref()).await? {
        staged.output = Some(match resolver.place(&source, &url)? {
            Some(place) => place,
            None => {
                // A table or folder that statements write is theirs to replace.
                let replace = job_type.plan_kind == PlanKind::Sql;
                data::place_output(&room.app, row, &source, &url, workspace, replace).await?.display().to_string()
            }
        });
    }
    for (key, value) in resolver.credentials {
        configs.entry(key).or_insert(value);
    }
    staged.configs = configs;
    staged.params = params;
    staged.args = args;
    Ok(())
}

struct Resolver<'a> {
    app: &'a App,
    row: &'a Execution,
    job_type: &'a JobType,
    /// The engine opens input and output by their urls.
    opens_urls: bool,
    references: References,
    urls: &'a mut Map<String, Value>,
    /// What the used sources bring along for the job's configs.
    credentials: Map<String, Value>,
}

impl Resolver<'_> {
    /// A value with its reference replaced; an unresolved one stays as it is (section 8.5).
    async fn text(&mut self, text: &str) -> Result<String, String> {
        let project = &self.row.project;
        let found = match self.references.target(text) {
            None => None,
            Some(target) => {
                let mut conn = self.app.db().read().await.map_err(|error| error.to_string())?;
                let found = match target {
                    Target::Name(name) => data_sources::by_name(&mut conn, project, name).await,
                    Target::Id(id) => data_sources::get(&mut conn, project, &DataSourceId::from(id)).await,
                };
                found.map_err(|error| error.to_string())?
            }
        };
        match found {
            Some(source) => Ok(self.url(&source)),
            None => Ok(swift_url(text)),
        }
    }

    /// The url that the job sees for a source; the same source gets the same url.
    fn url(&mut self, source: &DataSource) -> String {
        if let Some(url) = self.urls.get(source.id.as_str()).and_then(Value::as_str) {
            return url.to_owned();
        }
        let mut random = rand::rng();
        let letter = || char::from(random.random_range(b'a'..=b'z'));
        let expanded = expand(&source.url, &self.row.id, letter);
        let mounted = self.app.mounts().file_url(&source.kind, &expanded);
        let url = mounted.unwrap_or_else(|| native_url(&source.kind, &expanded));
        self.urls.insert(source.id.to_string(), Value::from(url.as_str()));
        let credential = |key: &str| source.credentials.as_ref().and_then(|credentials| credentials.get(key)).cloned();
        let pairs: &[(&str, &str)] = match source.kind.as_str() {
            // Where to log in belongs to the password: it is for no other Keystone. Of several names of one thing the last counts.
            "swift" => &[
                ("fs.swift.service.sahara.username", "user"),
                ("fs.swift.service.sahara.password", "password"),
                ("fs.swift.service.sahara.auth.url", "auth_url"),
                ("fs.swift.service.sahara.domain.name", "user_domain_name"),
                ("fs.swift.service.sahara.project.domain.name", "project_domain_name"),
                ("fs.swift.service.sahara.tenant", "tenant_name"),
                ("fs.swift.service.sahara.tenant", "tenant"),
                ("fs.swift.service.sahara.tenant", "project_name"),
                ("fs.swift.service.sahara.tenant", "project"),
                ("fs.swift.service.sahara.region", "region_name"),
                ("fs.swift.service.sahara.region", "region"),
            ],
            "s3" => &[
                ("fs.s3a.access.key", "accesskey"),
                ("fs.s3a.secret.key", "secretkey"),
                ("fs.s3a.endpoint", "endpoint"),
                ("fs.s3a.connection.ssl.enabled", "ssl"),
                ("fs.s3a.path.style.access", "bucket_in_path"),
            ],
            "hdfs" => &[("fs.webhdfs.user", "user"), ("fs.webhdfs.delegation.token", "delegation_token")],
            "obs" => &[
                ("fs.obs.access.key", "accesskey"),
                ("fs.obs.secret.key", "secretkey"),
                ("fs.obs.endpoint", "endpoint"),
            ],
            _ => &[],
        };
        for (config, key) in pairs {
            if let Some(value) = credential(key) {
                self.credentials.insert((*config).to_owned(), value);
            }
        }
        url
    }

    /// A data source, and its url as the job sees it.
    async fn source(&mut self, id: Option<&DataSourceId>) -> Result<Option<(DataSource, String)>, String> {
        // Other types name the sources among their words, if they use them.
        let Some(id) = id.filter(|_| self.job_type.uses_sources()) else { return Ok(None) };
        let source = {
            let mut conn = self.app.db().read().await.map_err(|error| error.to_string())?;
            data_sources::get(&mut conn, &self.row.project, id).await.map_err(|error| error.to_string())?
        };
        let source = source.ok_or_else(|| format!("data source {id} does not exist any more"))?;
        let url = self.url(&source);
        Ok(Some((source, url)))
    }

    /// The url itself where the engine opens urls, a path where it is a file of this host; nothing where it has to be fetched or put
    /// elsewhere.
    fn place(&self, source: &DataSource, url: &str) -> Result<Option<String>, String> {
        let parts = UrlParts::of(url);
        if self.opens_urls {
            return Ok(Some(url.to_owned()));
        }
        if source.kind == "manila" && parts.scheme == "manila" {
            return Err(format!(
                "data source '{}': the share {} is not mounted here: the operator can set [stores.manila] mounts",
                source.name, parts.host
            ));
        }
        let is_here = matches!(parts.scheme, "" | "file" | "hdfs" | "maprfs") && parts.host.is_empty();
        if !is_here {
            return Ok(None);
        }
        let is_mounted = self.app.mounts().file_url(&source.kind, &source.url).is_some();
        if parts.scheme == "maprfs" && !is_mounted {
            return Err(format!(
                "data source '{}': no MapR FS is mounted here: the operator can set [stores.maprfs] root",
                source.name
            ));
        }
        let roots = if is_mounted { self.app.mounts() } else { self.app.roots() };
        let path = roots.resolve(Path::new(parts.path));
        let path = path.map_err(|error| format!("data source '{}': {error}", source.name))?;
        Ok(Some(path.display().to_string()))
    }
}
