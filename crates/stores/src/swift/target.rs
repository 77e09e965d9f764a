//! From a url to container and object, and on to a path of Swift's.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::{StoreError, listing::is_plain};

/// What Hadoop's connector wants behind the container: the name under which Sahara configures it.
const SUFFIX: &str = ".sahara";
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// A container, and what in it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub container: String,
    /// Without a `/` at its head; empty for the whole container.
    pub object: String,
}

impl Target {
    pub fn of(url: &Url) -> Result<Self, StoreError> {
        let refuse = |text: String| Err(StoreError::Unsupported(text));
        let host = url.host_str().unwrap_or_default();
        if url.port().is_some() || host.is_empty() {
            return refuse("a swift url has the form swift://container/object".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(format!(
                "swift://{host}: credentials may not stand in a url; give user and password as credentials (extra of a job \
                 binary) or configs (fs.swift.service.sahara.username, fs.swift.service.sahara.password)"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse(format!("swift://{host}{}: in a name ? is written %3F and # is written %23", url.path()));
        }
        let path = url.path().strip_prefix('/').unwrap_or(url.path());
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let (Ok(container), Ok(object)) = (decode(host.strip_suffix(SUFFIX).unwrap_or(host)), decode(path)) else {
            return refuse(format!("swift://{host}/{path} is not UTF-8"));
        };
        if !is_plain(&container) || container.contains('/') {
            return refuse(format!("swift://{host} names no container"));
        }
        let whole = object.strip_suffix('/').unwrap_or(&object);
        if object == "/" || !whole.is_empty() && !is_plain(whole) {
            return refuse(format!(
                "swift://{container}/{object}: a name with empty parts, '.' or '..' cannot be addressed"
            ));
        }
        Ok(Self { container, object })
    }

    /// The url as it may be shown.
    pub fn name(&self) -> String {
        format!("swift://{}/{}", self.container, self.object)
    }

    /// Refuses a url that cannot be an object's.
    pub fn need_object(&self) -> Result<(), StoreError> {
        if self.object.is_empty() || self.object.ends_with('/') {
            return Err(StoreError::NotFound(format!("{} is not an object but a container or folder", self.name())));
        }
        Ok(())
    }
}

/// Container and object as the path below an account's url; without an object that of the container.
pub(super) fn path_of(container: &str, object: &str) -> String {
    let container = utf8_percent_encode(container, SEGMENT);
    if object.is_empty() {
        format!("/{container}")
    } else {
        format!("/{container}/{}", utf8_percent_encode(object, PATH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<(String, String), String> {
        let target = Target::of(&Url::parse(url).expect("a url")).map_err(|error| error.to_string())?;
        Ok((target.container, target.object))
    }

    #[test]
    fn the_suffix_of_sahara_is_no_part_of_the_name() {
        for (url, container, object) in [
            ("swift://c/o", "c", "o"),
            ("swift://c.sahara/a/b%20c/%3F", "c", "a/b c/?"),
            ("swift://My_c.other/o", "My_c.other", "o"),
            ("swift://a%20b.sahara/o/", "a b", "o/"),
            ("swift://c.sahara", "c", ""),
            ("swift://c/", "c", ""),
        ] {
            assert_eq!(of(url), Ok((container.to_owned(), object.to_owned())), "{url}");
        }
        assert_eq!(path_of("a b", "c/d?%"), "/a%20b/c/d%3F%25");
        assert_eq!(path_of("a", ""), "/a");
    }

    #[test]
    fn urls_that_would_mean_something_else_are_refused() {
        for (url, why) in [
            ("swift://me:very-secret@c/o", "may not stand in a url"),
            ("swift://c/o?version=1", "%3F"),
            ("swift://c/o#x", "%23"),
            ("swift://c//o", "cannot be addressed"),
            ("swift://c/a/%2e%2e%2fo", "cannot be addressed"),
            ("swift://c/%ff", "UTF-8"),
            ("swift://c:80/o", "swift://container/object"),
            ("swift:///o", "swift://container/object"),
            ("swift://.sahara/o", "names no container"),
            ("swift://a%2Fb/o", "names no container"),
        ] {
            let error = of(url).expect_err(url);
            assert!(error.contains(why) && !error.contains("very-secret"), "{url}: {error}");
        }
    }
}
