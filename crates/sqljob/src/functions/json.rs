//! `get_json_object`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringBuilder},
        datatypes::DataType,
    },
    error::Result,
    logical_expr::ScalarUDF,
};
use serde_json::Value;

use super::scalar::Scalar;
use crate::fault::{Fault, Outcome};

/// The functions of this module.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Scalar::udf("get_json_object", &[DataType::Utf8, DataType::Utf8], 2, DataType::Utf8, get)]
}

/// A step of a path.
enum Step {
    Key(String),
    Index(usize),
}

/// `$.a.b[0]['c']`.
fn path(text: &str) -> Outcome<Vec<Step>> {
    let refused = |what: &str| {
        Fault::new(format!("get_json_object: the path {text} {what}"))
            .hint("paths are $ followed by .name, ['name'] and [number]")
    };
    let mut rest = text.trim().strip_prefix('$').ok_or_else(|| refused("does not begin with $"))?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 || &after[..end] == "*" {
                return Err(refused("has a step that does not run here"));
            }
            steps.push(Step::Key(after[..end].to_owned()));
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').ok_or_else(|| refused("has a [ without ]"))?;
            let inner = after[..end].trim();
            match inner.parse() {
                Ok(index) => steps.push(Step::Index(index)),
                Err(_) => match inner.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
                    Some(key) => steps.push(Step::Key(key.to_owned())),
                    None => return Err(refused("has a step that does not run here")),
                },
            }
            rest = &after[end + 1..];
        } else {
            return Err(refused("cannot be read"));
        }
    }
    Ok(steps)
}

/// Text without quotes, everything else as JSON; NULL when it is not there.
fn find(document: &str, steps: &[Step]) -> Option<String> {
    let value: Value = serde_json::from_str(document).ok()?;
    let mut value = &value;
    for step in steps {
        value = match step {
            Step::Key(key) => value.get(key)?,
            Step::Index(index) => value.get(index)?,
        };
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn get(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (documents, paths) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut last: Option<(&str, Vec<Step>)> = None;
    let mut out = StringBuilder::new();
    for row in 0..documents.len() {
        if documents.is_null(row) || paths.is_null(row) {
            out.append_null();
            continue;
        }
        let text = paths.value(row);
        if last.as_ref().is_none_or(|(known, _)| *known != text) {
            last = Some((text, path(text).map_err(Fault::carried)?));
        }
        let steps = last.as_ref().map_or(&[][..], |(_, steps)| steps);
        out.append_option(find(documents.value(row), steps));
    }
    Ok(Arc::new(out.finish()))
}
