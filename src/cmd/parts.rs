//! Puts the parts of a server together from its configuration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use foggara_app::{App, Parts, ops::clusters::OperatorCluster};
use foggara_db::{Db, SealKeys, Version};
use foggara_domain::{Secret, Tag, Timestamp, plan::HiddenSettings};
use foggara_engines::{
    Plugin, Plugins,
    local::{CopySettings, Local, LocalSettings, SqlSettings},
    plugins::{
        flink::FlinkPlugin, hive::HivePlugin, kubernetes::KubernetesPlugin, local::LocalPlugin, sim::SimPlugin,
        spark::SparkPlugin, storm::StormPlugin, yarn::YarnPlugin,
    },
    remote::RemoteSettings,
    sim::{Sim, SimSettings},
};
use foggara_identity::{
    keystone::{self, Cloud, Keystone, Trusts},
    policy::Policy,
};
use foggara_stores::{
    HdfsSettings, HdfsStore, HttpStore, InternalStore, LocalRoots, LocalStore, MountStore, Mounts, Reach, S3Settings,
    S3Store, Stores, SwiftSettings, SwiftStore,
};

use serde_json::{Map, Value};

use crate::config::{ClusterSection, Config};

/// Connections to the database.
const CONNECTIONS: u32 = 16;

/// The present time.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Opens the database of a configuration.
pub async fn open_db(config: &Config, data_dir: &Path) -> Result<Db> {
    let url = match &config.server.database_url {
        Some(url) => url.clone(),
        None => {
            refuse_network_filesystem(data_dir)?;
            format!("sqlite:{}", data_dir.join("foggara.db").display())
        }
    };
    let seal_keys = SealKeys::load_or_create(&data_dir.join("seal-keys.json"))?;
    Ok(Db::open(foggara_db::Settings { url: Secret::new(url), connections: CONNECTIONS, seal_keys }).await?)
}

/// The lock of the data directory is the lease of a server with SQLite, and locks on network filesystems cannot be trusted.
pub fn refuse_network_filesystem(data_dir: &Path) -> Result<()> {
    /// Magic numbers of NFS, SMB, SMB2 and CIFS.
    const NETWORK: [i64; 4] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42];
    let Ok(found) = rustix::fs::statfs(data_dir) else { return Ok(()) };
    if NETWORK.contains(&found.f_type) {
        bail!(
            "the data directory {} is on a network filesystem, where SQLite's locks cannot be trusted: put it on a local \
             disk, or use PostgreSQL ([server] database_url)",
            data_dir.display()
        );
    }
    Ok(())
}

/// Brings the database up to date, or refuses one that is newer than the program.
pub async fn migrate(db: &Db) -> Result<Vec<&'static str>> {
    if let Version::Newer { database, program } = db.version().await? {
        bail!(
            "the database has version {database}, this program knows only {program}: start the newer foggara that made it"
        );
    }
    Ok(db.migrate(now()).await?)
}

/// Settings of the local engine.
pub fn local_settings(config: &Config, data_dir: &Path) -> Result<LocalSettings> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(LocalSettings {
        data_dir: data_dir.to_owned(),
        // Not its path: the file may have been replaced by a newer program while this one runs.
        program: PathBuf::from("/proc/self/exe"),
        plugin: "local",
        max_running: config.local.max_running.unwrap_or(cores).max(1),
        memory_mb: None,
        log_limit: config.local.log_limit,
        spark_cores: config.local.spark_cores.unwrap_or(cores).max(1),
        spark_cluster: None,
        sql: SqlSettings {
            program: config.sql.program.clone(),
            result_rows: config.sql.result_rows,
            memory_mb: config.sql.memory_mb,
            time_limit_seconds: config.sql.time_limit,
            metastore: None,
        },
        hive: None,
        spark_home: config.local.spark_home.clone(),
        java_home: config.local.java_home.clone(),
        pig_home: config.local.pig_home.clone(),
        copying: CopySettings {
            roots: root_folders(config, data_dir)?,
            s3: HiddenSettings(s3(config).to_words()),
            hdfs: HiddenSettings(hdfs(config)?.to_words()),
            mounts: mounts(config).to_words(),
            allow: config.stores.http.allow.clone(),
            swift: swift(config).to_words(),
            ..CopySettings::default()
        },
        cgroup_root: config.local.cgroup_root.clone(),
    })
}

/// The plugins. `installation` is the name of the server's installation, by which remote engines know its jobs.
pub fn plugins(config: &Config, data_dir: &Path, installation: &str) -> Result<Plugins> {
    let settings = local_settings(config, data_dir)?;
    let remote = RemoteSettings {
        prefix: Tag::prefix(installation),
        data_dir: data_dir.to_owned(),
        log_limit: config.local.log_limit,
    };
    let nodes = Local::new(settings.clone()).context("the local engine")?;
    let mut plugins: Vec<Arc<dyn Plugin>> = vec![
        Arc::new(LocalPlugin::new(settings.clone()).context("the plugin local")?),
        Arc::new(SparkPlugin::new(settings.clone(), remote.clone()).context("the plugin spark")?),
        Arc::new(YarnPlugin::new(settings.clone(), remote.clone())),
        Arc::new(KubernetesPlugin::new(remote.clone())),
        Arc::new(FlinkPlugin::new(settings.clone(), remote.clone(), config.local.flink_home.clone())),
        Arc::new(HivePlugin::new(settings.clone())),
        Arc::new(StormPlugin::new(settings, remote)),
    ];
    if config.sim.enabled {
        let settings = SimSettings {
            dir: data_dir.join("sim"),
            control_file: config.sim.control_file.clone(),
            run: Duration::from_millis(config.sim.run_ms),
        };
        plugins.push(Arc::new(SimPlugin::new(Sim::new(settings).context("the simulated engine")?)));
    }
    Ok(Plugins::new(Arc::new(nodes), plugins))
}

/// Folders of this host that jobs may use; absolute, since a copying job works elsewhere.
pub fn root_folders(config: &Config, data_dir: &Path) -> Result<Vec<PathBuf>> {
    match &config.stores.file.roots {
        Some(roots) => Ok(roots.clone()),
        None => Ok(vec![std::path::absolute(data_dir.join("files")).context("the data directory")?]),
    }
}

/// Folders of this host that jobs may use; the default one is made.
pub fn roots(config: &Config, data_dir: &Path) -> Result<LocalRoots> {
    let roots = root_folders(config, data_dir)?;
    if config.stores.file.roots.is_none() {
        for root in &roots {
            std::fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
        }
    }
    Ok(LocalRoots::new(roots))
}

/// What the operator says of S3.
fn s3(config: &Config) -> S3Settings {
    let section = &config.stores.s3;
    S3Settings {
        endpoint: section.endpoint.clone(),
        region: section.region.clone(),
        access_key: section.access_key.clone(),
        secret_key: section.secret_key.as_ref().map(|secret| secret.0.clone()),
        path_style: section.path_style,
        allow_anonymous: section.allow_anonymous,
    }
}

/// What the operator says of HDFS.
fn hdfs(config: &Config) -> Result<HdfsSettings> {
    let section = &config.stores.hdfs;
    HdfsSettings::of(section.user.clone(), &section.webhdfs).map_err(|why| anyhow!("stores.hdfs.webhdfs: {why}"))
}

/// The shares that are mounted on this host.
pub fn mounts(config: &Config) -> Mounts {
    Mounts::new(config.stores.manila.mounts.clone(), config.stores.maprfs.root.clone())
}

/// What the operator says of Swift; what is not said there is as for the outside Keystone.
fn swift(config: &Config) -> SwiftSettings {
    let (section, keystone) = (&config.stores.swift, &config.keystone);
    SwiftSettings {
        auth_url: section.auth_url.clone().or_else(|| keystone.auth_url.clone()),
        endpoint: section.endpoint.clone(),
        region: section.region.clone(),
        user_domain: section.user_domain.clone(),
        project_domain: section.project_domain.clone(),
        ca_file: section.ca_file.clone().or_else(|| keystone.ca_file.clone()),
        knows_projects: keystone.auth_url.is_some()
            && section.auth_url.as_ref().is_none_or(|url| Some(url) == keystone.auth_url.as_ref()),
        ..SwiftSettings::default()
    }
}

/// The stores that need no database.
pub fn outer_stores(config: &Config, roots: LocalRoots, keystone: Option<Arc<Keystone>>) -> Result<Stores> {
    let reach = Reach::of(&config.stores.http.allow).map_err(|why| anyhow!("stores.http.allow: {why}"))?;
    let local = Arc::new(LocalStore::new(roots));
    Ok(Stores::new()
        .with(local.clone())
        .with(Arc::new(HdfsStore::new(hdfs(config)?, reach.clone(), local)?))
        .with(Arc::new(MountStore::new(mounts(config))))
        .with(Arc::new(HttpStore::new(reach.clone())?))
        .with(Arc::new(SwiftStore::new(swift(config), keystone, reach.clone())?))
        .with(Arc::new(S3Store::new(s3(config), reach)?)))
}

/// The client of the outside Keystone, if the settings name one.
pub fn keystone(config: &Config) -> Result<Option<Keystone>> {
    let section = &config.keystone;
    let (Some(auth_url), Some(file)) = (&section.auth_url, &section.password_file) else { return Ok(None) };
    let password =
        std::fs::read_to_string(file).with_context(|| format!("keystone.password_file: {}", file.display()))?;
    let password = Secret::new(password.trim_end_matches(['\r', '\n']));
    let settings = keystone::Settings {
        user_domain: section.user_domain.clone(),
        project: section.project.clone(),
        project_domain: section.project_domain.clone(),
        cache: Duration::from_secs(section.cache_seconds),
        timeout: Duration::from_secs(section.timeout_seconds),
        ca_file: section.ca_file.clone(),
        region: Some(config.server.region.clone()),
        ..keystone::Settings::new(auth_url, &section.username, password)
    };
    Keystone::new(settings).map(Some).map_err(|error| anyhow!("keystone: {error}"))
}

/// Who may do what: the defaults, and what a policy file says otherwise.
pub fn policy(config: &Config, data_dir: &Path) -> Result<Policy> {
    let file = config.server.policy_file.clone();
    let file = file.or_else(|| Some(data_dir.join("policy.yaml")).filter(|path| path.exists()));
    let Some(file) = file else { return Ok(Policy::default()) };
    let text = std::fs::read_to_string(&file).with_context(|| format!("server.policy_file: {}", file.display()))?;
    Policy::read(&text).map_err(|why| anyhow!("{}: {why}", file.display()))
}

/// The clusters of the configuration.
pub fn clusters(config: &Config) -> Result<Vec<OperatorCluster>> {
    let cluster = |(name, section): (&String, &ClusterSection)| {
        let configs = serde_json::to_value(&section.settings).with_context(|| format!("[clusters.{name}]"))?;
        Ok(OperatorCluster {
            name: name.clone(),
            plugin: section.plugin.clone(),
            description: section.description.clone(),
            configs: plain(&section.plugin, configs.as_object().cloned().unwrap_or_default()),
        })
    };
    config.clusters.iter().map(cluster).collect()
}

/// Settings of a plugin by their plain names: as in the clusters of projects they may also be written `PLUGIN.NAME`.
fn plain(plugin: &str, configs: Map<String, Value>) -> Map<String, Value> {
    let prefix = format!("{plugin}.");
    let mut all = Map::new();
    for (key, value) in configs {
        match value {
            Value::Object(inner) if key == plugin => all.extend(inner),
            value => {
                all.insert(key.strip_prefix(&prefix).map_or_else(|| key.clone(), ToOwned::to_owned), value);
            }
        }
    }
    all
}

/// The application on a database that is up to date.
pub async fn app(
    config: &Config,
    data_dir: &Path,
    host: String,
    db: Db,
    keystone: Option<Arc<Keystone>>,
) -> Result<App> {
    let roots = roots(config, data_dir)?;
    let stores = outer_stores(config, roots.clone(), keystone.clone())?.with(Arc::new(InternalStore::new(db.clone())));
    let seconds = Duration::from_secs;
    let installation = foggara_db::meta::installation(&db).await?;
    let plugins = plugins(config, data_dir, &installation)?;
    let settings = foggara_app::Settings {
        data_dir: data_dir.to_owned(),
        installation,
        host,
        kill_grace: seconds(config.jobs.kill_grace),
        clusters: clusters(config)?,
        unknown_for: seconds(config.jobs.unknown_seconds),
        tombstone_keep: seconds(config.jobs.tombstone_days.saturating_mul(24 * 3600)),
        sahara_strict: config.jobs.sahara_strict,
        max_waiting: config.jobs.max_waiting,
        internal_binary: config.limits.internal_binary,
        staged_binary: config.limits.staged_binary,
        staged_data: config.limits.staged_data,
        fetch_timeout: seconds(config.limits.fetch_seconds),
        host_lost_after: seconds(config.jobs.host_lost_after),
    };
    let cloud = keystone.clone().map(|keystone| keystone as Arc<dyn Cloud>);
    let trusts = keystone.filter(|_| config.keystone.trusts).map(|keystone| keystone as Arc<dyn Trusts>);
    Ok(App::new(Parts { db, stores, roots: Arc::new(roots), mounts: mounts(config), plugins, trusts, cloud, settings }))
}
