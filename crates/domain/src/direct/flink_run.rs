//! The words of Flink's client, as MRS's Flink jobs send them (mrs-v2.md section 2): `run`, options, the jar, its arguments.

use std::collections::BTreeMap;

use crate::{
    Code, Error, Result,
    job_type::{
        configs::refuse_identity_key,
        flink::{self, parallelism},
    },
};

/// A program for Flink, with urls as the client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlinkRun {
    /// Url of the program: a jar, a script of SQL, or a program in Python.
    pub main: String,
    /// `-c`
    pub class: Option<String>,
    /// `-p`
    pub parallelism: Option<u32>,
    /// `-s`
    pub savepoint: Option<String>,
    /// `-n`
    pub allow_non_restored: bool,
    /// Settings from `-D` and from the options that stand for one.
    pub conf: BTreeMap<String, String>,
    /// What follows the program.
    pub args: Vec<String>,
}

/// Without a meaning here: the job is always detached, on a cluster that is there.
const FLAGS: [&str; 8] =
    ["-d", "--detached", "-yd", "--yarndetached", "-sae", "--shutdownOnAttachedExit", "-q", "--sysoutLogging"];
/// With a value and without a meaning: how large a cluster of YARN's would be made for the job.
const SIZES: [&str; 14] = [
    "-yn",
    "--yarncontainer",
    "-yjm",
    "--yarnjobManagerMemory",
    "-ytm",
    "--yarntaskManagerMemory",
    "-ys",
    "--yarnslots",
    "-yqu",
    "--yarnqueue",
    "-yat",
    "--yarnapplicationType",
    "-ynl",
    "--yarnnodeLabel",
];
/// The only clusters that a client may name: they mean the one that the job is sent to.
const CLUSTERS: [&str; 4] = ["yarn-cluster", "yarn-per-job", "yarn-session", "remote"];
/// Known, and not to be had.
const REFUSED: [(&str, &str); 16] = [
    ("-C", "put the classes into the jar"),
    ("--classpath", "put the classes into the jar"),
    ("-yt", "put the files into the jar"),
    ("--yarnship", "put the files into the jar"),
    ("-yid", "the job runs on the cluster that it is sent to"),
    ("--yarnapplicationId", "the job runs on the cluster that it is sent to"),
    ("-pym", "name the program's file by -py"),
    ("--pyModule", "name the program's file by -py"),
    ("-pyfs", "put all into the program's file"),
    ("--pyFiles", "put all into the program's file"),
    ("-pyexec", "the cluster has its Python"),
    ("--pyExecutable", "the cluster has its Python"),
    ("-pyclientexec", "the cluster has its Python"),
    ("--pyClientExecutable", "the cluster has its Python"),
    ("-h", "it starts no job"),
    ("--help", "it starts no job"),
];

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::refused(Code::InvalidData, text))
}

/// Reads the words.
pub fn read(words: &[String]) -> Result<FlinkRun> {
    match words.first().map(String::as_str) {
        Some("run") => {}
        Some(other) => return refuse(format!("arguments: a Flink job begins with the word run, not with '{other}'")),
        None => return refuse("arguments: the words of Flink's client are missing: run [options] jar [arguments]"),
    }
    let mut run = FlinkRun::default();
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') {
            if word.trim().is_empty() {
                break;
            }
            if run.main.is_empty() {
                run.main.clone_from(word);
            } else {
                run.args.push(word.clone());
            }
            run.args.extend(rest.cloned());
            return run.checked();
        }
        let (option, value) = split(word);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == option) {
            return refuse(format!("the option {option} cannot be used: {why}"));
        }
        match option {
            _ if FLAGS.contains(&option) => continue,
            "-n" | "--allowNonRestoredState" => {
                run.allow_non_restored = true;
                continue;
            }
            _ => {}
        }
        if !takes_value(option) {
            return refuse(format!("the option {option} is not known; options stand before the jar"));
        }
        let Some(value) = value.map(str::to_owned).or_else(|| rest.next().cloned()) else {
            return refuse(format!("the option {option} lacks its value"));
        };
        run.take(option, value)?;
    }
    if run.main.is_empty() { refuse("arguments: the jar is missing after the options") } else { run.checked() }
}

/// `-Dkey=value` and `--option=value` are one word.
fn split(word: &str) -> (&str, Option<&str>) {
    for option in ["-yD", "-D"] {
        if let Some(rest) = word.strip_prefix(option).filter(|rest| !rest.is_empty()) {
            return (option, Some(rest));
        }
    }
    match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => (option, Some(value)),
        _ => (word, None),
    }
}

fn takes_value(option: &str) -> bool {
    const OWN: [&str; 16] = [
        "-c",
        "--class",
        "-p",
        "--parallelism",
        "-s",
        "--fromSavepoint",
        "-D",
        "-yD",
        "-m",
        "--jobmanager",
        "-t",
        "--target",
        "-ynm",
        "--yarnname",
        "-py",
        "--python",
    ];
    OWN.contains(&option) || SIZES.contains(&option)
}

impl FlinkRun {
    fn checked(self) -> Result<Self> {
        flink::Kind::of(&self.main).check(&self.main, self.class.as_deref(), &self.args)?;
        Ok(self)
    }

    fn take(&mut self, option: &str, value: String) -> Result<()> {
        match option {
            "-c" | "--class" => self.class = Some(value),
            "-p" | "--parallelism" => self.parallelism = Some(parallelism(&format!("the option {option}"), &value)?),
            "-s" | "--fromSavepoint" => self.savepoint = Some(value),
            "-py" | "--python" if flink::Kind::of(&value) == flink::Kind::Python => self.main = value,
            "-py" | "--python" => return refuse(format!("the option {option} is '{value}': it has to be a .py file")),
            "-ynm" | "--yarnname" => {
                self.conf.insert("pipeline.name".to_owned(), value);
            }
            "-D" | "-yD" => {
                let Some((key, value)) = value.split_once('=') else {
                    return refuse(format!("the option {option} takes key=value"));
                };
                refuse_identity_key(&format!("the option {option}"), key)?;
                self.conf.insert(key.to_owned(), value.to_owned());
            }
            "-m" | "--jobmanager" | "-t" | "--target" if !CLUSTERS.contains(&value.as_str()) => {
                return refuse(format!(
                    "the option {option} is '{value}': the job runs on the cluster that it is sent to; leave it out, or say one of {}",
                    CLUSTERS.join(", ")
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<FlinkRun> {
        read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_of_the_client() {
        let text =
            "run -d -m yarn-cluster -ynm n -ytm 1024 -c C -p 2 -s s3a://b/sp -n -Da.b=c -yD d=e s3a://b/a.jar -p 9";
        let run = words(text).expect("read");
        let conf = [("a.b", "c"), ("d", "e"), ("pipeline.name", "n")];
        let wanted = FlinkRun {
            main: "s3a://b/a.jar".to_owned(),
            class: Some("C".to_owned()),
            parallelism: Some(2),
            savepoint: Some("s3a://b/sp".to_owned()),
            allow_non_restored: true,
            conf: conf.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            args: vec!["-p".to_owned(), "9".to_owned()],
        };
        assert_eq!(run, wanted);
        // A program in Python stands in the place of the jar, or is named by an option.
        for text in ["run -d s3a://b/a.py in out", "run -py s3a://b/a.py -d in out"] {
            let run = words(text).expect(text);
            assert_eq!((run.main.as_str(), run.args.join(" ").as_str()), ("s3a://b/a.py", "in out"), "{text}");
        }
        assert_eq!(words("run --python=/a.py").expect("read").main, "/a.py");
        assert_eq!(words("run s3a://b/a.sql").expect("read").main, "s3a://b/a.sql");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("list", "begins with the word run"),
            ("run -d", "the jar is missing"),
            ("run -x /a.jar", "-x is not known"),
            ("run -c", "-c lacks its value"),
            ("run -p 0 /a.jar", "the option -p is '0'"),
            ("run -m host:8081 /a.jar", "the job runs on the cluster"),
            ("run -py /a.jar", "has to be a .py file"),
            ("run -pym m", "-pym cannot be used"),
            ("run -c C /a.py", "/a.py has no main class"),
            ("run /a.sql in", "takes no arguments"),
            ("run -Dx /a.jar", "takes key=value"),
            ("run -Dpipeline.global-job-parameters=a:b /a.jar", "is set by the service"),
            ("run -D$internal.pipeline.job-id=a /a.jar", "is set by the service"),
        ] {
            let error = words(text).expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(read(&[]).expect_err("nothing").to_string().contains("are missing"));
    }
}
