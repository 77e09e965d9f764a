//! The whole configuration. Each setting is written once, with its documentation and its default; the reference that
//! `foggara config` prints is made of the same text.
//!
//! Later wins: defaults, the file (`--config`, else FOGGARA_CONFIG, else DIR/foggara.toml if it is there), variables
//! `FOGGARA__SECTION__KEY`, flags.

mod clusters;
mod stores;

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use foggara_domain::Secret;
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

pub use self::clusters::ClusterSection;

/// A setting in the reference.
struct Entry {
    section: &'static str,
    key: &'static str,
    /// Its Rust type, as it is written in the table.
    kind: &'static str,
    doc: &'static [&'static str],
    /// Its default as TOML; nothing when it is unset by default.
    default: Option<Value>,
}

impl Entry {
    /// Whether a variable's text is the value as it stands: a path `2024` and a region `true` are no number and no flag.
    fn is_text(&self) -> bool {
        let is_one = !["Vec", "Map"].iter().any(|many| self.kind.contains(many));
        is_one && ["String", "PathBuf", "Role"].iter().any(|text| self.kind.contains(text))
    }
}

macro_rules! sections {
    ($($(#[doc = $sdoc:literal])* $name:ident $section:literal { $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr,)* })*) => {
        $(
            $(#[doc = $sdoc])*
            #[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
            #[serde(default, deny_unknown_fields)]
            pub struct $name { $($(#[doc = $doc])* pub $key: $type,)* }

            impl Default for $name {
                fn default() -> Self { Self { $($key: $default,)* } }
            }
        )*

        fn reference() -> Vec<(&'static str, &'static [&'static str], Vec<Entry>)> {
            vec![$(
                ($section, &[$($sdoc),*] as &[&str], vec![$(
                    Entry {
                        section: $section,
                        key: stringify!($key),
                        kind: stringify!($type),
                        doc: &[$($doc),*],
                        default: { let default: $type = $default; Value::try_from(default).ok() },
                    },
                )*]),
            )*]
        }
    };
}

sections! {
    /// The server: where it listens and where it keeps its things.
    Server "server" {
        /// Address and port; port 0 takes a free one.
        listen: String = "127.0.0.1:8386".to_owned(),
        /// Allow an address that other hosts reach although the connection is not encrypted: behind a proxy that speaks TLS.
        insecure_http: bool = false,
        /// Believe X-Forwarded-Proto: only behind a proxy that sets it.
        trust_forwarded_proto: bool = false,
        /// The data directory. Unset: $XDG_DATA_HOME/foggara or ~/.local/share/foggara.
        data_dir: Option<PathBuf> = None,
        /// Database: unset for SQLite in the data directory, or postgres://user:password@host:port/name.
        database_url: Option<String> = None,
        /// What this server does: all, api (answers only) or worker (works for clusters only).
        role: Role = Role::All,
        /// Origins that browsers may call from; ["*"] for all.
        cors_origins: Vec<String> = Vec::new(),
        /// Seconds that a token lasts.
        token_lifetime: u64 = 3600,
        /// Who may do what, otherwise than Sahara's defaults: a policy.yaml as oslo.policy reads it. Unset: DIR/policy.yaml if it is there.
        policy_file: Option<PathBuf> = None,
        /// The region in the service catalogue.
        region: String = "RegionOne".to_owned(),
    }
    /// An outside Keystone that knows the users, in place of the embedded identity.
    Keystone "keystone" {
        /// Its address, https://host:5000/v3. Unset: the embedded identity.
        auth_url: Option<String> = None,
        /// Name of the service user; it needs a role that may validate tokens (service or admin) on its project.
        username: String = "foggara".to_owned(),
        /// File with its password (nothing else, mode 0600).
        password_file: Option<PathBuf> = None,
        /// Domain of the service user.
        user_domain: String = "Default".to_owned(),
        /// Project that it logs in to.
        project: String = "service".to_owned(),
        /// Domain of that project.
        project_domain: String = "Default".to_owned(),
        /// Seconds that Keystone's word on a token counts; after this at the latest a revoked token is refused.
        cache_seconds: u64 = 60,
        /// Seconds that an answer may take; afterwards a request is answered with 503.
        timeout_seconds: u64 = 5,
        /// Certificates (PEM) that are trusted beside those of the system.
        ca_file: Option<PathBuf> = None,
        /// Let jobs act in their user's name after the token has ended, by a trust that is given back when the job ends.
        trusts: bool = true,
    }
    /// Jobs.
    Jobs "jobs" {
        /// Seconds that a gentle stop may take before the job is killed.
        kill_grace: u64 = 10,
        /// Seconds that a job may be unknown to its engine, which is up and does not list it, before it counts as lost.
        unknown_seconds: u64 = 10,
        /// Days that the hidden record of a deleted execution is kept after its job is known to be gone.
        tombstone_days: u64 = 30,
        /// Seconds without a server at a host after which its executions end as "host lost".
        host_lost_after: u64 = 3600,
        /// Show deleted executions as TOBEKILLED until their job is gone, as Sahara did.
        sahara_strict: bool = false,
        /// Executions of one project that may wait; more are refused with 429.
        max_waiting: u64 = 10_000,
    }
    /// The cluster `local`: processes of this host.
    Local "local" {
        /// Jobs that run at once. Unset: the number of cores.
        max_running: Option<usize> = None,
        /// Bytes kept of each output stream of a job, half of them from its head and half from its tail.
        log_limit: u64 = 1_073_741_824,
        /// Home of Spark. Unset: SPARK_HOME, PATH, or what `foggara engines install spark` installed.
        spark_home: Option<PathBuf> = None,
        /// Threads of a Spark job (N of local[N]). Unset: the number of cores.
        spark_cores: Option<usize> = None,
        /// Home of Java. Unset: JAVA_HOME, PATH, or what came with the installed Spark.
        java_home: Option<PathBuf> = None,
        /// Home of Apache Pig. Unset: PIG_HOME or PATH.
        pig_home: Option<PathBuf> = None,
        /// Home of Flink, the folder that has its lib. Unset: FLINK_HOME, or what `foggara engines install flink` installed.
        flink_home: Option<PathBuf> = None,
        /// Control group (v2) below which jobs get their own. Unset: the server's, where that can be written.
        cgroup_root: Option<PathBuf> = None,
    }
    /// Local files that jobs may use.
    StoresFile "stores.file" {
        /// Folders; data sources and binaries outside of them are refused. Unset: [DIR/files].
        roots: Option<Vec<PathBuf>> = None,
    }
    /// Objects of S3 and of what speaks its protocol (OBS, MinIO): for urls that come without credentials of their own.
    StoresS3 "stores.s3" {
        /// Its address, https://host[:port]. Unset: AWS.
        endpoint: Option<String> = None,
        /// Region that requests are signed for. Unset: read off the endpoint, else us-east-1.
        region: Option<String> = None,
        /// Access key. Every project's jobs read and write with it: give it only what all of them may do.
        access_key: Option<String> = None,
        /// Its secret.
        secret_key: Option<SecretString> = None,
        /// Bucket in the path (true) or in the host's name (false). Unset: by the endpoint.
        path_style: Option<bool> = None,
        /// Send requests without a signature when there are no keys, for buckets that are open to everybody.
        allow_anonymous: bool = false,
    }
    /// Urls that jobs supply: http and https, and the endpoints of S3 and HDFS that a job names itself.
    StoresHttp "stores.http" {
        /// Hosts, host:port or networks (CIDR) that they may reach although they are this host's (loopback), link-local, multicast or
        /// the metadata service of a cloud; all others may be reached. Endpoints in these settings need no mention.
        allow: Vec<String> = Vec::new(),
    }
    /// HDFS by its REST interface: urls hdfs://host[:port]/path, webhdfs and swebhdfs.
    StoresHdfs "stores.hdfs" {
        /// Who asks when a job does not say so. Unset: no name is sent, and HDFS takes its own default.
        user: Option<String> = None,
        /// Host, host:port or name service as it stands in urls, to where its namenodes answer HTTP, several with commas between:
        /// { "nn:8020" = "http://nn:9870", mycluster = "http://nn1:9870,http://nn2:9870" }. Others are asked at http://HOST:9870.
        webhdfs: BTreeMap<String, String> = BTreeMap::new(),
    }
    /// Manila shares: urls manila://SHARE/path.
    StoresManila "stores.manila" {
        /// Id of a share to the folder where it is mounted on this host. Every project's jobs read and write there.
        mounts: BTreeMap<String, PathBuf> = BTreeMap::new(),
    }
    /// MapR FS: urls maprfs:///path.
    StoresMaprfs "stores.maprfs" {
        /// The folder of this host where its root is mounted. Unset: there is none.
        root: Option<PathBuf> = None,
    }
    /// What `foggara doctor` asks the stores for.
    StoresCheck "stores.check" {
        /// Urls of files or folders, without credentials: each is listed, or opened where a store has no folders.
        urls: Vec<String> = Vec::new(),
    }
    /// Objects of OpenStack Swift: where jobs log in with the user and password that come along with a url.
    StoresSwift "stores.swift" {
        /// Keystone v3 (https://host:5000/v3), or the log-in of a Swift without one (https://host:8080/auth/v1.0). Unset: [keystone] auth_url.
        auth_url: Option<String> = None,
        /// Address of Swift, https://host:8080/v1, with or without the account. Unset: the public object-store of the catalogue.
        endpoint: Option<String> = None,
        /// Region of the catalogue. Unset: the first that has an object-store.
        region: Option<String> = None,
        /// Domain of users that come without one.
        user_domain: String = "Default".to_owned(),
        /// Domain of projects that come by name without one.
        project_domain: String = "Default".to_owned(),
        /// Certificates (PEM) that are trusted beside those of the system. Unset: [keystone] ca_file.
        ca_file: Option<PathBuf> = None,
    }
    /// Limits; each that is overrun is answered with its name and value.
    Limits "limits" {
        /// Bytes of a JSON body.
        json_body: u64 = 1_048_576,
        /// Bytes of an uploaded job binary (Sahara's was 5242880).
        internal_binary: u64 = 67_108_864,
        /// Bytes of a job binary that is fetched for a job.
        staged_binary: u64 = 4_294_967_296,
        /// Bytes of the input that is fetched from a store for a job that runs on the server's host.
        staged_data: u64 = 17_179_869_184,
        /// Seconds that the fetch of one job binary may take.
        fetch_seconds: u64 = 3600,
        /// Seconds that a request may take; streams are exempt.
        request_seconds: u64 = 30,
    }
    /// Statements of SQL on the server's host.
    Sql "sql" {
        /// The program foggara-sql, where it is neither beside this program nor on PATH.
        program: Option<PathBuf> = None,
        /// Rows kept of each statement's result; 0 keeps all.
        result_rows: u64 = 100_000,
        /// MiB of memory that the operators of a script may take before they spill to disk.
        memory_mb: u64 = 1024,
        /// Seconds that a script may take; 0 means no limit.
        time_limit: u64 = 0,
    }
    /// A simulated engine, for tests of clients: it runs nothing.
    Sim "sim" {
        /// Make the public clusters `sim` and `sim-idle`.
        enabled: bool = false,
        /// JSON file that says what jobs do: run, status, cancel, suspend, run_error.
        control_file: Option<PathBuf> = None,
        /// Milliseconds that a job runs without a control file.
        run_ms: u64 = 0,
    }
}

/// A secret setting: it is never printed, not even where all settings are.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct SecretString(pub Secret);

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("***")
    }
}

/// What a server does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers and works.
    #[default]
    All,
    /// Answers only.
    Api,
    /// Works only.
    Worker,
}

/// Settings of stores.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Stores {
    /// `[stores.file]`
    pub file: StoresFile,
    /// `[stores.s3]`
    pub s3: StoresS3,
    /// `[stores.http]`
    pub http: StoresHttp,
    /// `[stores.hdfs]`
    pub hdfs: StoresHdfs,
    /// `[stores.manila]`
    pub manila: StoresManila,
    /// `[stores.maprfs]`
    pub maprfs: StoresMaprfs,
    /// `[stores.check]`
    pub check: StoresCheck,
    /// `[stores.swift]`
    pub swift: StoresSwift,
}

/// All settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[keystone]`
    pub keystone: Keystone,
    /// `[jobs]`
    pub jobs: Jobs,
    /// `[local]`
    pub local: Local,
    /// `[stores]`
    pub stores: Stores,
    /// `[limits]`
    pub limits: Limits,
    /// `[sim]`
    pub sim: Sim,
    /// `[sql]`
    pub sql: Sql,
    /// `[clusters.NAME]`
    pub clusters: BTreeMap<String, ClusterSection>,
}

/// Prefix of variables.
const PREFIX: &str = "FOGGARA__";

/// The reference: every setting with its default, as a file that can be used as it is.
pub fn print_reference() -> String {
    let mut text = String::from(
        "# foggara's settings with their defaults. A setting that is commented out is unset by default.\n",
    );
    for (section, doc, entries) in reference() {
        text.push('\n');
        for line in doc {
            let _ = writeln!(text, "#{line}");
        }
        let _ = writeln!(text, "[{section}]");
        for entry in entries {
            for line in entry.doc {
                let _ = writeln!(text, "#{line}");
            }
            match entry.default {
                Some(value) => {
                    let _ = writeln!(text, "{} = {value}", entry.key);
                }
                None => {
                    let _ = writeln!(text, "# {} =", entry.key);
                }
            }
        }
    }
    text.push_str(clusters::REFERENCE);
    text
}

/// Where settings come from beside the defaults and the flags.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file, and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
}

impl Sources {
    /// The file of `--config`, else of FOGGARA_CONFIG, else DIR/foggara.toml if it is there; and the variables.
    pub fn find(config: Option<&Path>, data_dir: Option<&Path>) -> Result<Self, String> {
        let variables: BTreeMap<String, String> = std::env::vars().filter(|(key, _)| key.starts_with(PREFIX)).collect();
        let named = config.map(Path::to_owned).or_else(|| std::env::var_os("FOGGARA_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                Some((path, text))
            }
            None => {
                let dir = data_dir
                    .map(Path::to_owned)
                    .or_else(|| variables.get("FOGGARA__SERVER__DATA_DIR").map(PathBuf::from))
                    .unwrap_or_else(default_data_dir);
                let path = dir.join("foggara.toml");
                std::fs::read_to_string(&path).ok().map(|text| (path, text))
            }
        };
        Ok(Self { file, variables })
    }

    /// All settings. The error names the file or variable, the key, the reason, and the nearest known key.
    pub fn load(&self) -> Result<Config, String> {
        let mut table = Table::new();
        if let Some((path, text)) = &self.file {
            table = text.parse::<Table>().map_err(|error| format!("{}: {error}", path.display()))?;
            let mut keys = Vec::new();
            walk(&table, &mut Vec::new(), &mut keys);
            for key in keys.iter().filter(|key| !clusters::is_theirs(key)) {
                known(key).map_err(|reason| format!("{}: {key}: {reason}", path.display()))?;
            }
        }
        for (name, text) in &self.variables {
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            if clusters::is_theirs(&key) {
                insert(&mut table, &key, variable_value(text));
                continue;
            }
            let setting = known(&key).map_err(|reason| format!("{name}: {reason}"))?;
            insert(&mut table, &key, if setting.is_text() { Value::from(text.as_str()) } else { variable_value(text) });
        }
        let config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let key = error.path().to_string();
            let reason = error.into_inner().to_string();
            format!("{}: {key}: {}", self.source_of(&key), reason.trim())
        })?;
        config.check().map_err(|(key, reason)| format!("{}: {key}: {reason}", self.source_of(key)))?;
        Ok(config)
    }

    /// Where the value of a setting came from, for errors.
    fn source_of(&self, key: &str) -> String {
        let variable = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        match &self.file {
            _ if self.variables.contains_key(&variable) => variable,
            Some((path, _)) => path.display().to_string(),
            None => "settings".to_owned(),
        }
    }
}

/// The longest time that a setting may give, in seconds: ten years.
const LONGEST: u64 = 10 * 366 * 24 * 3600;

impl Config {
    /// What types cannot say. The error names the setting and the reason.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { server, keystone, jobs, local, stores, limits, sim, sql, clusters } = self;
        let count = |value: Option<usize>| value.map_or(1, |value| u64::try_from(value).unwrap_or(u64::MAX));
        for (key, value, least, most) in [
            ("server.token_lifetime", server.token_lifetime, 1, LONGEST),
            ("keystone.cache_seconds", keystone.cache_seconds, 0, 3600),
            ("keystone.timeout_seconds", keystone.timeout_seconds, 1, 300),
            ("jobs.kill_grace", jobs.kill_grace, 0, LONGEST),
            ("jobs.tombstone_days", jobs.tombstone_days, 0, LONGEST / (24 * 3600)),
            ("jobs.host_lost_after", jobs.host_lost_after, 1, LONGEST),
            ("jobs.max_waiting", jobs.max_waiting, 1, u64::MAX),
            ("local.max_running", count(local.max_running), 1, u64::MAX),
            ("local.spark_cores", count(local.spark_cores), 1, u64::MAX),
            ("local.log_limit", local.log_limit, 1024, u64::MAX),
            ("limits.json_body", limits.json_body, 1, u64::MAX),
            ("limits.internal_binary", limits.internal_binary, 1, u64::MAX),
            ("limits.staged_binary", limits.staged_binary, 1, u64::MAX),
            ("limits.staged_data", limits.staged_data, 1, u64::MAX),
            ("limits.fetch_seconds", limits.fetch_seconds, 1, LONGEST),
            ("limits.request_seconds", limits.request_seconds, 1, LONGEST),
            ("sql.memory_mb", sql.memory_mb, 16, u64::MAX / (1024 * 1024)),
            ("sql.time_limit", sql.time_limit, 0, LONGEST),
            ("sim.run_ms", sim.run_ms, 0, LONGEST * 1000),
        ] {
            if value < least {
                return Err((key, format!("{value} is too small; the least is {least}")));
            }
            if value > most {
                return Err((key, format!("{value} is too large; the most is {most}")));
            }
        }
        if keystone.auth_url.is_some() && keystone.password_file.is_none() {
            let reason = "it is unset, and [keystone] auth_url needs the service user's password";
            return Err(("keystone.password_file", reason.to_owned()));
        }
        if server.region.trim().is_empty() {
            return Err(("server.region", "it is empty; clients look for a name, RegionOne by default".to_owned()));
        }
        let origin = |text: &str| text == "*" || text.starts_with("http://") || text.starts_with("https://");
        if let Some(wrong) = server.cors_origins.iter().find(|text| !origin(text)) {
            let reason = format!("'{wrong}' is no origin; one looks like https://host or https://host:port, or is *");
            return Err(("server.cors_origins", reason));
        }
        if let Some(root) = stores.file.roots.iter().flatten().find(|root| !root.is_absolute()) {
            return Err(("stores.file.roots", format!("{} is not an absolute path", root.display())));
        }
        clusters::check(clusters).map_err(|reason| ("clusters", reason))?;
        stores.check()?;
        let is_url = |text: &&String| !text.starts_with("https://") && !text.starts_with("http://");
        if stores.s3.endpoint.as_ref().filter(is_url).is_some() {
            return Err(("stores.s3.endpoint", "it is not of the form https://host or https://host:port".to_owned()));
        }
        if stores.swift.auth_url.as_ref().filter(is_url).is_some() {
            let reason = "it is not of the form https://host:5000/v3 or https://host:8080/auth/v1.0";
            return Err(("stores.swift.auth_url", reason.to_owned()));
        }
        if stores.swift.endpoint.as_ref().filter(is_url).is_some() {
            return Err((
                "stores.swift.endpoint",
                "it is not of the form https://host or https://host:port/v1".to_owned(),
            ));
        }
        match (&stores.s3.access_key, &stores.s3.secret_key) {
            (Some(_), None) => {
                return Err(("stores.s3.secret_key", "it is unset, and there is an access_key".to_owned()));
            }
            (None, Some(_)) => {
                return Err(("stores.s3.access_key", "it is unset, and there is a secret_key".to_owned()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// `$XDG_DATA_HOME/foggara` or `~/.local/share/foggara`.
pub fn default_data_dir() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into())).join(".local/share");
    std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map_or_else(home, PathBuf::from).join("foggara")
}

/// A variable's text as a TOML value where it is one, else as text.
fn variable_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn insert(table: &mut Table, key: &str, value: Value) {
    let mut parts: Vec<&str> = key.split('.').collect();
    let Some(last) = parts.pop() else { return };
    let mut at = table;
    for part in parts {
        let next = at.entry(part.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        if !next.is_table() {
            *next = Value::Table(Table::new());
        }
        let Value::Table(next) = next else { return };
        at = next;
    }
    at.insert(last.to_owned(), value);
}

/// The dotted names of all values.
fn walk(table: &Table, path: &mut Vec<String>, keys: &mut Vec<String>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            // An empty table is a section, known or not.
            // A setting whose value is a table has keys of the operator's.
            Value::Table(inner) if !is_map(path) && (!inner.is_empty() || is_section(path)) => walk(inner, path, keys),
            _ => keys.push(path.join(".")),
        }
        path.pop();
    }
}

fn is_map(path: &[String]) -> bool {
    known(&path.join(".")).is_ok_and(|entry| entry.kind.contains("Map"))
}

fn is_section(path: &[String]) -> bool {
    let path = path.join(".");
    reference().iter().any(|(section, _, _)| *section == path || section.starts_with(&format!("{path}.")))
}

/// The setting of a dotted name; else the reason with the nearest one.
fn known(key: &str) -> Result<Entry, String> {
    let name = |entry: &Entry| format!("{}.{}", entry.section, entry.key);
    let mut all: Vec<Entry> = reference().into_iter().flat_map(|(_, _, entries)| entries).collect();
    if let Some(found) = all.iter().position(|entry| name(entry) == key) {
        return Ok(all.swap_remove(found));
    }
    let nearest = all.iter().map(name).min_by_key(|known| strsim::levenshtein(known, key)).unwrap_or_default();
    Err(format!("unknown setting; the nearest known one is {nearest} (`foggara config` prints all)"))
}

#[cfg(test)]
mod tests;
