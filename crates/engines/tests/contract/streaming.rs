//! MapReduce.Streaming on the local engine (decision 24).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use foggara_domain::{Tag, plan::Plan, status::Outcome};
use foggara_engines::{Ended, Engine, JobRef, Stop};

use crate::place::{Place, until};

const SPLIT: &str = "tr -s ' ' '\\n' | grep . | sed 's/$/\\t1/'";
const COUNT: &str = "awk -F '\\t' '{n[$1]+=$2} END {for (w in n) print w \"\\t\" n[w]}'";

struct Job {
    mapper: Vec<String>,
    reducer: Vec<String>,
    input: PathBuf,
    output: PathBuf,
    reducers: u32,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Job {
    /// A word count over a folder of the place.
    fn of(place: &Place, input: &str, reducers: u32) -> Self {
        Self {
            mapper: words(&["sh", "-c", SPLIT]),
            reducer: words(&["sh", "-c", COUNT]),
            input: place.path(input),
            output: place.path("out"),
            reducers,
        }
    }

    async fn start(self, place: &Place, name: &str) -> Tag {
        let tag = place.tag(name);
        let Self { mapper, reducer, input, output, reducers } = self;
        let (input, output) = (input.display().to_string(), output.display().to_string());
        let plan = Plan::Streaming {
            mapper,
            reducer,
            input,
            output,
            reducers,
            env: BTreeMap::new(),
            properties: BTreeMap::new(),
        };
        place.launch(&tag, &plan).await.expect("launched");
        tag
    }

    async fn run(self, place: &Place, name: &str) -> Ended {
        let tag = self.start(place, name).await;
        place.end(&tag).await
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("listed")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn input(place: &Place) {
    let folder = place.path("in");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("b.txt"), "tea water tea\n").expect("written");
    fs::write(folder.join("a.txt"), "water salt\nfig").expect("written");
    fs::write(folder.join("_hidden"), "hidden\n").expect("written");
    fs::write(folder.join(".hidden"), "hidden\n").expect("written");
}

#[tokio::test]
async fn words_are_counted_over_a_folder_with_many_reducers() {
    let place = Place::new();
    input(&place);
    let ended = Job::of(&place, "in", 3).run(&place, "count").await;
    assert_eq!(ended.outcome, Outcome::Succeeded, "{ended:?}");
    assert_eq!(names(&place.path("out")), ["_SUCCESS", "part-00000", "part-00001", "part-00002"]);
    let mut lines = Vec::new();
    for part in 0..3 {
        let text = fs::read_to_string(place.path(&format!("out/part-0000{part}"))).expect("read");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    assert_eq!(lines, ["fig\t1", "salt\t1", "tea\t2", "water\t2"], "each key at one reducer, hidden files left out");
    assert!(!names(place.dir.path()).iter().any(|name| name.starts_with(".unfinished")));
}

#[tokio::test]
async fn reducers_read_their_keys_in_order_of_bytes() {
    let place = Place::new();
    fs::write(place.path("in"), "b\t1\nB\t2\n\u{e4}\t3\na b\t4\na\t5\nb\t0\nnokey\n\n").expect("written");
    let mut job = Job::of(&place, "in", 1);
    (job.mapper, job.reducer) = (words(&["cat"]), words(&["cat"]));
    assert_eq!(job.run(&place, "sorted").await.outcome, Outcome::Succeeded);
    let text = fs::read_to_string(place.path("out/part-00000")).expect("read");
    assert_eq!(
        text, "\nB\t2\na\t5\na b\t4\nb\t1\nb\t0\nnokey\n\u{e4}\t3\n",
        "by the key only, equal ones as they came"
    );
}

#[tokio::test]
async fn without_reducers_the_mappers_output_is_the_result() {
    let place = Place::new();
    input(&place);
    let mut job = Job::of(&place, "in", 0);
    job.mapper = words(&["cat"]);
    assert_eq!(job.run(&place, "maps").await.outcome, Outcome::Succeeded);
    assert_eq!(names(&place.path("out")), ["_SUCCESS", "part-00000", "part-00001"]);
    assert_eq!(fs::read_to_string(place.path("out/part-00000")).expect("read"), "water salt\nfig");
}

#[tokio::test]
async fn faults_are_told_and_leave_no_output() {
    let place = Place::new();
    input(&place);
    fs::create_dir_all(place.path("nested/sub")).expect("made");
    type Change = fn(&mut Job);
    let cases: [(&str, Change, &str); 7] = [
        ("mapper", |job| job.mapper = words(&["sh", "-c", "exit 3"]), "mapper failed: exit code 3"),
        ("reducer", |job| job.reducer = words(&["sh", "-c", "cat > /dev/null; exit 5"]), "reducer failed: exit code 5"),
        ("signal", |job| job.reducer = words(&["sh", "-c", "kill -9 $$"]), "reducer failed: killed by signal 9"),
        ("program", |job| job.mapper = words(&["no-such-program"]), "mapper cannot be run: no-such-program"),
        ("input", |job| job.input.set_file_name("missing"), "Input path does not exist: file:"),
        ("folder", |job| job.input.set_file_name("nested"), "Not a file: file:"),
        ("plain", |job| job.output = PathBuf::from("/proc/none/out"), "cannot make the output"),
    ];
    for (name, change, cause) in cases {
        let mut job = Job::of(&place, "in", 2);
        change(&mut job);
        let ended = job.run(&place, name).await;
        let reason = ended.reason.unwrap_or_default();
        assert!(reason.starts_with("exit code 1: ") && reason.contains(cause), "{name}: {reason}");
        assert!(place.errors(&place.tag(name)).await.contains(cause), "{name}: the log says it too");
        let left = names(place.dir.path());
        assert!(!left.iter().any(|name| name == "out" || name.starts_with(".unfinished")), "{name}: {left:?}");
    }
}

#[tokio::test]
async fn an_output_that_exists_is_refused_and_kept() {
    let place = Place::new();
    input(&place);
    fs::create_dir(place.path("out")).expect("made");
    let ended = Job::of(&place, "in", 1).run(&place, "exists").await;
    let wanted = format!("exit code 1: Output directory file:{} already exists", place.path("out").display());
    assert_eq!(ended.reason, Some(wanted));
    assert_eq!(names(&place.path("out")), Vec::<String>::new());
}

#[tokio::test]
async fn a_stopped_job_leaves_neither_processes_nor_output() {
    let place = Place::new();
    input(&place);
    for (name, how) in [("gently", Stop::Gently), ("hard", Stop::Hard)] {
        let mut job = Job::of(&place, "in", 1);
        job.mapper = words(&["sh", "-c", "echo $$ > mapper; exec sleep 600"]);
        let tag = job.start(&place, name).await;
        let mapper = place.pid_in(&tag, "mapper").await;
        until("the output is begun", || async {
            names(place.dir.path()).iter().any(|name| name.starts_with(".unfinished")).then_some(())
        })
        .await;
        place.engine.stop(JobRef::from(&tag), how).await.expect("sent");
        place.end(&tag).await;
        assert!(!crate::place::lives(mapper));
        let left = names(place.dir.path());
        assert!(!left.iter().any(|name| name == "out" || name.starts_with(".unfinished")), "{left:?}");
    }
}

#[tokio::test]
async fn a_fetched_script_is_found_in_the_working_directory() {
    let place = Place::new();
    input(&place);
    let tag = place.tag("library");
    // As they were fetched: not executable, one without a first line.
    fs::write(place.workspace(&tag).join("map.sh"), SPLIT).expect("written");
    let reduce = "#!/usr/bin/awk -f\nBEGIN { FS = \"\\t\" } { n += $2 } END { print \"all\", n }\n";
    fs::write(place.workspace(&tag).join("reduce.awk"), reduce).expect("written");
    let mut job = Job::of(&place, "in", 1);
    (job.mapper, job.reducer) = (words(&["map.sh"]), words(&["reduce.awk"]));
    assert_eq!(job.run(&place, "library").await.outcome, Outcome::Succeeded);
    assert_eq!(fs::read_to_string(place.path("out/part-00000")).expect("read"), "all 6\n");
}

#[tokio::test]
async fn a_reducer_may_stop_reading() {
    let place = Place::new();
    let many: String = (0..50_000).map(|number| format!("word{number}\t1\n")).collect();
    fs::write(place.path("in"), many).expect("written");
    let mut job = Job::of(&place, "in", 1);
    (job.mapper, job.reducer) = (words(&["cat"]), words(&["head", "-n", "1"]));
    assert_eq!(job.run(&place, "head").await.outcome, Outcome::Succeeded);
    assert_eq!(fs::read_to_string(place.path("out/part-00000")).expect("read"), "word0\t1\n");
}
