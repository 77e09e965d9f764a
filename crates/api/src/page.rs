//! Query parameters, and the question that a list is asked with them (sahara-v1.1.md section 2.2).

use foggara_domain::{
    Code, Error,
    page::{ListQuery, Page, Sort},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::fault::{Fault, Outcome};

/// The parameters of a query in their order, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of a url after the question mark.
    ///
    /// # Errors
    /// A parameter that is not UTF-8, or holds the character NUL, which no database could compare.
    pub fn read(text: &str) -> Outcome<Self> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Self(pairs))
    }

    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, as often as they stand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The question to a list: `limit`, `marker`, `sort_by`, and every other key as a filter. Of a key that stands twice the
    /// first value counts.
    ///
    /// # Errors
    /// A `limit` that is not a positive integer.
    pub fn list(&self) -> Outcome<ListQuery> {
        Ok(ListQuery {
            limit: self.get("limit").map(limit).transpose()?,
            marker: self.get("marker").map(str::to_owned),
            sort: self.get("sort_by").and_then(sort),
            filters: self.filters(&["limit", "marker", "sort_by"]),
        })
    }

    /// Every parameter but the known ones, each with its first value.
    pub fn filters(&self, known: &[&str]) -> Vec<(String, String)> {
        let mut filters: Vec<(String, String)> = Vec::new();
        for (key, value) in &self.0 {
            if !known.contains(&key.as_str()) && !filters.iter().any(|(name, _)| name == key) {
                filters.push((key.clone(), value.clone()));
            }
        }
        filters
    }
}

fn decode(text: &str) -> Outcome<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok().filter(|text| !text.contains('\0'));
    decoded.map(std::borrow::Cow::into_owned).ok_or_else(|| {
        Fault::refused(
            Code::InvalidParamsOnRequest,
            format!("The query parameter '{text}' is not UTF-8 text without the character NUL"),
        )
    })
}

fn limit(text: &str) -> Outcome<u64> {
    // Digits that make no 64-bit number still ask for everything.
    let most = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse::<u64>().unwrap_or(most).min(most)).filter(|number| *number > 0);
    number.ok_or_else(|| Error::BadParameter("'limit' must be positive integer".to_owned()).into())
}

/// An empty text is the default order.
fn sort(text: &str) -> Option<Sort> {
    let (descending, field) = text.strip_prefix('-').map_or((false, text), |field| (true, field));
    (!field.is_empty()).then(|| Sort { field: field.to_owned(), descending })
}

/// The body of a list: the items, and `markers` when there is a page before or after, or a marker was given.
pub fn body<T>(key: &str, page: Page<T>, marker_given: bool, item: impl FnMut(T) -> Value) -> Value {
    let mut body = Map::new();
    let (prev, next) = (page.prev, page.next);
    body.insert(key.to_owned(), page.items.into_iter().map(item).collect());
    if marker_given || prev.is_some() || next.is_some() {
        body.insert("markers".to_owned(), serde_json::json!({"prev": prev, "next": next}));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(text: &str) -> Outcome<ListQuery> {
        Query::read(text)?.list()
    }

    #[test]
    fn the_first_value_counts_and_the_rest_are_filters() {
        let query = list("limit=2&limit=x&sort_by=-name&marker=a%20b&name=x%2By&job.name=q+r&name=z").expect("a query");
        assert_eq!(query.limit, Some(2));
        assert_eq!(query.marker.as_deref(), Some("a b"));
        assert_eq!(query.sort, Some(Sort { field: "name".into(), descending: true }));
        assert_eq!(query.filters, [("name".into(), "x+y".into()), ("job.name".into(), "q r".into())]);
    }

    #[test]
    fn wrong_limits() {
        for wrong in ["limit=0", "limit=-1", "limit=1.5", "limit=", "limit=x"] {
            let fault = list(wrong).expect_err(wrong);
            assert_eq!(fault, Error::BadParameter("'limit' must be positive integer".into()).into(), "{wrong}");
        }
        assert_eq!(list("limit=99999999999").expect("a query").limit, Some(99_999_999_999));
        assert_eq!(list("sort_by=").expect("a query").sort, None);
        assert_eq!(list("marker=").expect("a query").marker.as_deref(), Some(""));
    }

    #[test]
    fn what_cannot_be_text_is_refused() {
        for wrong in ["name=%FF", "name=%00"] {
            assert_eq!(list(wrong).expect_err(wrong).said().name, "INVALID_PARAMS_ON_REQUEST");
        }
    }

    #[test]
    fn markers_only_where_they_say_something() {
        let page = |prev: Option<&str>, next: Option<&str>| Page {
            items: vec![1],
            prev: prev.map(str::to_owned),
            next: next.map(str::to_owned),
        };
        let item = |number: i32| json!(number);
        assert_eq!(body("jobs", page(None, None), false, item), json!({"jobs": [1]}));
        let expected = json!({"jobs": [1], "markers": {"prev": null, "next": null}});
        assert_eq!(body("jobs", page(None, None), true, item), expected);
        let expected = json!({"jobs": [1], "markers": {"prev": null, "next": "x"}});
        assert_eq!(body("jobs", page(None, Some("x")), false, item), expected);
    }
}
