//! The OpenAPI 3.1 document, made from the table of routes (docs/decisions/0001-route-table.md).

use serde_json::{Map, Value, json};

use crate::{
    route::{Answer, Route, Surface},
    sahara::schemas,
};

/// The document of a table.
pub fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let methods = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let schemas: Map<String, Value> =
        schemas::all_by_name().iter().map(|(name, schema)| (name.clone(), plain(schema))).collect();
    let mut schemas = schemas;
    schemas.insert("error".to_owned(), error_schema());
    schemas.insert("mrs_error".to_owned(), mrs_error_schema());
    schemas.insert("problem".to_owned(), problem_schema());
    schemas.insert("identity_error".to_owned(), identity_error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "foggara",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Every path of /v1.0, /v1.1 and /v2 also exists with a project id before the rule \
                (/v1.1/{project_id}/jobs) and with .json at its end; HEAD works wherever GET does. Every write takes \
                Idempotency-Key or X-Client-Token.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.surface.name()],
    });
    let parameters: Vec<Value> = in_path(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .chain(route.query.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}})))
        .collect();
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(rule) = route.rule {
        operation["x-policy-rule"] = json!(rule);
    }
    if open_to_all(route) {
        operation["security"] = json!([]);
    }
    if let Some(schema) = route.request {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    } else if route.upload {
        operation["requestBody"] =
            json!({"required": true, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}});
    }
    let mut responses = Map::new();
    responses.insert(route.answer.status().to_string(), answer(route.answer));
    let (kind, schema) = match route.surface {
        Surface::Own => ("application/problem+json", "problem"),
        Surface::Identity => ("application/json", "identity_error"),
        Surface::MrsV11 | Surface::MrsV2 => ("application/json", "mrs_error"),
        Surface::Sahara | Surface::Ops => ("application/json", "error"),
    };
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    responses.insert("default".to_owned(), json!({"description": "Why not", "content": {kind: {"schema": schema}}}));
    operation["responses"] = Value::Object(responses);
    operation
}

fn answer(answer: Answer) -> Value {
    match answer {
        Answer::Json(_, what) => {
            json!({"description": what, "content": {"application/json": {"schema": {"type": "object"}}}})
        }
        Answer::Bytes => json!({"description": "The bytes", "content": {"application/octet-stream": {}}}),
        Answer::Log => json!({
            "description": "Bytes with X-Next-Offset, or server-sent events",
            "content": {"application/octet-stream": {}, "text/event-stream": {}},
        }),
        Answer::Text => json!({"description": "Text", "content": {"text/plain": {}}}),
        Answer::Nothing => json!({"description": "Done"}),
    }
}

fn open_to_all(route: &Route) -> bool {
    route.surface == Surface::Ops
        || matches!(route.operation, "identity_version" | "identity_version_slash" | "identity_issue_token")
}

fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// A schema in the words of the standard: Sahara's own type and formats are spelt out.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let named = |kind: &Value| match kind.as_str() {
                Some("simple_config") => Some(values()),
                Some("configs") => Some(json!({"type": "object", "additionalProperties": values()})),
                Some("flavor") => Some(json!({"type": ["string", "integer"]})),
                _ => None,
            };
            let kind = members.get("type").unwrap_or(&Value::Null);
            if let Some(spelt) = named(kind) {
                return spelt;
            }
            if let Some(spelt) = kind.as_array().into_iter().flatten().find_map(named) {
                return json!({"anyOf": [spelt, {"type": "null"}]});
            }
            let mut out: Map<String, Value> = members.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
            let pattern = out.get("format").and_then(Value::as_str).and_then(pattern);
            if let Some(pattern) = pattern {
                out.remove("format");
                out.insert("pattern".to_owned(), json!(pattern));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// A flat map of settings.
fn values() -> Value {
    json!({"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}})
}

/// What a format of Sahara's own is as a regular expression.
fn pattern(format: &str) -> Option<&'static str> {
    Some(match format {
        "valid_name" => "^[a-zA-Z0-9][a-zA-Z0-9\\-_.]*$",
        "valid_name_hostname" => "^([a-zA-Z]([a-zA-Z0-9\\-]*[a-zA-Z0-9])?\\.)*[a-zA-Z]([a-zA-Z0-9\\-]*[a-zA-Z0-9])?$",
        "valid_keypair_name" => "^[a-zA-Z0-9\\-_ ]+$",
        "valid_tag" => "^([a-zA-Z0-9]([a-zA-Z0-9\\-_]*[a-zA-Z0-9])?\\.)*[a-zA-Z0-9]([a-zA-Z0-9\\-_]*[a-zA-Z0-9])?$",
        "posix_path" => "^(/[A-Za-z0-9\\-_]+)+$",
        _ => return None,
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error_code", "error_message", "error_name", "error_msg"],
        "properties": {
            "error_code": {"type": "integer", "description": "The HTTP status"},
            "error_message": {"type": "string"},
            "error_name": {"type": ["string", "integer"]},
            "error_msg": {"type": "string", "description": "The same text, for MRS clients"},
        },
    })
}

fn mrs_error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error_code", "error_msg"],
        "properties": {
            "error_code": {"type": "string", "description": "A code of MRS"},
            "error_msg": {"type": "string", "description": "In the language of X-Language: en-us or zh-cn"},
        },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
        },
    })
}

fn identity_error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "properties": {"code": {"type": "integer"}, "title": {"type": "string"}, "message": {"type": "string"}},
        }},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::route_list;

    #[test]
    fn every_route_is_in_the_document_under_a_name_of_its_own() {
        let routes = route_list();
        let document = document(&routes);
        for route in &routes {
            let method = route.method.as_str().to_ascii_lowercase();
            let found = &document["paths"][route.path][&method]["operationId"];
            assert_eq!(found, route.operation, "{} {}", route.method, route.path);
        }
        let names: BTreeSet<_> = routes.iter().map(|route| route.operation).collect();
        assert_eq!(names.len(), routes.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(&route_list());
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        assert!(!text.contains("simple_config"));
    }

    #[test]
    fn the_document() {
        let mut document = document(&route_list());
        document["info"]["version"] = json!("[version]");
        insta::assert_json_snapshot!(document);
    }
}
