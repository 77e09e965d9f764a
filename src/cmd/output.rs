//! What commands print: tables for people, JSON and YAML for programs, ids alone.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
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

/// A table.
pub fn rows_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}

/// A table of some members of each object in a list.
pub fn members_of_each(list: &Value, members: &[&str]) -> String {
    let rows = list.as_array().into_iter().flatten();
    rows_table(members, rows.map(|row| members.iter().map(|member| text_of(&row[*member])).collect()))
}

/// A table with a line for each member of one object; objects inside are opened.
pub fn members_table(object: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", object, &mut rows);
    rows_table(&["field", "value"], rows.into_iter())
}

fn flatten(prefix: &str, object: &Value, rows: &mut Vec<Vec<String>>) {
    for (key, value) in object.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) if !inner.is_empty() => flatten(&name, value, rows),
            Value::Object(_) => {}
            other => rows.push(vec![name, text_of(other)]),
        }
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
        let text = members_table(&json!({"a": 1, "b": {"c": "x", "d": null}, "e": {}, "f": true}));
        assert!(text.contains("b.c") && text.contains('x') && !text.contains("\n e"), "{text}");
        let text = members_of_each(&json!([{"id": "1", "name": "n", "more": 2}]), &["id", "name"]);
        assert!(text.contains("name") && text.contains('n') && !text.contains("more"), "{text}");
    }
}
