//! A folder with all that a request names, and the program run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use foggara_domain::sql::{SqlAnswer, SqlDialect, SqlRequest};
use tempfile::TempDir;

/// The folders of a job.
pub struct Bench {
    _held: TempDir,
    /// With links followed.
    pub root: PathBuf,
    /// What the next run asks for, without its script.
    pub request: SqlRequest,
}

/// The end of a run.
pub struct Done {
    /// Exit code.
    pub code: Option<i32>,
    /// Lines of the standard output.
    pub lines: Vec<String>,
    /// Standard error.
    pub log: String,
    /// The reason, when there is one.
    pub fault: String,
}

impl Bench {
    /// With empty folders.
    pub fn new(dialect: SqlDialect) -> Self {
        let held = tempfile::tempdir().unwrap();
        let root = held.path().canonicalize().unwrap();
        for name in ["workspace", "warehouse", "data"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let request = SqlRequest {
            script: String::new(),
            dialect,
            variables: Default::default(),
            settings: Default::default(),
            database: "default".into(),
            catalogue: root.join("catalogue"),
            warehouse: root.join("warehouse"),
            roots: vec![root.join("data")],
            workspace: root.join("workspace"),
            buckets: Vec::new(),
            results: root.join("results"),
            result_rows: 0,
            memory_bytes: 1 << 30,
            time_limit_seconds: 0,
            fault: root.join("fault"),
        };
        Self { _held: held, root, request }
    }

    /// Writes a file below the allowed folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts the program; `name` keeps several runs at once apart.
    pub fn start(&self, name: &str, script: &str) -> Child {
        let mut request = self.request.clone();
        request.script = script.to_owned();
        request.fault = self.root.join(format!("fault{name}"));
        request.results = self.root.join(format!("results{name}"));
        let path = self.root.join(format!("request{name}.json"));
        fs::write(&path, serde_json::to_vec(&request).unwrap()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_foggara-sql"))
            .args([Path::new("run"), Path::new("--request"), &path])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits for the end of a run.
    pub fn wait(&self, name: &str, child: Child) -> Done {
        let out = child.wait_with_output().unwrap();
        Done {
            code: out.status.code(),
            lines: String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect(),
            log: String::from_utf8(out.stderr).unwrap(),
            fault: fs::read_to_string(self.root.join(format!("fault{name}"))).unwrap_or_default(),
        }
    }

    /// Runs a script.
    pub fn run(&self, script: &str) -> Done {
        self.wait("", self.start("", script))
    }

    /// Runs a script that must succeed; its lines.
    pub fn rows(&self, script: &str) -> Vec<String> {
        let done = self.run(script);
        assert_eq!(done.code, Some(0), "{script}\n{}", done.log);
        assert_eq!(done.fault, "");
        done.lines
    }

    /// Runs a script that must fail; the reason.
    pub fn reason(&self, script: &str) -> String {
        let done = self.run(script);
        assert_eq!(done.code, Some(1), "{script}\n{:?}", done.lines);
        assert_eq!(done.fault.lines().count(), 1, "one line: {}", done.fault);
        assert!(done.log.contains(done.fault.trim()), "the reason stands in the log too");
        done.fault.trim().to_owned()
    }

    /// The answer of the last run.
    pub fn answer(&self) -> SqlAnswer {
        serde_json::from_slice(&fs::read(self.root.join("results/answer.json")).unwrap()).unwrap()
    }

    /// The body of sql-result.
    pub fn body(&self) -> serde_json::Value {
        let out = Command::new(env!("CARGO_BIN_EXE_foggara-sql"))
            .arg("results")
            .arg("--folder")
            .arg(self.root.join("results"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}
