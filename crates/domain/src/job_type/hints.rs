//! Config hints (sahara-v1.1.md section 7.3). The properties are data files that we wrote from the published property lists
//! of Hadoop 2.7, Hive and Pig: name, default value, what it does.

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

static HIVE: LazyLock<Value> = LazyLock::new(|| read(include_str!("hints/hive.tsv")));
static PIG: LazyLock<Value> = LazyLock::new(|| read(include_str!("hints/pig.tsv")));
static MAP_REDUCE: LazyLock<Value> = LazyLock::new(|| read(include_str!("hints/mapreduce.tsv")));

/// A line per property: name, value, description, with tabs between them; `#` begins a comment.
fn read(text: &str) -> Value {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let items = lines.map(|line| {
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
