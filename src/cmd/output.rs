//! What commands print: tables for people, JSON and YAML for programs, ids alone.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets::NOTHING};
use serde_json::Value;

use super::print;

/// Flags of every command that prints objects.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Form of the output
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Only ids
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl OutputArgs {
    /// Prints one object or a list of them; `table` makes the form for people. With `-q` the `id` of each is all.
    pub fn show(self, value: &Value, table: impl FnOnce(&Value) -> String) -> Result<()> {
        if self.quiet {
            let rows = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let ids = rows.iter().filter_map(|row| row["id"].as_str());
            return print(&ids.map(|id| format!("{id}\n")).collect::<String>());
        }
        print(&match self.output {
            Output::Table => table(value),
            Output::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
            Output::Yaml => serde_yaml_ng::to_string(value)?,
        })
    }
}

/// A value as a person reads it.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

/// A table: columns, and nothing drawn between them, so that lines can be searched and cut.
pub fn rows_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

/// A table of some members of each object in a list.
pub fn members_of_each(list: &Value, members: &[&str]) -> String {
    let rows = list.as_array().into_iter().flatten();
    rows_table(members, rows.map(|row| members.iter().map(|member| text_of(&row[*member])).collect()))
}

/// A table with a line for each member of one object that is set; objects inside are opened.
pub fn members_table(object: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", object, &mut rows);
    rows_table(&["field", "value"], rows.into_iter())
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let inside = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(key, value)| flatten(&inside(key), value, rows)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in (1..).zip(items) {
                flatten(&inside(&format!("{number}")), item, rows);
            }
        }
        other => rows.push(vec![name.to_owned(), text_of(other)]),
    }
}

/// One line that is written over and over, only on a terminal.
pub struct Progress {
    on: bool,
    began: std::time::Instant,
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new(wanted: bool) -> Self {
        Self { on: wanted && std::io::stderr().is_terminal(), began: std::time::Instant::now(), shown: false }
    }

    /// Shows a state and the time since the beginning.
    pub fn say(&mut self, state: &str) {
        if self.on {
            self.shown = true;
            // A terminal that went away is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{state} {:.1} s", self.began.elapsed().as_secs_f64());
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_become_lines() {
        let object = json!({"a": 1, "b": {"c": "x", "d": null}, "e": {}, "f": true, "g": [{"h": 2}], "i": ["j"]});
        let lines: Vec<Vec<String>> =
            members_table(&object).lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        let wanted = [["FIELD", "VALUE"], ["a", "1"], ["b.c", "x"], ["f", "yes"], ["g.1.h", "2"], ["i", "[\"j\"]"]];
        assert_eq!(lines, wanted);
        let text = members_of_each(&json!([{"id": "1", "name": "n", "more": 2}]), &["id", "name"]);
        assert!(text.contains("NAME") && text.contains('n') && !text.contains("MORE"), "{text}");
    }
}
