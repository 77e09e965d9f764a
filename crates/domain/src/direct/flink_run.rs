//! The words of Flink's client, as MRS's Flink jobs send them (mrs-v2.md section 2): `run`, options, the jar, its arguments.

use std::collections::BTreeMap;

use crate::{
    Code, Error, Result,
    job_type::{
        configs::refuse_identity_key,
        flink::{parallelism, refuse_python},
    },
};

/// A program for Flink, with urls as the client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlinkRun {
    /// Url of the jar.
    pub jar: String,
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
    /// What follows the jar.
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
const REFUSED: [(&str, &str); 12] = [
    ("-C", "put the classes into the jar"),
    ("--classpath", "put the classes into the jar"),
    ("-yt", "put the files into the jar"),
    ("--yarnship", "put the files into the jar"),
    ("-yid", "the job runs on the cluster that it is sent to"),
    ("--yarnapplicationId", "the job runs on the cluster that it is sent to"),
    ("-py", "Flink's REST runs jars only"),
    ("--python", "Flink's REST runs jars only"),
    ("-pym", "Flink's REST runs jars only"),
    ("--pyModule", "Flink's REST runs jars only"),
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
            run.jar.clone_from(word);
            run.args = rest.cloned().collect();
            refuse_python(&run.jar)?;
            return Ok(run);
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
    refuse("arguments: the jar is missing after the options")
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
    const OWN: [&str; 14] = [
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
    ];
    OWN.contains(&option) || SIZES.contains(&option)
}

impl FlinkRun {
    fn take(&mut self, option: &str, value: String) -> Result<()> {
        match option {
            "-c" | "--class" => self.class = Some(value),
            "-p" | "--parallelism" => self.parallelism = Some(parallelism(&format!("the option {option}"), &value)?),
            "-s" | "--fromSavepoint" => self.savepoint = Some(value),
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
            jar: "s3a://b/a.jar".to_owned(),
            class: Some("C".to_owned()),
            parallelism: Some(2),
            savepoint: Some("s3a://b/sp".to_owned()),
            allow_non_restored: true,
            conf: conf.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            args: vec!["-p".to_owned(), "9".to_owned()],
        };
        assert_eq!(run, wanted);
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
            ("run -py /a.py", "runs jars only"),
            ("run /a.py", "runs jars only"),
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
