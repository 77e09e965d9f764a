//! Members of a body that passed its schema.

use foggara_domain::flag::Flag;
use serde_json::{Map, Value};

/// Takes a text out; nothing when it is absent or null.
pub fn text(body: &mut Map<String, Value>, key: &str) -> Option<String> {
    match body.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Takes a text out of a body whose schema demands it.
pub fn required_text(body: &mut Map<String, Value>, key: &str) -> String {
    text(body, key).unwrap_or_default()
}

/// Takes a text out that may be set to null: the outer nothing means absent.
pub fn nullable_text(body: &mut Map<String, Value>, key: &str) -> Option<Option<String>> {
    body.contains_key(key).then(|| text(body, key))
}

/// Takes a flag out that keeps a null; nothing when it is absent.
pub fn kept_flag(body: &mut Map<String, Value>, key: &str) -> Option<Flag> {
    body.remove(key).map(|value| value.as_bool().into())
}

/// Takes a flag out. Null counts as false; nothing when it is absent.
pub fn flag(body: &mut Map<String, Value>, key: &str) -> Option<bool> {
    body.remove(key).map(|value| value == Value::Bool(true))
}

/// Takes an object out; nothing when it is absent or null.
pub fn object(body: &mut Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    match body.remove(key) {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Takes a count out; nothing when it is absent or null.
pub fn count(body: &mut Map<String, Value>) -> Option<i64> {
    body.remove("count").and_then(|count| count.as_i64())
}

/// Takes a list of texts out; empty when it is absent.
pub fn texts(body: &mut Map<String, Value>, key: &str) -> Vec<String> {
    let Some(Value::Array(items)) = body.remove(key) else { return Vec::new() };
    let text = |item| if let Value::String(text) = item { Some(text) } else { None };
    items.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_and_given_differ_where_they_have_to() {
        let Value::Object(mut body) = json!({"a": null, "b": "x", "p": null, "q": true}) else { panic!("an object") };
        assert_eq!(nullable_text(&mut body, "a"), Some(None));
        assert_eq!(nullable_text(&mut body, "b"), Some(Some("x".into())));
        assert_eq!(nullable_text(&mut body, "c"), None);
        assert_eq!((flag(&mut body, "p"), flag(&mut body, "q"), flag(&mut body, "r")), (Some(false), Some(true), None));
    }
}
