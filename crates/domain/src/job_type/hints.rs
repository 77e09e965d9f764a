//! Config hints (sahara-v1.1.md section 7.3). The properties are data files that we wrote from the published property lists
//! of Hadoop, Hive and Pig, in the order of the original: name, default value, what it does.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Which hints a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hints {
    Hive,
    Pig,
    MapReduce,
    ConfigsArgs,
    ConfigsParamsArgs,
}

static HIVE: LazyLock<Value> = LazyLock::new(|| read(&[include_str!("hints/hive.tsv")]));
/// As in the original the settings of the jobs that a script becomes; after them Pig's own, which the original lacks.
static PIG: LazyLock<Value> =
    LazyLock::new(|| read(&[include_str!("hints/mapreduce.tsv"), include_str!("hints/pig.tsv")]));
/// Hadoop's defaults, and the settings that describe one job, which have no default.
static MAP_REDUCE: LazyLock<Value> =
    LazyLock::new(|| read(&[include_str!("hints/mapreduce.tsv"), include_str!("hints/mapreduce_job.tsv")]));

/// A line per property: name, value, description, with tabs between them; `#` begins a comment.
fn read(files: &[&str]) -> Value {
    let lines = files.iter().flat_map(|file| file.lines());
    let items = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(|line| {
        let mut parts = line.splitn(3, '\t');
        let mut part = || parts.next().unwrap_or("").trim();
        json!({"name": part(), "value": part(), "description": part()})
    });
    items.collect()
}

pub(super) fn of(hints: Hints) -> Value {
    match hints {
        Hints::Hive => json!({"configs": *HIVE, "params": {}}),
        Hints::Pig => json!({"configs": *PIG, "params": {}, "args": []}),
        Hints::MapReduce => json!({"configs": *MAP_REDUCE}),
        Hints::ConfigsArgs => json!({"configs": [], "args": []}),
        Hints::ConfigsParamsArgs => json!({"configs": [], "params": {}, "args": []}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(hints: Hints, many: usize) -> Vec<(String, String)> {
        let text = |item: &Value, key: &str| item[key].as_str().expect("a text").to_owned();
        let shown = of(hints);
        let configs = shown["configs"].as_array().expect("a list");
        configs.iter().take(many).map(|item| (text(item, "name"), text(item, "value"))).collect()
    }

    fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
        wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The recordings show the first five of each list, and how many there are.
    #[test]
    fn names_values_and_order_are_those_of_the_recordings() {
        let hive = [
            ("mapred.reduce.tasks", "-1"),
            ("hive.exec.reducers.bytes.per.reducer", "1000000000"),
            ("hive.exec.reducers.max", "999"),
            ("hive.cli.print.header", "false"),
            ("hive.cli.print.current.db", "false"),
        ];
        let hadoop = [
            ("mapreduce.jobtracker.jobhistory.location", ""),
            ("mapreduce.jobtracker.jobhistory.task.numberprogresssplits", "12"),
            ("mapreduce.job.userhistorylocation", ""),
            ("mapreduce.jobtracker.jobhistory.completed.location", ""),
            ("mapreduce.job.committer.setup.cleanup.needed", "true"),
        ];
        assert_eq!(first(Hints::Hive, 5), pairs(&hive));
        assert_eq!(first(Hints::MapReduce, 5), pairs(&hadoop));
        assert_eq!(first(Hints::Pig, 5), pairs(&hadoop));
        assert_eq!(first(Hints::Hive, usize::MAX).len(), 259);
        // The original shows 219: two of its properties stand there twice.
        assert_eq!(first(Hints::MapReduce, usize::MAX).len(), 217);
    }

    #[test]
    fn every_line_has_three_columns() {
        for file in [
            include_str!("hints/hive.tsv"),
            include_str!("hints/mapreduce.tsv"),
            include_str!("hints/mapreduce_job.tsv"),
            include_str!("hints/pig.tsv"),
        ] {
            for line in file.lines().filter(|line| !line.starts_with('#')) {
                assert_eq!(line.matches('\t').count(), 2, "{line}");
            }
        }
    }
}
