//! A real Flink: one JobManager, and one TaskManager with two slots, below a folder. And the jar of [`Talk`](Talk.java).

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use foggara_engines::flink::home::{self, Memory};

/// Where Flink is. There is no test without it.
pub fn flink_home() -> PathBuf {
    let home = env::var_os("FLINK_HOME").map(PathBuf::from).filter(|home| home.join("lib").is_dir());
    home.expect("FLINK_HOME names no Flink: scripts/setup-flink.sh gets one and prints its place")
}

/// The job of the tests as a jar.
pub fn talk(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/flink/Talk.java");
    let classes = folder.join("classes");
    let path = format!("{}/lib/*", flink_home().display());
    run(Command::new("javac").args(["-nowarn", "-cp", &path, "-d"]).arg(&classes).arg(source));
    let jar = folder.join("talk.jar");
    run(Command::new("jar").arg("cfe").arg(&jar).arg("Talk").arg("-C").arg(&classes).arg("."));
    jar
}

fn run(command: &mut Command) {
    let output = command.output().expect("a JDK: javac and jar on PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes; they end when it is dropped.
pub struct Cluster {
    /// Where its REST listens.
    pub rest: SocketAddr,
    _processes: Vec<Process>,
}

impl Cluster {
    /// Starts one. Without a TaskManager nothing runs on it.
    pub fn start(folder: &Path, task_managers: usize) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let (rpc, rest) = (free_port(), free_port());
        let java = home::Java { program: PathBuf::from("java"), home: flink_home() };
        let settings = home::Settings {
            host: Ipv4Addr::LOCALHOST.to_string(),
            rpc,
            rest,
            slots: 2,
            memory: Memory::default(),
            folder: folder.to_owned(),
        };
        home::write(&settings).expect("written");
        let mut processes = vec![spawn(home::job_manager(&java, &settings), &folder.join("jobmanager.out"))];
        for number in 0..task_managers {
            let name = format!("manager-{number}");
            let words = home::task_manager(&java, &settings, &name);
            processes.push(spawn(words, &folder.join("taskmanager.out")));
        }
        Self { rest: SocketAddr::from((Ipv4Addr::LOCALHOST, rest)), _processes: processes }
    }
}

fn spawn(words: Vec<String>, out: &Path) -> Process {
    let out = fs::File::create(out).expect("a file");
    let mut command = Command::new(&words[0]);
    // Quick to start rather than quick to run.
    command.env("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1");
    command.env("FLINK_OPT_DIR", flink_home().join("opt"));
    command.args(&words[1..]).stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
    Process(command.spawn().expect("java"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}
