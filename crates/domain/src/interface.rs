//! The interface of a job template: named arguments that an execution fills in (sahara-v1.1.md sections 7.2 and 8.1).
//!
//! Whether a data source that a value names exists is asked of the caller of these rules, who knows the database.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{Code, DataSourceId, Error, Result, data_source::UrlParts, job_template::InterfaceArgument};

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::refused(Code::InvalidData, text))
}

/// Checks the interface of a new template. `allowed` are the mapping types of its job type. Gives the data sources that
/// defaults name.
pub fn check(job_type: &str, allowed: &[&str], interface: &[InterfaceArgument]) -> Result<Vec<DataSourceId>> {
    let names: BTreeSet<&str> = interface.iter().map(|argument| argument.name.as_str()).collect();
    if names.len() != interface.len() {
        return invalid("Name must be unique within the interface for any job.");
    }
    if interface.iter().any(|argument| !allowed.contains(&argument.mapping_type.as_str())) {
        let allowed: Vec<String> = allowed.iter().map(|name| format!("'{name}'")).collect();
        return invalid(format!("Only mapping types [{}] are allowed for job type {job_type}.", allowed.join(", ")));
    }
    check_positions(interface)?;
    let places: BTreeSet<(&str, &str)> =
        interface.iter().map(|argument| (argument.mapping_type.as_str(), argument.location.as_str())).collect();
    if places.len() != interface.len() {
        return invalid(
            "The combination of mapping type and location must be unique within the interface for any job.",
        );
    }
    let mut sources = Vec::new();
    for argument in interface {
        if let Some(default) = &argument.default {
            sources.extend(check_value(&argument.value_type, default)?);
        }
    }
    Ok(sources)
}

fn check_positions(interface: &[InterfaceArgument]) -> Result<()> {
    let positional: Vec<&InterfaceArgument> =
        interface.iter().filter(|argument| argument.mapping_type == "args").collect();
    // A set: a position that is there twice is refused for that, by the check of places.
    let positions: BTreeSet<Option<usize>> = positional.iter().map(|argument| position(&argument.location)).collect();
    if positions != (0..positions.len()).map(Some).collect() {
        return invalid("Locations of positional arguments must be an unbroken integer sequence ascending from 0.");
    }
    let empty =
        |argument: &InterfaceArgument| argument.default.as_ref().is_none_or(|default| default.as_str() == Some(""));
    if positional.iter().any(|argument| !argument.required && empty(argument)) {
        return invalid("Positional arguments must be given default values if they are not required.");
    }
    Ok(())
}

/// A position among the args: digits alone, so neither sign nor blank.
fn position(location: &str) -> Option<usize> {
    let digits = location.chars().all(|digit| digit.is_ascii_digit());
    if digits { location.parse().ok() } else { None }
}

/// Checks a value by its type; gives the data source that it names, if it names one by id.
fn check_value(value_type: &str, value: &Value) -> Result<Option<DataSourceId>> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    };
    match value_type {
        "number" if !text.is_empty() && text.chars().all(char::is_numeric) => Ok(None),
        "number" => invalid(format!("Value '{text}' is not a valid number.")),
        "data_source" if uuid::Uuid::parse_str(&text).is_ok() => Ok(Some(DataSourceId::from(text))),
        "data_source" if !UrlParts::of(&text).scheme.is_empty() => Ok(None),
        "data_source" => {
            invalid(format!("Data source value '{text}' is neither a valid data source ID nor a valid URL."))
        }
        _ if value.is_string() => Ok(None),
        _ => invalid(format!("Value '{text}' is not a valid string.")),
    }
}

/// `['a', 'b']`, as Python prints a list of names.
fn names(names: &BTreeSet<&str>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Checks what an execution gives for the interface of its template. Gives the data sources that values name.
pub fn check_values(
    interface: &[InterfaceArgument],
    given: Option<&Map<String, Value>>,
    job_configs: &Map<String, Value>,
) -> Result<Vec<DataSourceId>> {
    let Some(given) = given else {
        if interface.is_empty() {
            return Ok(Vec::new());
        }
        return invalid(
            "An interface was specified with the template for this job. Please pass an interface map with this job \
             (even if empty).",
        );
    };
    let known: BTreeSet<&str> = interface.iter().map(|argument| argument.name.as_str()).collect();
    let passed: BTreeSet<&str> = given.keys().map(String::as_str).collect();
    let unknown: BTreeSet<&str> = passed.difference(&known).copied().collect();
    if !unknown.is_empty() {
        return invalid(format!("Argument names: {} were not found in the interface for this job.", names(&unknown)));
    }
    let required = interface.iter().filter(|argument| argument.required).map(|argument| argument.name.as_str());
    let missing: BTreeSet<&str> = required.filter(|name| !passed.contains(name)).collect();
    if !missing.is_empty() {
        return invalid(format!("Argument names: {} are required for this job.", names(&missing)));
    }
    let mut sources = Vec::new();
    // In the order of the request: the first fault in it is the one that is told.
    for (name, value) in given {
        let Some(argument) = interface.iter().find(|argument| argument.name == *name) else { continue };
        sources.extend(check_value(&argument.value_type, value)?);
        if let Some(other) = present(job_configs, argument)
            && other != value
        {
            return invalid(format!(
                "Argument '{}' was passed both through the interface and in location '{}'.'{}'. Please pass this through \
                 either the interface or the configuration maps, not both.",
                argument.name, argument.mapping_type, argument.location
            ));
        }
    }
    Ok(sources)
}

/// What stands at an argument's location without the interface.
fn present<'a>(job_configs: &'a Map<String, Value>, argument: &InterfaceArgument) -> Option<&'a Value> {
    if argument.mapping_type == "args" {
        return None;
    }
    job_configs.get(&argument.mapping_type)?.get(&argument.location)
}

/// Puts the values of the interface into `job_configs`: the given one, else what stands there, else the default. Positional
/// arguments come before the caller's own `args`.
pub fn merge(
    interface: &[InterfaceArgument],
    given: Option<&Map<String, Value>>,
    job_configs: &mut Map<String, Value>,
) {
    let mut positional: Vec<(usize, Value)> = Vec::new();
    for argument in interface {
        let value = given.and_then(|given| given.get(&argument.name)).cloned();
        let value = value.or_else(|| present(job_configs, argument).cloned()).or_else(|| argument.default.clone());
        let Some(value) = value else { continue };
        if argument.mapping_type == "args" {
            positional.push((position(&argument.location).unwrap_or(usize::MAX), value));
            continue;
        }
        let map = job_configs.entry(argument.mapping_type.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(map) = map {
            map.insert(argument.location.clone(), value);
        }
    }
    if positional.is_empty() {
        return;
    }
    positional.sort_by_key(|(position, _)| *position);
    let mut args: Vec<Value> = positional.into_iter().map(|(_, value)| value).collect();
    if let Some(Value::Array(own)) = job_configs.get("args") {
        args.extend(own.iter().cloned());
    }
    job_configs.insert("args".to_owned(), Value::Array(args));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Timestamp;

    fn argument(
        name: &str,
        mapping: &str,
        location: &str,
        value_type: &str,
        required: bool,
        default: Value,
    ) -> InterfaceArgument {
        InterfaceArgument {
            id: "i".to_owned(),
            name: name.to_owned(),
            description: None,
            mapping_type: mapping.to_owned(),
            location: location.to_owned(),
            value_type: value_type.to_owned(),
            required,
            default: (!default.is_null()).then_some(default),
            created_at: Timestamp::from_micros(0),
        }
    }

    fn refusal<T: std::fmt::Debug>(answer: Result<T>) -> String {
        answer.expect_err("refused").to_string()
    }

    const ALL: &[&str] = &["configs", "params", "args"];

    #[test]
    fn templates_are_checked() {
        let twice = [
            argument("n", "configs", "a", "string", true, Value::Null),
            argument("n", "configs", "b", "string", true, Value::Null),
        ];
        assert!(refusal(check("Pig", ALL, &twice)).starts_with("Name must be unique"));
        let place = [
            argument("n", "configs", "a", "string", true, Value::Null),
            argument("m", "configs", "a", "string", true, Value::Null),
        ];
        assert!(refusal(check("Pig", ALL, &place)).starts_with("The combination"));
        let same_position = [
            argument("n", "args", "0", "string", true, Value::Null),
            argument("m", "args", "0", "string", true, Value::Null),
        ];
        assert!(refusal(check("Pig", ALL, &same_position)).starts_with("The combination"));
        for location in ["1", "x", "-1", "+0", ""] {
            let one = [argument("n", "args", location, "string", true, Value::Null)];
            assert!(refusal(check("Pig", ALL, &one)).starts_with("Locations of positional"), "{location}");
        }
        let optional = [argument("n", "args", "0", "string", false, Value::Null)];
        assert!(refusal(check("Pig", ALL, &optional)).contains("default values"));
        let wrong_type = [argument("n", "params", "a", "string", true, Value::Null)];
        assert!(
            refusal(check("Java", &["configs", "args"], &wrong_type))
                .starts_with("Only mapping types ['configs', 'args']")
        );
        let plain = [argument("n", "configs", "a", "data_source", true, json!("plain"))];
        assert!(refusal(check("Pig", ALL, &plain)).starts_with("Data source value 'plain'"));
        let named = [argument("n", "configs", "a", "data_source", true, json!("00000000-0000-4000-8000-000000000404"))];
        assert_eq!(check("Pig", ALL, &named).expect("fine").len(), 1);
    }

    #[test]
    fn values_are_checked_and_merged() {
        let interface = [
            argument("Count", "configs", "n", "number", true, Value::Null),
            argument("Arg", "args", "0", "string", false, json!("dflt")),
        ];
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let none = Map::new();
        assert!(refusal(check_values(&interface, None, &none)).starts_with("An interface was specified"));
        assert_eq!(
            refusal(check_values(&interface, Some(&none), &none)),
            "Argument names: ['Count'] are required for this job."
        );
        let bad = map(json!({"Count": "x"}));
        assert_eq!(refusal(check_values(&interface, Some(&bad), &none)), "Value 'x' is not a valid number.");
        let odd = map(json!({"Count": "1", "Else": "2"}));
        assert!(refusal(check_values(&interface, Some(&odd), &none)).contains("['Else'] were not found"));
        // The first fault in the order of the request is told.
        let interface_of_two = [
            argument("A", "configs", "a", "number", true, Value::Null),
            argument("B", "configs", "b", "number", true, Value::Null),
        ];
        let both = map(json!({"B": "y", "A": "x"}));
        assert_eq!(refusal(check_values(&interface_of_two, Some(&both), &none)), "Value 'y' is not a valid number.");
        let good = map(json!({"Count": "5"}));
        let other = map(json!({"configs": {"n": "6"}}));
        assert!(refusal(check_values(&interface, Some(&good), &other)).contains("passed both through"));
        let mut configs = map(json!({"args": ["own"]}));
        merge(&interface, Some(&good), &mut configs);
        assert_eq!(Value::Object(configs), json!({"args": ["dflt", "own"], "configs": {"n": "5"}}));
    }
}
