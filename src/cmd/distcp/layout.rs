//! Which file goes where: Hadoop's rules (`SimpleCopyListing` and `DistCpContext` of hadoop-distcp).
//!
//! One file becomes the destination, or goes below it when that is a folder. A folder becomes the destination when that is not
//! there, or with `-update` or `-overwrite`; else it goes below it under its own name. Several sources go below it, their
//! contents alone with `-update` or `-overwrite`.

use std::collections::BTreeMap;

use foggara_domain::plan::CopyOptions;
use foggara_stores::{FileEntry, Listing, StoreError, below, part_of, part_prefix, prefix_of_part};
use futures::{StreamExt, TryStreamExt, stream};
use url::Url;

use super::{Fault, Places, shown};

/// Files that are compared at once.
const AT_ONCE: usize = 8;

/// A file to copy.
pub(super) struct Item {
    pub from: Url,
    pub to: Url,
    /// Bytes, as the listing told.
    pub size: u64,
    /// It is there already and stays as it is.
    pub skipped: bool,
    /// What a killed copy has left of it. One of them may be gone on with.
    pub parts: Vec<Url>,
}

/// What is to be done.
pub(super) struct Layout {
    pub items: Vec<Item>,
    /// Files at the destination that no source has; only with `-delete`.
    pub surplus: Vec<Url>,
    /// What killed copies have left there of such files; only with `-delete`.
    pub surplus_parts: Vec<Url>,
    /// Folders in which nothing lies.
    pub folders: Vec<Url>,
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
    let mut folders = Vec::new();
    for source in sources {
        let found = match places.store(source)?.list(source, &places.access()).await {
            Ok(found) => found,
            Err(StoreError::NotFound(why)) => {
                return Err(format!("Input path does not exist: {} ({why})", shown(source)));
            }
            Err(error) => return Err(format!("cannot list the source: {error}")),
        };
        let under = under(source, &found, sources.len(), destination, there.as_ref(), options)?;
        let place_of = |path: &str| match (under.as_str(), path) {
            ("", path) => path.to_owned(),
            (under, "") => under.to_owned(),
            (under, path) => format!("{under}/{path}"),
        };
        let folder = found.empty_folders.iter().filter(|path| part_of(path).is_none());
        folders.extend(folder.map(|path| place_of(path)));
        // What is not complete is nobody's file.
        for file in found.files.into_iter().filter(|file| part_of(&file.path).is_none()) {
            let place = place_of(&file.path);
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
    let mut parts: BTreeMap<String, Vec<Url>> = BTreeMap::new();
    let mut files: BTreeMap<String, FileEntry> = BTreeMap::new();
    for file in there.into_iter().flat_map(|listing| listing.files) {
        match part_of(&file.path) {
            // The blocks of one are listed one by one.
            Some(part) => {
                let url = at_destination(part)?;
                let of_file = parts.entry(prefix_of_part(part).to_owned()).or_default();
                if !of_file.contains(&url) {
                    of_file.push(url);
                }
            }
            None => {
                files.insert(file.path.clone(), file);
            }
        }
    }
    let mut surplus = Vec::new();
    if options.delete {
        for place in files.keys().filter(|place| !wanted.contains_key(*place)) {
            surplus.push(at_destination(place)?);
        }
    }
    let compared = wanted.into_iter().map(|(place, (from, file))| {
        let (there, to) = (files.get(&place), at_destination(&place));
        async move {
            let to = to?;
            let skipped = match there {
                Some(there) => stays(places, (there, &to), (&file, &from), options).await,
                None => false,
            };
            Ok::<_, Fault>((place, Item { from, to, size: file.size, skipped, parts: Vec::new() }))
        }
    });
    let mut items: Vec<(String, Item)> = stream::iter(compared).buffered(AT_ONCE).try_collect().await?;
    for (place, item) in &mut items {
        item.parts = parts.remove(&prefix(place)).unwrap_or_default();
    }
    let surplus_parts = if options.delete { parts.into_values().flatten().collect() } else { Vec::new() };
    folders.sort();
    folders.dedup();
    let folders = folders.iter().map(|place| at_destination(place)).collect::<Result<_, _>>()?;
    Ok(Layout { items: items.into_iter().map(|(_, item)| item).collect(), surplus, surplus_parts, folders })
}

/// How what is not complete of a file begins: folder, and [`part_prefix`].
fn prefix(place: &str) -> String {
    match place.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{}", part_prefix(name)),
        None => part_prefix(place),
    }
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

/// Whether what is there stays: always without `-update` and `-overwrite`. With `-update` when it has the same size and the same
/// checksum; where the stores have none that can be compared, as Hadoop does it there: when it has the same size and is not older.
async fn stays(
    places: &Places,
    (there, to): (&FileEntry, &Url),
    (file, from): (&FileEntry, &Url),
    options: CopyOptions,
) -> bool {
    match by_options(there, file, options) {
        Some(stays) => stays,
        None => match sums(places, (there, to), (file, from)).await {
            Some((there, file)) => there == file,
            None => is_not_older(there, file),
        },
    }
}

/// What the options and the sizes say; nothing where checksum or time count.
fn by_options(there: &FileEntry, file: &FileEntry, options: CopyOptions) -> Option<bool> {
    match options {
        CopyOptions { overwrite: true, .. } => Some(false),
        CopyOptions { update: false, .. } => Some(true),
        _ if there.size != file.size => Some(false),
        CopyOptions { skip_check: true, .. } => Some(true),
        _ => None,
    }
}

fn is_not_older(there: &FileEntry, file: &FileEntry) -> bool {
    matches!((there.modified, file.modified), (Some(there), Some(file)) if there >= file)
}

/// The checksums of two files, where both can be had without fetching one. One that cannot be read has none: copying it will say why.
async fn sums(
    places: &Places,
    (there, to): (&FileEntry, &Url),
    (file, from): (&FileEntry, &Url),
) -> Option<(String, String)> {
    let computes = |url: &Url| places.store(url).is_ok_and(|store| store.computes_md5(url));
    let computed = |url: Url| async move { places.store(&url).ok()?.md5(&url, &places.access()).await.ok().flatten() };
    match (there.md5.clone(), file.md5.clone()) {
        (Some(there), Some(file)) => Some((there, file)),
        (Some(there), None) => Some((there, computed(from.clone()).await?)),
        (None, Some(file)) => Some((computed(to.clone()).await?, file)),
        (None, None) if computes(from) && computes(to) => {
            Some((computed(to.clone()).await?, computed(from.clone()).await?))
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder() -> Listing {
        Listing { is_folder: true, files: Vec::new(), empty_folders: Vec::new() }
    }

    fn file(size: u64, second: u64) -> FileEntry {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        FileEntry { path: String::new(), size, modified, md5: None }
    }

    fn one() -> Listing {
        Listing { is_folder: false, files: vec![file(1, 1)], empty_folders: Vec::new() }
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
        assert_eq!(by_options(&file(1, 1), &file(2, 2), plain), Some(true), "by its name alone");
        assert_eq!(by_options(&file(1, 1), &file(1, 1), CopyOptions { overwrite: true, ..plain }), Some(false));
        assert_eq!(by_options(&file(2, 3), &file(1, 2), update), Some(false), "another size");
        let unchecked = CopyOptions { skip_check: true, ..update };
        assert_eq!(by_options(&file(1, 1), &file(1, 2), unchecked), Some(true));
        assert_eq!(by_options(&file(1, 2), &file(1, 2), update), None);
        assert!(is_not_older(&file(1, 2), &file(1, 2)) && !is_not_older(&file(1, 1), &file(1, 2)));
    }

    #[test]
    fn a_part_is_found_by_its_file() {
        for place in ["a-b", "d/e.txt", "d/-"] {
            let part = format!("{}0123456789abcdef.foggara-part", prefix(place));
            assert_eq!((part_of(&part), prefix_of_part(&part)), (Some(part.as_str()), prefix(place).as_str()));
        }
    }
}
