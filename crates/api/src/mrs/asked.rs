//! What a request of MRS says: members of bodies and parameters of queries. Unknown ones are passed over (spec/README.md
//! conflict 19), and numbers and booleans may come as texts (mrs-v1.1.md section 1).

use std::collections::BTreeMap;

use foggara_domain::Timestamp;
use serde_json::{Map, Value};

use super::error::Code;
use crate::{fault::Outcome, page::Query};

/// The members of a body.
pub struct Members(pub Map<String, Value>);

fn wrong<T>(member: &str, why: &str) -> Outcome<T> {
    Err(Code::Parameter.fault(format!("{member}: {why}")))
}

impl Members {
    /// A body, which has to be an object.
    pub fn of(body: Value) -> Outcome<Self> {
        match body {
            Value::Object(members) => Ok(Self(members)),
            _ => wrong("the body", "it has to be a JSON object"),
        }
    }

    /// A text; empty when it is absent or null.
    pub fn text(&self, member: &str) -> Outcome<String> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) if !text.contains('\0') => Ok(text.clone()),
            Some(_) => wrong(member, "it has to be a text"),
        }
    }

    /// A text that must not be empty.
    pub fn needed(&self, member: &str) -> Outcome<String> {
        match self.text(member)? {
            text if text.trim().is_empty() => wrong(member, "it is missing"),
            text => Ok(text),
        }
    }

    /// A whole number.
    pub fn number(&self, member: &str) -> Outcome<Option<i64>> {
        let number = match self.0.get(member) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        number.map_or_else(|| wrong(member, "it has to be a whole number"), |number| Ok(Some(number)))
    }

    /// A boolean; false when it is absent or null.
    pub fn flag(&self, member: &str) -> Outcome<bool> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") || text.is_empty() => Ok(false),
            Some(_) => wrong(member, "it has to be true or false"),
        }
    }

    /// A list; empty when it is absent or null. A single value stands for a list of it.
    pub fn list(&self, member: &str) -> Vec<Value> {
        match self.0.get(member) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
        }
    }

    /// A list of texts; nothing when it is absent or null.
    pub fn texts(&self, member: &str) -> Outcome<Option<Vec<String>>> {
        let Some(Value::Array(items)) = self.0.get(member) else {
            return match self.0.get(member) {
                None | Some(Value::Null) => Ok(None),
                Some(_) => wrong(member, "it has to be a list of texts"),
            };
        };
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        texts.map_or_else(|| wrong(member, "it has to be a list of texts"), |texts| Ok(Some(texts)))
    }

    /// A map of texts; empty when it is absent or null.
    pub fn map(&self, member: &str) -> Outcome<BTreeMap<String, String>> {
        let members = match self.0.get(member) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return wrong(member, "it has to be an object of texts"),
        };
        let pair = |(key, value): (&String, &Value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return None,
            };
            Some((key.clone(), value))
        };
        let pairs = members.iter().map(pair).collect::<Option<BTreeMap<_, _>>>();
        pairs.map_or_else(|| wrong(member, "its values have to be texts"), Ok)
    }
}

/// A parameter; nothing when it is absent or empty.
pub fn given<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.get(name).filter(|text| !text.is_empty())
}

/// A whole number between two bounds.
pub fn number(query: &Query, name: &str, default: u64, least: u64, most: u64) -> Outcome<u64> {
    let Some(text) = given(query, name) else { return Ok(default) };
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => wrong(name, &format!("it has to be a whole number from {least} to {most}")),
    }
}

/// A time in milliseconds.
pub fn millis(query: &Query, name: &str) -> Outcome<Option<Timestamp>> {
    let Some(text) = given(query, name) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(millis) => Ok(Some(Timestamp::from_micros(millis.saturating_mul(1000)))),
        Err(_) => wrong(name, "it has to be a time in milliseconds since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_stand_for_numbers_and_booleans() {
        let members = Members::of(json!({"a": "7", "b": 7, "c": null, "d": "true", "e": "", "f": 1.5, "g": [1]}));
        let members = members.expect("an object");
        assert_eq!(
            (members.number("a"), members.number("b"), members.number("c")),
            (Ok(Some(7)), Ok(Some(7)), Ok(None))
        );
        assert_eq!((members.flag("d"), members.flag("e"), members.flag("none")), (Ok(true), Ok(false), Ok(false)));
        assert!(members.number("f").is_err() && members.flag("f").is_err() && members.text("b").is_err());
        assert!(members.texts("g").is_err() && members.texts("a").is_err() && members.needed("e").is_err());
        assert!(Members::of(json!([])).is_err());
    }

    #[test]
    fn bounds_of_numbers() {
        let query = Query::read("a=1&b=0&c=x&d=").expect("a query");
        assert_eq!((number(&query, "a", 10, 1, 100), number(&query, "d", 10, 1, 100)), (Ok(1), Ok(10)));
        assert!(number(&query, "b", 10, 1, 100).is_err() && number(&query, "c", 10, 1, 100).is_err());
    }
}
