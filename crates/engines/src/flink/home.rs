//! A Flink on this host: the command lines of its processes, which the scripts of a download would make, and their settings.
//! The package of jars on PyPI has no scripts, so that both are made here (docs/engines/flink.md).

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// What Flink opens up of Java's own classes; its scripts take the same from its default configuration.
const OPENS: [&str; 12] = [
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
];
/// Name of the file with the settings of logging.
const LOGGING: &str = "log4j.properties";
/// Everything into one file, which Flink's REST shows.
const LOGGING_TEXT: &str = "rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = RollingFile
appender.file.append = true
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 100MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
";
/// Heap of a JobManager in MiB, and what its process needs beside it.
pub const JOB_MANAGER_MB: u64 = 448;

/// Java and Flink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// The Java program.
    pub program: PathBuf,
    /// The folder that has `lib`.
    pub home: PathBuf,
}

/// MiB of a TaskManager by their use. Flink's start script would compute the parts of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Heap for the tasks of jobs.
    pub tasks: u64,
    /// Memory for state and batch operators.
    pub managed: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { tasks: 256, managed: 128 }
    }
}

/// Parts that do not depend on the jobs, in MiB: heap and direct memory of the framework, network, metaspace, overhead.
const FRAMEWORK_MB: u64 = 128;
const NETWORK_MB: u64 = 64;
const METASPACE_MB: u64 = 256;
const OVERHEAD_MB: u64 = 192;

impl Memory {
    /// All that a TaskManager takes.
    pub const fn whole(self) -> u64 {
        self.tasks + self.managed + 2 * FRAMEWORK_MB + NETWORK_MB + METASPACE_MB + OVERHEAD_MB
    }
}

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address that all processes listen on.
    pub host: String,
    /// Port where the JobManager talks to its TaskManagers.
    pub rpc: u16,
    /// Port of its REST.
    pub rest: u16,
    /// Tasks that run at once on a TaskManager.
    pub slots: u64,
    /// Its memory.
    pub memory: Memory,
    /// Where its files lie.
    pub folder: PathBuf,
}

impl Settings {
    fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }
}

/// Writes the files that the processes read.
pub fn write(settings: &Settings) -> io::Result<()> {
    let conf = settings.conf();
    // An empty folder for plugins: without one Flink looks in the working directory.
    for folder in [&conf, &settings.folder.join("plugins"), &settings.folder.join("uploads")] {
        fs::create_dir_all(folder)?;
    }
    fs::write(conf.join(LOGGING), LOGGING_TEXT)?;
    let folder = |name: &str| settings.folder.join(name).display().to_string();
    let host = settings.host.clone();
    let all = [
        ("jobmanager.rpc.address", host.clone()),
        ("jobmanager.rpc.port", settings.rpc.to_string()),
        ("jobmanager.bind-host", host.clone()),
        ("rest.address", host.clone()),
        ("rest.port", settings.rest.to_string()),
        ("rest.bind-address", host.clone()),
        ("taskmanager.host", host.clone()),
        ("taskmanager.bind-host", host),
        ("taskmanager.numberOfTaskSlots", settings.slots.to_string()),
        // A TaskManager that comes first asks again after a second instead of ten.
        ("cluster.registration.error-delay", "1 s".to_owned()),
        ("web.upload.dir", folder("uploads")),
        ("io.tmp.dirs", folder("tmp")),
    ];
    fs::create_dir_all(settings.folder.join("tmp"))?;
    let mut text = String::new();
    for (key, value) in all {
        // A JSON string is one of YAML.
        let _ = writeln!(text, "{key}: {}", serde_json::Value::from(value));
    }
    fs::write(conf.join("config.yaml"), text)
}

/// The command line of the JobManager. Its output belongs into `jobmanager.out` of the folder, where its REST looks for it.
pub fn job_manager(java: &Java, settings: &Settings) -> Vec<String> {
    let heap = format!("-Xmx{JOB_MANAGER_MB}m");
    let class = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
    line(java, settings, &heap, "jobmanager", class)
}

/// The command line of a TaskManager, which its cluster knows by this id. Its output belongs into `taskmanager.out`.
pub fn task_manager(java: &Java, settings: &Settings, id: &str) -> Vec<String> {
    let memory = settings.memory;
    let heap = format!("-Xmx{}m", memory.tasks + FRAMEWORK_MB);
    let class = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
    let mut words = line(java, settings, &heap, "taskmanager", class);
    let megabytes = |many: u64| format!("{many}m");
    let overhead = megabytes(OVERHEAD_MB);
    for (key, value) in [
        ("resource-id", id.to_owned()),
        ("cpu.cores", settings.slots.to_string()),
        ("memory.task.heap.size", megabytes(memory.tasks)),
        ("memory.task.off-heap.size", "0b".to_owned()),
        ("memory.network.min", megabytes(NETWORK_MB)),
        ("memory.network.max", megabytes(NETWORK_MB)),
        ("memory.managed.size", megabytes(memory.managed)),
        ("memory.framework.heap.size", megabytes(FRAMEWORK_MB)),
        ("memory.framework.off-heap.size", megabytes(FRAMEWORK_MB)),
        ("memory.jvm-metaspace.size", megabytes(METASPACE_MB)),
        ("memory.jvm-overhead.min", overhead.clone()),
        ("memory.jvm-overhead.max", overhead),
    ] {
        words.extend(["-D".to_owned(), format!("taskmanager.{key}={value}")]);
    }
    words
}

fn line(java: &Java, settings: &Settings, heap: &str, name: &str, class: &str) -> Vec<String> {
    let conf = settings.conf();
    let mut words = vec![java.program.display().to_string(), heap.to_owned(), "-XX:+UseSerialGC".to_owned()];
    words.extend(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    words.push(format!("-Dlog.file={}", settings.folder.join(name).with_extension("log").display()));
    words.push(format!("-Dlog4j.configurationFile={}", conf.join(LOGGING).display()));
    words.extend(["-cp".to_owned(), class_path(&java.home), class.to_owned()]);
    words.extend(["--configDir".to_owned(), conf.display().to_string()]);
    words
}

fn class_path(home: &Path) -> String {
    format!("{}/*", home.join("lib").display())
}
