//! Which file goes where: Hadoop's rules (`SimpleCopyListing` and `DistCpContext` of hadoop-distcp).
//!
//! One file becomes the destination, or goes below it when that is a folder. A folder becomes the destination when that is not
//! there, or with `-update` or `-overwrite`; else it goes below it under its own name. Several sources go below it, their
//! contents alone with `-update` or `-overwrite`.

use std::collections::BTreeMap;

use foggara_domain::plan::CopyOptions;
use foggara_stores::{FileEntry, Listing, StoreError, below};
use url::Url;

use super::{Fault, Places, shown};

/// A file to copy.
pub(super) struct Item {
    pub from: Url,
    pub to: Url,
    /// Bytes, as the listing told.
    pub size: u64,
    /// It is there already and stays as it is.
    pub skipped: bool,
}

/// What is to be done.
pub(super) struct Layout {
    pub items: Vec<Item>,
    /// Files at the destination that no source has; only with `-delete`.
    pub surplus: Vec<Url>,
}

pub(super) async fn make(
    places: &Places,
    sources: &[Url],
    destination: &Url,
    options: CopyOptions,
) -> Result<Layout, Fault> {
    let there = match places.store(destination)?.list(destination, &places.access()).await {
        Ok(listing) => Some(listing),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(format!("cannot look at the destination: {error}")),
    };
    // By the place below the destination; empty for the destination itself.
    let mut wanted: BTreeMap<String, (Url, FileEntry)> = BTreeMap::new();
    for source in sources {
        let found = match places.store(source)?.list(source, &places.access()).await {
            Ok(found) => found,
            Err(StoreError::NotFound(why)) => {
                return Err(format!("Input path does not exist: {} ({why})", shown(source)));
            }
            Err(error) => return Err(format!("cannot list the source: {error}")),
        };
        let under = under(source, &found, sources.len(), destination, there.as_ref(), options)?;
        for file in found.files {
            let place = match (under.as_str(), file.path.as_str()) {
                ("", path) => path.to_owned(),
                (under, "") => under.to_owned(),
                (under, path) => format!("{under}/{path}"),
            };
            let from = below(source, &file.path).map_err(|error| format!("{}: {error}", shown(source)))?;
            let other = wanted.get(&place).map(|(other, _)| shown(other));
            if let Some(other) = other {
                return Err(format!("{other} and {} would both become {place} at the destination", shown(&from)));
            }
            wanted.insert(place, (from, file));
        }
    }
    let at_destination =
        |place: &str| below(destination, place).map_err(|error| format!("{}: {error}", shown(destination)));
    let there: BTreeMap<String, FileEntry> =
        there.into_iter().flat_map(|listing| listing.files).map(|file| (file.path.clone(), file)).collect();
    let mut surplus = Vec::new();
    if options.delete {
        for place in there.keys().filter(|place| !wanted.contains_key(*place)) {
            surplus.push(at_destination(place)?);
        }
    }
    let mut items = Vec::with_capacity(wanted.len());
    for (place, (from, file)) in wanted {
        let skipped = there.get(&place).is_some_and(|there| stays(there, &file, options));
        items.push(Item { from, to: at_destination(&place)?, size: file.size, skipped });
    }
    Ok(Layout { items, surplus })
}

/// The folder below the destination in which a source's files go; empty for the destination itself.
fn under(
    source: &Url,
    found: &Listing,
    sources: usize,
    destination: &Url,
    there: Option<&Listing>,
    options: CopyOptions,
) -> Result<String, Fault> {
    let name = last(source);
    if options.delete && !found.is_folder {
        return Err(format!(
            "-delete needs folders as sources: with the file {} all other files at the destination would be removed",
            shown(source)
        ));
    }
    if there.is_some_and(|there| !there.is_folder) {
        if sources > 1 {
            return Err(format!("several sources cannot be copied to one file, {}", shown(destination)));
        }
        if found.is_folder {
            return Err(format!(
                "{} is a folder and cannot be copied to the file {}",
                shown(source),
                shown(destination)
            ));
        }
    }
    if sources == 1 && !found.is_folder {
        return Ok(if there.is_some_and(|there| there.is_folder) { name } else { String::new() });
    }
    let contents = (sources == 1 && there.is_none()) || options.update || options.overwrite;
    // A whole bucket or root has no name.
    Ok(if found.is_folder && contents { String::new() } else { name })
}

/// The last part of a url's path, decoded.
fn last(url: &Url) -> String {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Whether what is there stays: always without `-update` and `-overwrite`. With `-update`, as Hadoop does between stores
/// whose checksums cannot be compared: when it has the same size and is not older.
fn stays(there: &FileEntry, file: &FileEntry, options: CopyOptions) -> bool {
    if options.overwrite {
        return false;
    }
    if !options.update {
        return true;
    }
    let is_newer = match (there.modified, file.modified) {
        (Some(there), Some(file)) => there >= file,
        _ => false,
    };
    there.size == file.size && (options.skip_check || is_newer)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder() -> Listing {
        Listing { is_folder: true, files: Vec::new() }
    }

    fn file(size: u64, second: u64) -> FileEntry {
        FileEntry { path: String::new(), size, modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)) }
    }

    fn one() -> Listing {
        Listing { is_folder: false, files: vec![file(1, 1)] }
    }

    #[test]
    fn sources_get_their_place_as_in_hadoop() {
        let (plain, update) = (CopyOptions::default(), CopyOptions { update: true, ..CopyOptions::default() });
        let of = |source: &str, found: Listing, sources: usize, there: Option<Listing>, options: CopyOptions| {
            let url = |text: &str| Url::parse(text).expect("a url");
            under(&url(source), &found, sources, &url("file:///to"), there.as_ref(), options)
        };
        let place = |name: &str| Ok(name.to_owned());
        assert_eq!(of("file:///a%20b", one(), 1, None, plain), place(""));
        assert_eq!(of("file:///a%20b", one(), 1, Some(folder()), plain), place("a b"));
        assert_eq!(of("file:///a", one(), 1, Some(one()), plain), place(""));
        assert_eq!(of("file:///a", one(), 1, Some(folder()), update), place("a"));
        assert_eq!(of("file:///d/a", folder(), 1, None, plain), place(""));
        assert_eq!(of("file:///d/a", folder(), 1, Some(folder()), plain), place("a"));
        assert_eq!(of("file:///d/a", folder(), 1, Some(folder()), update), place(""));
        assert_eq!(of("file:///d/a", folder(), 2, None, plain), place("a"));
        assert_eq!(of("file:///d/a", folder(), 2, None, update), place(""));
        assert_eq!(of("file:///d/a", one(), 2, None, update), place("a"));
        assert_eq!(of("s3://b/", folder(), 1, Some(folder()), plain), place(""));
        assert!(of("file:///a", one(), 2, Some(one()), plain).is_err_and(|fault| fault.contains("several")));
        assert!(of("file:///a", folder(), 1, Some(one()), plain).is_err_and(|fault| fault.contains("is a folder")));
        let delete = CopyOptions { delete: true, ..update };
        assert!(of("file:///a", one(), 1, Some(folder()), delete).is_err_and(|fault| fault.contains("-delete")));
    }

    #[test]
    fn what_is_there_stays_by_size_and_time() {
        let plain = CopyOptions::default();
        let update = CopyOptions { update: true, ..plain };
        assert!(stays(&file(1, 1), &file(2, 2), plain), "by its name alone");
        assert!(!stays(&file(1, 1), &file(1, 1), CopyOptions { overwrite: true, ..plain }));
        assert!(stays(&file(1, 2), &file(1, 2), update));
        assert!(!stays(&file(1, 1), &file(1, 2), update), "older");
        assert!(!stays(&file(2, 3), &file(1, 2), update), "another size");
        assert!(stays(&file(1, 1), &file(1, 2), CopyOptions { skip_check: true, ..update }));
    }
}
