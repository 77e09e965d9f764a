//! Values as Python writes them: Sahara's messages quote the caller's values in that form, and clients show them to people.

use std::fmt::Write as _;

use serde_json::Value;

/// A value as Python's `repr` writes it.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => repr_float(float),
            None => number.to_string(),
        },
        Value::String(text) => repr_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, value)| format!("{}: {}", repr_text(key), repr(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Texts as a list of Python strings without its brackets.
pub fn repr_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(repr_text).collect::<Vec<_>>().join(", ")
}

/// A text as Python's `repr` writes it: in single quotes, unless it has those and no double ones.
pub fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Rust writes `1e16` and `1e-5` where Python writes `1e+16` and `1e-05`.
fn repr_float(float: f64) -> String {
    let text = format!("{float:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_in_python() {
        let value = json!({"a": null, "b": [true, 1, 1.5, "x"], "c": {}});
        assert_eq!(repr(&value), "{'a': None, 'b': [True, 1, 1.5, 'x'], 'c': {}}");
        assert_eq!(repr(&json!(1e20)), "1e+20");
        assert_eq!(repr(&json!(1e-7)), "1e-07");
        assert_eq!(repr(&json!(1.0)), "1.0");
    }

    #[test]
    fn quotes_and_control_characters() {
        assert_eq!(repr_text("it's"), "\"it's\"");
        assert_eq!(repr_text("it's \"x\""), "'it\\'s \"x\"'");
        assert_eq!(repr_text("a\n\u{1}\\"), "'a\\n\\x01\\\\'");
        assert_eq!(repr_text("é"), "'é'");
    }
}
