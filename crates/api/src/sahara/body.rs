//! Request bodies against their schemas (sahara-v1.1.md section 1.5): the schemas are data, and one function words every
//! violation as the original's validator does, in the schema's own order.
//!
//! Why this is not a general validator: docs/decisions/0002-body-checker.md.

use foggara_domain::Code;
use serde_json::{Map, Value};

use super::{
    python::{repr, repr_list, repr_text},
    schemas,
    view::View,
};
use crate::fault::{Fault, Outcome};

/// The members of a body that keeps to its schema.
///
/// # Errors
/// `VALIDATION_ERROR` with a line per violation.
pub fn check(name: &str, view: View, body: Value) -> Outcome<Map<String, Value>> {
    let schema = schemas::find(name, view).ok_or_else(|| {
        Fault::Domain(foggara_domain::Error::Internal(format!("there is no schema of the name {name}")))
    })?;
    let mut body = body;
    texts_to_booleans(schema, &mut body);
    let mut wrong = Vec::new();
    violations(schema, &body, "", &mut wrong);
    if wrong.is_empty() {
        nul_characters(&body, "", &mut wrong);
    }
    match body {
        Value::Object(members) if wrong.is_empty() => Ok(members),
        _ => Err(Fault::refused(Code::ValidationError, wrong.join("\n"))),
    }
}

/// Some clients send booleans as `"false"` and `"true"` (spec/README.md conflict 23).
fn texts_to_booleans(schema: &Value, value: &mut Value) {
    match value {
        Value::String(text) if types(schema).any(|kind| kind == "boolean") => {
            if text.eq_ignore_ascii_case("true") {
                *value = Value::Bool(true);
            } else if text.eq_ignore_ascii_case("false") {
                *value = Value::Bool(false);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if let Some(inner) = schema.get("properties").and_then(|properties| properties.get(key)) {
                    texts_to_booleans(inner, member);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items.iter_mut().for_each(|item| texts_to_booleans(inner, item));
            }
        }
        _ => {}
    }
}

/// The types that a schema allows; none when it does not say.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema.get("type").and_then(Value::as_str);
    let many = schema.get("type").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

/// Collects what is wrong, keyword by keyword in the order in which the schema names them.
fn violations(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let Value::Object(keywords) = schema else { return };
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "type" if !types(schema).any(|kind| is_of_type(kind, value)) => {
                say(wrong, path, format!("{} is not of type {}", repr(value), repr_list(types(schema))));
            }
            "properties" => {
                if let (Value::Object(properties), Value::Object(members)) = (wanted, value) {
                    for (key, inner) in properties {
                        if let Some(member) = members.get(key) {
                            violations(inner, member, &below(path, key), wrong);
                        }
                    }
                }
            }
            "additionalProperties" => unexpected(schema, value, path, wrong),
            "required" => {
                if let (Value::Array(keys), Value::Object(members)) = (wanted, value) {
                    for key in keys.iter().filter_map(Value::as_str).filter(|key| !members.contains_key(*key)) {
                        say(wrong, path, format!("{} is a required property", repr_text(key)));
                    }
                }
            }
            "items" => {
                if let Value::Array(items) = value {
                    for (number, item) in items.iter().enumerate() {
                        violations(wanted, item, &format!("{path}[{number}]"), wrong);
                    }
                }
            }
            "uniqueItems" => {
                if let Value::Array(items) = value
                    && items.iter().enumerate().any(|(number, item)| items[..number].contains(item))
                {
                    say(wrong, path, format!("{} has non-unique elements", repr(value)));
                }
            }
            "enum" if !wanted.as_array().is_some_and(|allowed| allowed.contains(value)) => {
                say(wrong, path, format!("{} is not one of {}", repr(value), repr(wanted)));
            }
            "minItems" if value.as_array().is_some_and(|items| (items.len() as u64) < wanted.as_u64().unwrap_or(0)) => {
                say(wrong, path, format!("{} is too short", repr(value)));
            }
            "minimum" if value.as_i64().is_some_and(|number| number < wanted.as_i64().unwrap_or(i64::MIN)) => {
                say(wrong, path, format!("{} is less than the minimum of {wanted}", repr(value)));
            }
            "oneOf" => {
                let fit = wanted.as_array().into_iter().flatten().filter(|schema| fits(schema, value)).count();
                if fit != 1 {
                    let how = if fit == 0 { "not valid under any" } else { "valid under more than one" };
                    say(wrong, path, format!("{} is {how} of the given schemas", repr(value)));
                }
            }
            "anyOf" if !wanted.as_array().is_some_and(|any| any.iter().any(|schema| fits(schema, value))) => {
                say(wrong, path, format!("{} is not valid under any of the given schemas", repr(value)));
            }
            "minLength" if value.as_str().is_some_and(|text| length(text) < wanted.as_u64().unwrap_or(0)) => {
                say(wrong, path, format!("{} is too short", repr(value)));
            }
            "maxLength" if value.as_str().is_some_and(|text| length(text) > wanted.as_u64().unwrap_or(u64::MAX)) => {
                say(wrong, path, format!("{} is too long", repr(value)));
            }
            "format" => {
                if let (Some(format), Some(text)) = (wanted.as_str(), value.as_str())
                    && !has_format(format, text)
                {
                    say(wrong, path, format!("{} is not a {}", repr(value), repr_text(format)));
                }
            }
            _ => {}
        }
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    let mut wrong = Vec::new();
    violations(schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn unexpected(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let (Some(Value::Object(known)), Value::Object(members)) = (schema.get("properties"), value) else { return };
    let unknown: Vec<&str> = members.keys().map(String::as_str).filter(|key| !known.contains_key(*key)).collect();
    if !unknown.is_empty() {
        let verb = if unknown.len() == 1 { "was" } else { "were" };
        let keys = repr_list(unknown);
        say(wrong, path, format!("Additional properties are not allowed ({keys} {verb} unexpected)"));
    }
}

/// PostgreSQL cannot keep the character, so no database gets it.
fn nul_characters(value: &Value, path: &str, wrong: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains('\0') => {
            say(wrong, path, format!("{} contains the character NUL, which cannot be stored", repr(value)));
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                nul_characters(item, &format!("{path}[{number}]"), wrong);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if key.contains('\0') {
                    say(
                        wrong,
                        path,
                        format!("the key {} contains the character NUL, which cannot be stored", repr_text(key)),
                    );
                }
                nul_characters(member, &below(path, key), wrong);
            }
        }
        _ => {}
    }
}

fn say(wrong: &mut Vec<String>, path: &str, text: String) {
    wrong.push(if path.is_empty() { text } else { format!("{path}: {text}") });
}

/// The path of a member: `a[b][0]`.
fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}[{key}]") }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn is_of_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        // One that no column of a database holds is none.
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        // Sahara's own: a flat map of texts, whole numbers and booleans (sahara-v1.1.md section 2).
        "simple_config" => value.as_object().is_some_and(|members| {
            members.values().all(|member| member.is_string() || member.is_boolean() || is_integer(member))
        }),
        // A map of such maps (section 9).
        "configs" => {
            value.as_object().is_some_and(|members| members.values().all(|member| is_of_type("simple_config", member)))
        }
        // A flavor is a number, also as text, or a uuid.
        "flavor" => match value {
            Value::String(text) => text.trim().parse::<i64>().is_ok() || crate::path::is_uuid_like(text),
            other => is_integer(other),
        },
        _ => false,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "valid_name" => is_valid_name(text),
        "uuid" => crate::path::is_uuid_like(text),
        // An empty name is too short, and no more is said of it.
        "valid_name_hostname" => text.is_empty() || is_host_name(text),
        "valid_keypair_name" => {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '))
        }
        "valid_tag" => text.split('.').all(|part| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let edge = |c: char| c.is_ascii_alphanumeric();
            part.starts_with(edge) && part.ends_with(edge) && part.chars().all(inner)
        }),
        "posix_path" => text.strip_prefix('/').is_some_and(|rest| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            rest.split('/').all(|part| !part.is_empty() && part.chars().all(inner))
        }),
        _ => true,
    }
}

/// Labels of letters, digits and dashes with dots between them; each begins with a letter and does not end with a dash.
fn is_host_name(text: &str) -> bool {
    text.split('.').all(|label| {
        label.starts_with(|c: char| c.is_ascii_alphabetic())
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// `^[a-zA-Z0-9_][a-zA-Z0-9\-_\.]*$`: Sahara's names, and those of MRS that begin with `_` (spec/README.md conflict 6). MRS's that
/// begin with `-` are refused, as Sahara's recorded answers have it.
fn is_valid_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(schema: &str, body: Value) -> Vec<String> {
        match check(schema, View::V1, body) {
            Ok(_) => Vec::new(),
            Err(fault) => fault.said().message.split('\n').map(str::to_owned).collect(),
        }
    }

    #[test]
    fn booleans_as_texts_are_taken_where_a_boolean_stands() {
        let body = json!({"name": "a", "type": "hdfs", "url": "true", "is_public": "False", "is_protected": "true"});
        let taken = check("data_source_create", View::V1, body).expect("a good body");
        assert_eq!((&taken["is_public"], &taken["is_protected"]), (&json!(false), &json!(true)));
        assert_eq!(taken["url"], json!("true"));
        let item = json!({"name": "n", "mapping_type": "args", "location": "0", "required": "true"});
        let taken = check("job_create", View::V1, json!({"name": "a", "type": "Pig", "interface": [item]}))
            .expect("a good body");
        assert_eq!(taken["interface"][0]["required"], json!(true));
    }

    #[test]
    fn several_unknown_keys_are_named_in_the_order_of_the_body() {
        let wrong = lines("job_update", json!({"zz": 1, "name": "ok", "aa": 2}));
        assert_eq!(wrong, ["Additional properties are not allowed ('zz', 'aa' were unexpected)"]);
    }

    #[test]
    fn nul_cannot_be_stored() {
        let wrong = lines("data_source_update", json!({"description": "a\u{0}b", "credentials": {"k": ["\u{0}"]}}));
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].starts_with("description: 'a\\x00b' contains the character NUL"), "{wrong:?}");
        assert!(wrong[1].starts_with("credentials[k][0]:"), "{wrong:?}");
    }

    #[test]
    fn a_bad_uuid_is_worded() {
        let wrong = lines("job_execute", json!({"cluster_id": "x"}));
        assert_eq!(wrong, ["cluster_id: 'x' is not a 'uuid'"]);
        assert!(lines("job_execute", json!({"cluster_id": "{01234567-89AB-CDEF-0123-456789ABCDEF}"})).is_empty());
    }

    #[test]
    fn names_may_have_80_characters() {
        let body = |n: usize| json!({"name": "n".repeat(n), "url": "file:///x"});
        assert!(lines("job_binary_create", body(80)).is_empty());
        assert_eq!(lines("job_binary_create", body(81)), [format!("name: '{}' is too long", "n".repeat(81))]);
    }
}
