//! What lies below a url.

use std::time::SystemTime;

use url::Url;

use crate::StoreError;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it lies below the url that was asked, its parts joined by `/`; empty when the url is the file itself.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Last change, if the store tells it.
    pub modified: Option<SystemTime>,
    /// MD5 of its bytes in lower-case hexadecimal, if the listing tells it.
    pub md5: Option<String>,
}

/// The files behind a url, in the order of their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whether the url is a folder; otherwise it is one file.
    pub is_folder: bool,
    /// The files.
    pub files: Vec<FileEntry>,
    /// Folders in which there is nothing, by their paths like those of files; empty where a store has no folders.
    pub empty_folders: Vec<String>,
}

impl Listing {
    pub(crate) fn of_file(file: FileEntry) -> Self {
        Self { is_folder: false, files: vec![file], empty_folders: Vec::new() }
    }

    pub(crate) fn of_folder(mut files: Vec<FileEntry>, mut empty_folders: Vec<String>) -> Self {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        empty_folders.sort();
        Self { is_folder: true, files, empty_folders }
    }
}

/// The url of a file below a folder's url; the path is as a listing gives it.
pub fn below(folder: &Url, path: &str) -> Result<Url, StoreError> {
    let mut url = folder.clone();
    if path.is_empty() {
        return Ok(url);
    }
    if !is_plain(path) {
        return Err(StoreError::Unsupported(format!("'{path}' has empty parts, '.' or '..' in it")));
    }
    match url.path_segments_mut() {
        Ok(mut parts) => {
            parts.pop_if_empty().extend(path.split('/'));
        }
        Err(()) => return Err(StoreError::Unsupported(format!("nothing can lie below a {} url", folder.scheme()))),
    }
    Ok(url)
}

/// Whether the parts of a path are names: not empty, `.` or `..`. An object's key may be anything; as a path it would lead
/// elsewhere.
pub(crate) fn is_plain(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_below_urls_as_they_are() {
        let url = |folder: &str, path: &str| {
            below(&Url::parse(folder).expect("a url"), path)
                .map(|url| url.to_string())
                .unwrap_or_else(|error| error.to_string())
        };
        assert_eq!(url("s3://b", "a/b"), "s3://b/a/b");
        assert_eq!(url("s3://b/", "a"), "s3://b/a");
        assert_eq!(url("file:///d", "a b?#%.txt"), "file:///d/a%20b%3F%23%25.txt");
        assert_eq!(url("s3://b/d", ""), "s3://b/d");
        for path in ["a//b", "../a", "a/./b", "a/", "/a"] {
            assert!(url("s3://b/d", path).contains("has empty parts"), "{path}");
        }
    }
}
