//! Text: regular expressions and splitting with Java's meaning.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanBuilder, ListBuilder, StringBuilder},
        datatypes::{DataType, Field, Int32Type},
    },
    error::Result,
    logical_expr::ScalarUDF,
};
use regex::Regex;

use super::scalar::Scalar;
use crate::fault::{Fault, Outcome};

/// The functions of this module.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    use DataType::{Int32, Utf8};
    vec![
        Scalar::udf("hive_rlike", &[Utf8, Utf8], 2, DataType::Boolean, rlike),
        Scalar::udf("hive_regexp_extract", &[Utf8, Utf8, Int32], 2, Utf8, extract),
        Scalar::udf("hive_regexp_replace", &[Utf8, Utf8, Utf8], 3, Utf8, replace),
        Scalar::udf(
            "hive_split",
            &[Utf8, Utf8, Int32],
            2,
            DataType::List(Arc::new(Field::new_list_field(Utf8, true))),
            split,
        ),
        Scalar::udf("hive_initcap", &[Utf8], 1, Utf8, initcap),
    ]
}

/// Expressions that were compiled already.
#[derive(Default)]
struct Known(HashMap<String, Regex>);

impl Known {
    fn get(&mut self, text: &str) -> Result<&Regex> {
        if !self.0.contains_key(text) {
            let compiled = super::java::pattern(text).map_err(Fault::carried)?;
            let compiled = Regex::new(&compiled).map_err(|error| {
                Fault::new(format!(
                    "the regular expression {text:?} does not run here: {}",
                    last_line(&error.to_string())
                ))
                .hint("look-around and back references of Java are not supported")
                .carried()
            })?;
            self.0.insert(text.to_owned(), compiled);
        }
        Ok(&self.0[text])
    }
}

fn last_line(text: &str) -> &str {
    text.lines().next_back().unwrap_or(text)
}

fn rlike(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known = Known::default();
    let mut out = BooleanBuilder::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            out.append_null();
        } else {
            out.append_value(known.get(patterns.value(row))?.is_match(texts.value(row)));
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The group of the first match; nothing when there is none. Group 1 unless another is named.
fn extract(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let groups = columns.get(2).map(|column| column.as_primitive::<Int32Type>());
    let mut known = Known::default();
    let mut out = StringBuilder::new();
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) || groups.is_some_and(|groups| groups.is_null(row)) {
            out.append_null();
            continue;
        }
        let group = groups.map_or(1, |groups| groups.value(row));
        let expression = known.get(patterns.value(row))?;
        let group =
            usize::try_from(group).ok().filter(|group| *group < expression.captures_len()).ok_or_else(|| {
                Fault::new(format!("regexp_extract: {:?} has no group {group}", patterns.value(row)))
                    .hint("group 0 is the whole match, and the one that is meant when none is named is 1")
                    .carried()
            })?;
        let found =
            expression.captures(texts.value(row)).and_then(|found| found.get(group).map(|found| found.as_str()));
        out.append_value(found.unwrap_or(""));
    }
    Ok(Arc::new(out.finish()))
}

/// `$1` of Java is `${1}` here; `\$` is a dollar. `groups` counts the whole match too.
fn replacement(text: &str, groups: usize) -> Outcome<String> {
    let wrong = |what: &str| {
        Fault::new(format!("regexp_replace: {what} in the replacement {text:?}"))
            .hint("$1 is the first group of the expression, \\$ a dollar")
    };
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '\\' => match chars.next() {
                Some('$') => out += "$$",
                Some(ch) => out.push(ch),
                None => return Err(wrong("nothing stands behind the last \\")),
            },
            '$' => {
                let mut group = match chars.next().and_then(|ch| ch.to_digit(10)) {
                    Some(digit) => digit as usize,
                    None => return Err(wrong("no number stands behind $")),
                };
                if group >= groups {
                    return Err(wrong(&format!("there is no group {group}")));
                }
                // Java takes further digits as long as such a group exists.
                while let Some(digit) = chars.peek().and_then(|ch| ch.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= groups {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                out += &format!("${{{group}}}");
            }
            ch => out.push(ch),
        }
    }
    Ok(out)
}

fn replace(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns, news) =
        (columns[0].as_string::<i32>(), columns[1].as_string::<i32>(), columns[2].as_string::<i32>());
    let mut known = Known::default();
    let mut out = StringBuilder::new();
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) || news.is_null(row) {
            out.append_null();
        } else {
            let expression = known.get(patterns.value(row))?;
            let new = replacement(news.value(row), expression.captures_len()).map_err(Fault::carried)?;
            out.append_value(expression.replace_all(texts.value(row), new.as_str()));
        }
    }
    Ok(Arc::new(out.finish()))
}

/// With a limit above 0 the last part holds the rest; parts of no length at the end are kept, as Hive and Spark do.
fn split(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let limits = columns.get(2).map(|column| column.as_primitive::<Int32Type>());
    let mut known = Known::default();
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            out.append_null();
            continue;
        }
        let limit = limits.filter(|limits| limits.is_valid(row)).map_or(-1, |limits| limits.value(row));
        let text = texts.value(row);
        let mut from = 0;
        let mut parts = 1;
        for found in known.get(patterns.value(row))?.find_iter(text) {
            if limit > 0 && parts >= limit {
                break;
            }
            // Java: a match of no length gives no part of no length at the beginning, and none at the end.
            if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
                continue;
            }
            out.values().append_value(&text[from..found.start()]);
            from = found.end();
            parts += 1;
        }
        out.values().append_value(&text[from..]);
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// Each word behind a space with a capital, the rest small.
fn initcap(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut out = StringBuilder::new();
    for text in columns[0].as_string::<i32>() {
        out.append_option(text.map(|text| {
            let mut start = true;
            text.chars()
                .map(|ch| {
                    let cased: String = if start { ch.to_uppercase().collect() } else { ch.to_lowercase().collect() };
                    start = ch == ' ';
                    cased
                })
                .collect::<String>()
        }));
    }
    Ok(Arc::new(out.finish()))
}
