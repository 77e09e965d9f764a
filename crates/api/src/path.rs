//! The four spellings of a path (sahara-v1.1.md section 1.1): `{rule}`, `{rule}.json`, `/{tenant}{rule}`,
//! `/{tenant}{rule}.json`. They are made one before routing, so that each route exists once.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::percent_decode_str;

/// A path of Sahara's surface, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The path to route by: version and rule.
    pub route: String,
    /// A project that the path names in uuid form; it has to be the token's.
    pub project: Option<String>,
    /// The path ended in `.json`: the answer is JSON whatever `Accept` says.
    pub json: bool,
}

/// The versions that are taken apart so.
const VERSIONS: [&str; 3] = ["v1.0", "v1.1", "v2"];
const SUFFIX: &str = ".json";

/// Whether a path belongs to Sahara's surface.
pub fn is_sahara(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        let version = rest.split('/').next().unwrap_or_default();
        VERSIONS.contains(&version)
    })
}

/// Takes a path of Sahara's surface apart; nothing for a path with fewer than two segments. `collections` are the first
/// segments of the known rules: a segment that is not one of them and stands before one is a tenant, whatever it looks like.
pub fn read(method: &Method, path: &str, collections: &[&str]) -> Option<Spelling> {
    let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let version = segments.remove(0);
    if segments.iter().filter(|segment| !segment.is_empty()).count() == 0 {
        return None;
    }
    let mut project = None;
    let first = decoded(segments[0]);
    if is_uuid_like(&first) {
        project = Some(first.into_owned());
        segments.remove(0);
    } else if !is_collection(&first, collections)
        && segments.get(1).is_some_and(|next| is_collection(&decoded(next), collections))
    {
        segments.remove(0);
    }
    let mut route = format!("/{version}/{}", segments.join("/"));
    // A file may well be called `x.json`: the upload route keeps its name (decision 8).
    let upload = *method == Method::PUT && segments.first().is_some_and(|first| *first == "job-binary-internals");
    let json = !upload && route.ends_with(SUFFIX);
    if json {
        route.truncate(route.len() - SUFFIX.len());
    }
    Some(Spelling { route, project, json })
}

fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

fn is_collection(segment: &str, collections: &[&str]) -> bool {
    collections.contains(&segment.strip_suffix(SUFFIX).unwrap_or(segment))
}

/// Whether a text is a uuid in one of the forms that the original takes for one: with or without dashes, in any case, in
/// braces or as a urn.
pub fn is_uuid_like(text: &str) -> bool {
    let plain = text.trim_start_matches("urn:").trim_start_matches("uuid:");
    let plain = plain.trim_start_matches('{').trim_end_matches('}');
    let mut digits = 0;
    for c in plain.chars() {
        match c {
            '-' => {}
            c if c.is_ascii_hexdigit() => digits += 1,
            _ => return false,
        }
    }
    digits == 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTIONS: [&str; 4] = ["jobs", "data-sources", "job-binary-internals", "job-types"];
    const PROJECT: &str = "0123456789abcdef0123456789abcdef";

    fn spelled(method: Method, path: &str) -> Option<(String, Option<String>, bool)> {
        read(&method, path, &COLLECTIONS).map(|s| (s.route, s.project, s.json))
    }

    #[test]
    fn four_spellings_are_one_route() {
        for rule in ["/jobs", "/jobs/abc", "/jobs/abc/execute", "/jobs/config-hints/Pig", "/data-sources/x.y"] {
            let route = format!("/v1.1{rule}");
            assert_eq!(spelled(Method::GET, &route), Some((route.clone(), None, false)));
            assert_eq!(spelled(Method::GET, &format!("{route}.json")), Some((route.clone(), None, true)));
            let project = Some(PROJECT.to_owned());
            assert_eq!(
                spelled(Method::GET, &format!("/v1.1/{PROJECT}{rule}")),
                Some((route.clone(), project.clone(), false))
            );
            assert_eq!(
                spelled(Method::GET, &format!("/v1.1/{PROJECT}{rule}.json")),
                Some((route.clone(), project, true))
            );
            assert_eq!(spelled(Method::GET, &format!("/v1.1/some-project{rule}")), Some((route, None, false)));
        }
    }

    #[test]
    fn a_file_keeps_its_name() {
        let kept = Some(("/v1.1/job-binary-internals/a.json".to_owned(), None, false));
        assert_eq!(spelled(Method::PUT, "/v1.1/job-binary-internals/a.json"), kept);
        let with_project = spelled(Method::PUT, &format!("/v1.1/{PROJECT}/job-binary-internals/a.json"));
        assert_eq!(with_project.map(|(route, ..)| route).as_deref(), Some("/v1.1/job-binary-internals/a.json"));
        let taken = Some(("/v1.1/job-binary-internals/a".to_owned(), None, true));
        assert_eq!(spelled(Method::GET, "/v1.1/job-binary-internals/a.json"), taken);
    }

    #[test]
    fn short_and_odd_paths() {
        assert_eq!(spelled(Method::GET, "/v1.1"), None);
        assert_eq!(spelled(Method::GET, "/v1.1/"), None);
        let trailing = spelled(Method::GET, "/v1.1/jobs/");
        assert_eq!(trailing.map(|(route, ..)| route).as_deref(), Some("/v1.1/jobs/"));
        let only = spelled(Method::GET, &format!("/v1.1/{PROJECT}"));
        assert_eq!(only, Some(("/v1.1/".to_owned(), Some(PROJECT.to_owned()), false)));
        let unknown = spelled(Method::GET, "/v1.1/nothing/here");
        assert_eq!(unknown.map(|(route, ..)| route).as_deref(), Some("/v1.1/nothing/here"));
    }

    #[test]
    fn uuids_in_all_forms() {
        for yes in [
            PROJECT,
            "01234567-89ab-cdef-0123-456789abcdef",
            "{01234567-89AB-CDEF-0123-456789ABCDEF}",
            "urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
        ] {
            assert!(is_uuid_like(yes), "{yes}");
        }
        for no in ["", "demo", "0123456789abcdef0123456789abcde", "g123456789abcdef0123456789abcdef"] {
            assert!(!is_uuid_like(no), "{no}");
        }
    }

    #[test]
    fn only_the_versions_are_ours() {
        assert!(is_sahara("/v1.1") && is_sahara("/v1.0/x"));
        assert!(!is_sahara("/v1.10/x") && !is_sahara("/v3/auth") && !is_sahara("/"));
    }
}
