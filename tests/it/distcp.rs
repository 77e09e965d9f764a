//! Copies between stores by the program itself: its hidden subcommand alone, and as a job of the local engine under a shim.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use foggara_domain::{
    Tag,
    execution::Progress,
    job_type::distcp,
    plan::{HiddenSettings, Plan},
    status::Outcome,
};
use foggara_engines::{
    Engine, JobRef, Launch, Observed, Stop, Stream,
    local::{CopySettings, CopyTask, Local, LocalSettings, SqlSettings},
};
use foggara_testkit::{
    s3::{ACCESS_KEY, FakeS3, SECRET_KEY, Sending},
    wait,
    webhdfs::FakeHdfs,
};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_foggara");
const LONG: Duration = Duration::from_secs(30);

/// A folder that is a root, and an S3 with the buckets `one` and `two`.
pub struct Place {
    dir: tempfile::TempDir,
    pub s3: FakeS3,
    pub hdfs: FakeHdfs,
    /// What the operator says of Swift.
    pub swift: BTreeMap<String, String>,
}

/// How a copy ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    errors: String,
    fault: Option<String>,
}

impl Ended {
    fn counter(&self, name: &str) -> Option<u64> {
        let line = self.out.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        line.parse().ok()
    }

    /// Bytes copied, files copied, files skipped.
    pub fn counters(&self) -> (u64, u64, u64) {
        let of = |name| self.counter(name).unwrap_or_else(|| panic!("no counter {name}: {self:?}"));
        (of("Bytes Copied"), of("Files Copied"), of("Files Skipped"))
    }
}

impl Place {
    pub fn new() -> Result<Self> {
        let (s3, hdfs) = (FakeS3::start(&["one", "two"])?, FakeHdfs::start()?);
        let place = Self { dir: tempfile::tempdir()?, s3, hdfs, swift: BTreeMap::new() };
        fs::create_dir_all(place.path("mapr"))?;
        fs::create_dir_all(place.path("root"))?;
        fs::create_dir_all(place.path("work"))?;
        Ok(place)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path below the root, as an argument.
    pub fn root(&self, name: &str) -> String {
        self.path("root").join(name).display().to_string()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path("root").join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(fs::write(path, bytes)?)
    }

    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path("root").join(name)).ok()
    }

    /// All files below the root, unfinished ones too.
    pub fn files(&self, below: &str) -> Vec<String> {
        let mut files = Vec::new();
        let top = self.path("root").join(below);
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    files.push(entry.path().strip_prefix(&top).expect("below").display().to_string());
                }
            }
        }
        files.sort();
        files
    }

    pub fn configs(&self) -> BTreeMap<String, Value> {
        let configs = json!({
            "fs.s3a.access.key": ACCESS_KEY, "fs.s3a.secret.key": SECRET_KEY, "fs.s3a.endpoint": self.s3.endpoint(),
        });
        configs.as_object().cloned().unwrap_or_default().into_iter().collect()
    }

    fn plan(&self, args: &[&str], configs: &BTreeMap<String, Value>) -> Result<Plan> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Ok(distcp::plan(&args, configs)?)
    }

    fn settings(&self) -> CopySettings {
        let words = [("webhdfs.cluster".to_owned(), self.hdfs.urls()), ("user".to_owned(), "me".to_owned())];
        CopySettings {
            roots: vec![self.path("root")],
            hdfs: HiddenSettings(words.into()),
            mounts: [("maprfs".to_owned(), self.path("mapr"))].into(),
            allow: vec!["127.0.0.1".to_owned()],
            swift: self.swift.clone(),
            // The least that S3 takes.
            block: 5 << 20,
            ..CopySettings::default()
        }
    }

    pub fn start(&self, args: &[&str], configs: &BTreeMap<String, Value>) -> Result<Child> {
        let file = self.path("work/task.json");
        let task = CopyTask {
            plan: self.plan(args, configs)?,
            stores: self.settings(),
            fault: self.path("work/fault"),
            progress: self.path("work/progress"),
        };
        let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file)?;
        serde_json::to_writer(written, &task)?;
        let _ = fs::remove_file(self.path("work/fault"));
        let mut command = Command::new(PROGRAM);
        command.args(["distcp", "--task"]).arg(&file).env_clear().current_dir(self.path("work"));
        Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    pub fn end(&self, child: Child) -> Result<Ended> {
        let output = child.wait_with_output()?;
        let ended = Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            errors: String::from_utf8(output.stderr)?,
            fault: fs::read_to_string(self.path("work/fault")).ok(),
        };
        assert!(!self.path("work/task.json").exists(), "the task, with its keys, is removed");
        assert!(!format!("{ended:?}").contains(SECRET_KEY), "{ended:?}");
        Ok(ended)
    }

    pub fn with(&self, args: &[&str], configs: &BTreeMap<String, Value>) -> Result<Ended> {
        self.end(self.start(args, configs)?)
    }

    fn run(&self, args: &[&str]) -> Result<Ended> {
        self.with(args, &self.configs())
    }

    pub fn done(&self, args: &[&str]) -> Result<Ended> {
        let ended = self.run(args)?;
        assert_eq!((ended.code, &ended.fault), (Some(0), &None), "{args:?}: {ended:?}");
        Ok(ended)
    }

    /// Runs a copy that has to fail with one line of reason.
    pub fn fails(&self, args: &[&str], why: &[&str]) -> Result<Ended> {
        let ended = self.run(args)?;
        let fault = ended.fault.clone().unwrap_or_default();
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(why.iter().all(|why| fault.contains(why)) && fault.lines().count() == 1, "{args:?}: {fault}");
        assert!(ended.errors.contains(&fault), "{ended:?}");
        Ok(ended)
    }
}

/// Names that a careless copy loses, and a file of several parts.
fn tree(place: &Place) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let large = (0..20_000_000u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect();
    let tree = vec![
        (".hidden", b"h".to_vec()),
        ("_log/.x/deep", b"deep".to_vec()),
        ("a b/c#d?%41+ü", b"odd".to_vec()),
        ("empty", Vec::new()),
        ("large", large),
    ];
    for (name, bytes) in &tree {
        place.write(&format!("src/{name}"), bytes)?;
    }
    Ok(tree)
}

#[test]
fn a_tree_goes_from_files_to_s3_to_s3_and_back() -> Result<()> {
    let place = Place::new()?;
    let tree = tree(&place)?;
    let all: u64 = tree.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    for (from, to) in [
        (place.root("src"), "s3a://one/in/dir".to_owned()),
        ("s3a://one/in/dir".to_owned(), "obs://two/copy".to_owned()),
        ("s3n://two/copy".to_owned(), format!("file://{}", place.root("back"))),
        (format!("hdfs://{}", place.root("back")), place.root("again")),
    ] {
        let ended = place.done(&[&from, &to])?;
        assert_eq!(ended.counters(), (all, 5, 0), "{from} {to}");
        assert!(ended.out.contains("5 of 5 files, 20.0 MB"), "{}", ended.out);
        let told: Progress = serde_json::from_slice(&fs::read(place.path("work/progress"))?)?;
        let counters = &told.counters["DistCp Counters"];
        assert_eq!(
            (told.percent, counters["Files Copied"], counters["Bytes Expected"]),
            (100.0, 5, i64::try_from(all)?)
        );
    }
    for (name, bytes) in &tree {
        assert!(place.s3.get("two", &format!("copy/{name}")).is_some_and(|there| there == bytes), "{name}");
        assert!(place.read(&format!("again/{name}")).is_some_and(|there| there == *bytes), "{name}");
    }
    assert_eq!((place.files("back").len(), place.files("again").len()), (5, 5), "nothing unfinished is left");
    assert_eq!(place.s3.open_uploads(), 0);
    Ok(())
}

#[test]
fn a_tree_goes_to_hdfs_and_to_a_share_and_back() -> Result<()> {
    let place = Place::new()?;
    let tree = tree(&place)?;
    fs::create_dir_all(place.path("root/src/nothing/in it"))?;
    let web = format!("webhdfs://{}/copy", place.hdfs.address(0));
    for (from, to) in [
        (place.root("src"), "hdfs://cluster/in/dir".to_owned()),
        ("hdfs://cluster/in/dir".to_owned(), web.clone()),
        (web, "maprfs:///share".to_owned()),
        ("maprfs:///share".to_owned(), "s3a://one/dir".to_owned()),
        ("s3a://one/dir".to_owned(), place.root("back")),
    ] {
        place.hdfs.set_break_after(if from.starts_with("hdfs") { 7_000_000 } else { usize::MAX });
        assert_eq!(place.done(&[&from, &to])?.counters().1, 5, "{from} {to}");
    }
    for (name, bytes) in &tree {
        assert!(place.read(&format!("back/{name}")).is_some_and(|there| there == *bytes), "{name}");
    }
    assert_eq!((place.hdfs.files().len(), place.files("back").len()), (10, 5), "nothing unfinished is left");
    // A folder without files is one where there are folders.
    for folder in ["/in/dir/nothing/in it", "/copy/nothing/in it"] {
        assert!(place.hdfs.folders().contains(&folder.to_owned()), "{folder}: {:?}", place.hdfs.folders());
    }
    assert!(place.path("mapr/share/nothing/in it").is_dir());
    // HDFS tells no checksums that others have: size and time count, and what the fake has is of the first of January.
    assert_eq!(place.done(&["-update", &place.root("src"), "hdfs://cluster/in/dir"])?.counters().1, 5);
    let ended = place.done(&["-update", "-skipcrccheck", &place.root("src"), "hdfs://cluster/in/dir"])?;
    assert_eq!(ended.counter("Files Skipped"), Some(5), "{ended:?}");
    place.write("src/empty", b"no more")?;
    fs::remove_file(place.path("root/src/large"))?;
    let ended = place.done(&["-overwrite", "-delete", &place.root("src"), "hdfs://cluster/in/dir"])?;
    assert_eq!((ended.counter("Files Copied"), ended.counter("Files Deleted")), (Some(4), Some(1)), "{ended:?}");
    assert_eq!(place.hdfs.get("/in/dir/empty").as_deref(), Some(&b"no more"[..]));
    Ok(())
}

#[test]
fn names_at_the_destination_follow_hadoop() -> Result<()> {
    let place = Place::new()?;
    place.write("d/x", b"x")?;
    place.write("e/y", b"y")?;
    place.write("file", b"f")?;
    place.write("there/old", b"o")?;
    let of = |name: &str| place.root(name);
    place.done(&[&of("file"), &of("new/name")])?;
    assert_eq!(place.files("new"), ["name"]);
    place.done(&[&of("file"), &of("there")])?;
    place.done(&[&of("d"), &of("there")])?;
    assert_eq!(place.files("there"), ["d/x", "file", "old"]);
    place.done(&["-update", &of("d"), &of("there")])?;
    assert_eq!(place.files("there"), ["d/x", "file", "old", "x"]);
    place.done(&[&of("d"), &of("e"), &of("file"), "s3a://one/several"])?;
    assert_eq!(place.s3.keys("one"), ["several/d/x", "several/e/y", "several/file"]);
    // A whole bucket has no name to go under.
    place.done(&["s3a://one/", &of("bucket")])?;
    assert_eq!(place.files("bucket"), ["several/d/x", "several/e/y", "several/file"]);
    place.done(&[&of("file"), "s3a://two"])?;
    assert_eq!(place.s3.keys("two"), ["file"]);
    place.fails(&[&of("d"), &of("e"), &of("file")], &["several sources", "file"])?;
    place.fails(&[&of("d"), &of("file")], &["is a folder"])?;
    place.write("other/d/x", b"z")?;
    place.fails(&[&of("d"), &of("other/d"), &of("both")], &["would both become d/x"])?;
    assert_eq!(place.files("both"), Vec::<String>::new());
    Ok(())
}

#[test]
fn what_is_there_is_skipped_updated_overwritten_or_deleted() -> Result<()> {
    let place = Place::new()?;
    place.write("src/same", b"same")?;
    place.write("src/longer", b"longer now")?;
    let (source, to) = (place.root("src"), "s3a://one/to");
    let put = || {
        place.s3.put("one", "to/same", b"SAME");
        place.s3.put("one", "to/longer", b"long");
        place.s3.put("one", "to/surplus", b"s");
        place.s3.put("one", "to-beside", b"b");
    };
    put();
    // What the fake has is of 2026-01-01: older than files of today, newer than this one.
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(place.path("root/src/same"))?.set_modified(old)?;
    // Without options what is there by its name stays: "src" is not there yet, and then it is.
    assert_eq!(place.done(&[&source, to])?.counters(), (14, 2, 0));
    assert_eq!(place.done(&[&source, to])?.counters(), (0, 0, 2));
    assert_eq!(place.s3.get("one", "to/same").as_deref(), Some(&b"SAME"[..]));
    // Of the same size and newer, but with another checksum.
    assert_eq!(place.done(&["-update", &source, to])?.counters(), (14, 2, 0));
    assert_eq!(place.s3.get("one", "to/longer").as_deref(), Some(&b"longer now"[..]));
    assert_eq!(place.s3.get("one", "to/same").as_deref(), Some(&b"same"[..]));
    // Older, but with the same checksum: so it is between files of this host, too.
    assert_eq!(place.done(&["-update", &source, to])?.counters(), (0, 0, 2));
    let back = place.root("back");
    assert_eq!(place.done(&[to, &back])?.counters().1, 5);
    assert_eq!(place.done(&["-update", &source, &back])?.counters(), (0, 0, 2));
    place.write("back/same", b"SAME")?;
    assert_eq!(place.done(&["-update", &source, &back])?.counters(), (4, 1, 1));
    assert_eq!(place.done(&["-overwrite", &source, to])?.counters(), (14, 2, 0));
    assert_eq!(place.s3.get("one", "to/same").as_deref(), Some(&b"same"[..]));
    put();
    fs::File::options().write(true).open(place.path("root/src/same"))?.set_modified(std::time::SystemTime::now())?;
    assert_eq!(place.done(&["-update", "-skipcrccheck", &source, to])?.counters(), (10, 1, 1));
    assert!(place.s3.get("one", "to/surplus").is_some());
    let ended = place.done(&["-update", "-delete", &source, to])?;
    assert_eq!((ended.counters(), ended.counter("Files Deleted")), ((4, 1, 1), Some(3)), "only one is another");
    assert_eq!(place.s3.keys("one"), ["to-beside", "to/longer", "to/same"]);
    let file = place.root("src/same");
    place.fails(&["-update", "-delete", &file, to], &["-delete needs folders"])?;
    assert_eq!(place.s3.keys("one").len(), 3);
    Ok(())
}

#[test]
fn a_failure_names_the_file_and_the_reason() -> Result<()> {
    let place = Place::new()?;
    place.write("src/a", b"a")?;
    place.fails(&[&place.root("none"), "s3a://one/x"], &["Input path does not exist", "none"])?;
    place.fails(&["s3a://one/none", &place.root("x")], &["Input path does not exist", "s3a://one/none"])?;
    place.fails(
        &[&place.root("src"), "s3a://nobodys/x"],
        &["cannot copy", "src/a", "bucket 'nobodys' does not exist"],
    )?;
    place.fails(&["/etc/passwd", "s3a://one/x"], &["/etc/passwd", "outside of the folders"])?;
    place.fails(&[&place.root("src"), "/etc/foggara-test"], &["outside of the folders"])?;
    symlink("/etc", place.path("root/src/out"))?;
    place.fails(&[&place.root("src"), "s3a://one/x"], &["outside of the folders"])?;
    fs::remove_file(place.path("root/src/out"))?;
    assert_eq!(place.s3.keys("one"), Vec::<String>::new());
    let none = place.with(&[&place.root("src"), "s3a://one/x"], &BTreeMap::new())?;
    assert!(
        none.code == Some(1) && none.fault.as_ref().is_some_and(|fault| fault.contains("fs.s3a.access.key")),
        "{none:?}"
    );
    let mut wrong = place.configs();
    wrong.insert("fs.s3a.secret.key".to_owned(), json!("another-secret"));
    let wrong = place.with(&[&place.root("src"), "s3a://one/x"], &wrong)?;
    assert!(wrong.fault.as_ref().is_some_and(|fault| fault.contains("secret key is wrong")), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("another-secret"), "{wrong:?}");
    Ok(())
}

#[test]
fn failures_are_ignored_only_where_that_is_asked_for() -> Result<()> {
    let place = Place::new()?;
    for name in ["a", "b", "c"] {
        place.write(&format!("src/{name}"), name.as_bytes())?;
    }
    // A folder stands where the file b would go.
    place.write("to/b/inside", b"i")?;
    let (source, to) = (place.root("src"), place.root("to"));
    let ended = place.fails(&["-overwrite", "-m", "1", &source, &to], &["cannot copy", "src/b", "is not a file"])?;
    assert_eq!((ended.counter("Files Copied"), ended.counter("Files Failed")), (Some(1), Some(1)));
    let ended = place.done(&["-overwrite", "-i", &source, &to])?;
    assert_eq!((ended.counters(), ended.counter("Files Failed")), ((2, 2, 0), Some(1)));
    assert!(ended.errors.contains("src/b"), "{ended:?}");
    assert_eq!(place.files("to"), ["a", "b/inside", "c"]);
    Ok(())
}

pub fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
}

pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sigterm_ends_it_and_leaves_no_half_files() -> Result<()> {
    let place = Place::new()?;
    place.s3.put("one", "src/a", &vec![1; 1 << 20]);
    place.s3.set_sending(Sending::Stalled);
    let down = place.start(&["s3a://one/src", &place.root("to")], &place.configs())?;
    wait_for("a file was begun", || !place.files("to").is_empty());
    let began = Instant::now();
    terminate(&down);
    let ended = place.end(down)?;
    assert_eq!((ended.code, ended.fault), (Some(143), None));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(place.files("to"), Vec::<String>::new());
    // On its way up, while the server does not answer.
    place.write("up/b", &vec![1; 1 << 20])?;
    place.s3.set_stuck_after(Some(0));
    let up = place.start(&[&place.root("up"), "s3a://two/to"], &place.configs())?;
    wait_for("an upload was begun", || place.s3.asked().iter().any(|line| line.starts_with("PUT /two/")));
    let began = Instant::now();
    terminate(&up);
    assert_eq!(place.end(up)?.code, Some(143));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(place.s3.keys("two"), Vec::<String>::new());
    Ok(())
}

struct Job {
    engine: Local,
    tag: Tag,
    workspace: PathBuf,
    logs: PathBuf,
}

impl Job {
    /// Starts a copy as the server does: under a shim.
    async fn start(place: &Place, plan: &Plan) -> Result<Self> {
        let settings = LocalSettings {
            data_dir: place.path("data"),
            program: PathBuf::from(PROGRAM),
            plugin: "local",
            max_running: 1,
            memory_mb: None,
            log_limit: 1 << 20,
            spark_cores: 1,
            spark_cluster: None,
            sql: SqlSettings::default(),
            hive: None,
            spark_home: None,
            java_home: None,
            pig_home: None,
            copying: place.settings(),
            cgroup_root: Some(place.path("no-cgroups")),
        };
        let job = Self {
            engine: Local::new(settings)?,
            tag: Tag::from(format!("fg-{}-1", place.dir.path().file_name().context("a name")?.to_string_lossy())),
            workspace: place.path("work"),
            logs: place.path("logs"),
        };
        let launch = Launch {
            urls: &BTreeMap::new(),
            tag: &job.tag,
            job_type: "DistCp",
            job_name: "copy",
            plan: Some(plan),
            workspace: job.workspace.clone(),
            logs: job.logs.clone(),
            kill_grace: Duration::from_secs(5),
        };
        job.engine.launch(launch).await?;
        Ok(job)
    }

    async fn end(&self) -> Result<foggara_engines::Ended> {
        wait::until("the copy ended", LONG, || async {
            match self.engine.observe(JobRef::from(&self.tag)).await {
                Ok(Observed::Ended(ended)) => Some(ended),
                _ => None,
            }
        })
        .await
    }
}

fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => holds(&path, text),
        path => fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes())),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_a_job_of_the_local_engine() -> Result<()> {
    let place = Place::new()?;
    place.write("src/a", b"abc")?;
    let plan = place.plan(&[&place.root("src"), "s3a://one/to"], &place.configs())?;
    let job = Job::start(&place, &plan).await?;
    let ended = job.end().await?;
    assert_eq!(ended.outcome, Outcome::Succeeded, "{ended:?}");
    let out = job.engine.logs(JobRef::from(&job.tag), Stream::Stdout, 0, 1 << 20).await?;
    assert!(String::from_utf8(out.bytes)?.contains("Files Copied=1"));
    assert_eq!(place.s3.keys("one"), ["to/a"]);
    for folder in ["data", "work", "logs"] {
        assert!(!holds(&place.path(folder), SECRET_KEY), "the key is still in {folder}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_says_why_in_its_record() -> Result<()> {
    let place = Place::new()?;
    place.write("src/a", b"abc")?;
    let plan = place.plan(&[&place.root("src"), "s3a://nobodys/to"], &place.configs())?;
    let job = Job::start(&place, &plan).await?;
    let ended = job.end().await?;
    assert_eq!(ended.outcome, Outcome::Failed, "{ended:?}");
    assert!(format!("{ended:?}").contains("bucket 'nobodys' does not exist"), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_copy_shows_no_key_and_can_be_stopped() -> Result<()> {
    let place = Place::new()?;
    place.s3.put("one", "src/a", &vec![1; 1 << 20]);
    place.s3.set_sending(Sending::Stalled);
    let plan = place.plan(&["s3a://one/src", &place.root("to")], &place.configs())?;
    let job = Job::start(&place, &plan).await?;
    wait::until("a file was begun", LONG, || async { (!place.files("to").is_empty()).then_some(()) }).await?;
    let pids = foggara_testkit::processes::tagged(job.tag.as_str());
    assert!(!pids.is_empty());
    for pid in pids {
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains(SECRET_KEY), "a key in {file}");
        }
    }
    job.engine.stop(JobRef::from(&job.tag), Stop::Gently).await?;
    let ended = job.end().await?;
    assert_ne!(ended.outcome, Outcome::Succeeded, "{ended:?}");
    assert_eq!(place.files("to"), Vec::<String>::new());
    Ok(())
}
