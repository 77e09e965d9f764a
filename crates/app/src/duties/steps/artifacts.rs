//! Files of jobs whose engine's nodes fetch them from a store: each lies there once, under its hash, whoever uses it. A note per
//! attempt says which it uses; what no note names is removed after a while.
//!
//! ```text
//! BASE/<sha256>/<name>    the file
//! BASE/.use/<tag>         the hashes that an attempt uses, a line each
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use foggara_domain::{ProjectId, Tag, plan::Plan};
use foggara_stores::{Access, Content, FileEntry, StoreError, Stores, below, file_content};
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use url::Url;

use crate::ops::job_binaries::store_of;

const NOTES: &str = ".use";
/// What nobody uses is kept for so long: the next job is often the same.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Most bytes of a note.
const NOTE: usize = 1 << 20;

/// Puts the files of a plan there, unless they are there. Gives the url of each.
pub(super) async fn put(
    stores: &Stores,
    base: &str,
    tag: &Tag,
    plan: &Plan,
) -> Result<BTreeMap<PathBuf, String>, String> {
    let failed = |error: StoreError| format!("the store of artifacts {base}: {error}");
    let mut hashes = BTreeMap::new();
    for path in plan.files() {
        let file = path.to_owned();
        let hash = tokio::task::spawn_blocking(move || hash(&file)).await.map_err(|error| error.to_string())?;
        hashes.insert(path.to_owned(), hash.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    let project = ProjectId::system();
    let access = Access { project: &project, caller: None, credentials: None, lent: None };
    let (store, base) = store_of(stores, base).map_err(failed)?;
    // First the note: what it names is not removed any more.
    let note: BTreeSet<&str> = hashes.values().map(String::as_str).collect();
    let note = note.into_iter().collect::<Vec<_>>().join("\n");
    store.put(&note_of(&base, tag).map_err(failed)?, whole(note), &access).await.map_err(failed)?;
    let mut urls = BTreeMap::new();
    for (path, hash) in hashes {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let url = below(&base, &format!("{hash}/{name}")).map_err(failed)?;
        let content = file_content(&path).await.map_err(failed)?;
        // One that will soon be old enough to be removed is put anew, lest it goes while the job starts.
        let serves = |file: &FileEntry| Some(file.size) == content.size && age(file).is_none_or(|age| age < KEEP / 2);
        let is_there = match store.list(&url, &access).await {
            Ok(found) => !found.is_folder && found.files.first().is_some_and(serves),
            Err(StoreError::NotFound(_)) => false,
            Err(error) => return Err(failed(error)),
        };
        if !is_there {
            store.put(&url, content, &access).await.map_err(failed)?;
        }
        urls.insert(path, String::from(url));
    }
    Ok(urls)
}

/// The attempt is over.
pub(super) async fn release(stores: &Stores, base: &str, tag: &Tag) -> Result<(), String> {
    let project = ProjectId::system();
    let access = Access { project: &project, caller: None, credentials: None, lent: None };
    let released = async {
        let (store, base) = store_of(stores, base)?;
        store.delete(&note_of(&base, tag)?, &access).await
    };
    released.await.map_err(|error| format!("the store of artifacts {base}: {error}"))
}

/// Removes what no note names, when it is old enough.
pub(in crate::duties) async fn collect(stores: &Stores, base: &str) -> Result<(), String> {
    let failed = |error: StoreError| format!("the store of artifacts {base}: {error}");
    let project = ProjectId::system();
    let access = Access { project: &project, caller: None, credentials: None, lent: None };
    let (store, base) = store_of(stores, base).map_err(failed)?;
    let found = match store.list(&base, &access).await {
        Ok(found) => found,
        Err(StoreError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // The list first, then the notes: a note that comes later names a file that is either new or put once more.
    let mut used = BTreeSet::new();
    let notes = format!("{NOTES}/");
    for file in found.files.iter().filter(|file| file.path.starts_with(&notes)) {
        let note = store.open(&below(&base, &file.path).map_err(failed)?, &access).await;
        match note {
            Ok(note) => used.extend(lines(note).await.map_err(failed)?),
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let is_old = |file: &FileEntry| age(file).is_some_and(|age| age > KEEP);
    for file in found.files.iter().filter(|file| is_old(file)) {
        let Some((hash, _)) = file.path.split_once('/').filter(|(hash, _)| is_hash(hash)) else { continue };
        let url = below(&base, &file.path).map_err(failed)?;
        // It may have been put anew meanwhile.
        let still = store.list(&url, &access).await.is_ok_and(|found| found.files.first().is_some_and(is_old));
        if still && !used.contains(hash) {
            store.delete(&url, &access).await.map_err(failed)?;
        }
    }
    Ok(())
}

fn age(file: &FileEntry) -> Option<Duration> {
    SystemTime::now().duration_since(file.modified?).ok()
}

fn note_of(base: &Url, tag: &Tag) -> Result<Url, StoreError> {
    below(base, &format!("{NOTES}/{tag}"))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut piece)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => hash.update(&piece[..length]),
        }
    }
}

fn whole(text: String) -> Content {
    let size = u64::try_from(text.len()).ok();
    Content { size, stream: stream::once(async { Ok(Bytes::from(text)) }).boxed() }
}

async fn lines(note: Content) -> Result<Vec<String>, StoreError> {
    let mut stream = note.stream;
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece?);
        if text.len() > NOTE {
            return Err(StoreError::TooBig(format!("a note of artifacts has more than {NOTE} bytes")));
        }
    }
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use foggara_stores::{LocalRoots, LocalStore};

    use super::*;

    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for folder in fs::read_dir(root).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).expect("a folder").flatten() {
                let folder = folder.file_name().to_string_lossy().chars().take(4).collect::<String>();
                found.push(format!("{folder}/{}", file.file_name().to_string_lossy()));
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_file_lies_there_once_and_goes_when_nobody_uses_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let roots = LocalRoots::new(vec![dir.path().to_owned()]);
        let stores = Stores::new().with(Arc::new(LocalStore::new(roots)));
        let root = dir.path().join("artifacts");
        let base = format!("file://{}", root.display());
        let jar = dir.path().join("app.jar");
        fs::write(&jar, "bytes").expect("written");
        let plan =
            Plan::HadoopJar { jar: jar.clone(), args: Vec::new(), secret_args: false, properties: BTreeMap::new() };
        let (one, two) = (Tag::from("fg-t-1-1".to_owned()), Tag::from("fg-t-2-1".to_owned()));
        let urls = put(&stores, &base, &one, &plan).await.expect("put");
        assert!(urls[&jar].starts_with(&base) && urls[&jar].ends_with("/app.jar"), "{urls:?}");
        assert_eq!(put(&stores, &base, &two, &plan).await.expect("there already"), urls);
        let hash = hash(&jar).expect("a hash");
        let here = root.join(&hash).join("app.jar");
        assert_eq!(files(&root), [".use/fg-t-1-1", ".use/fg-t-2-1", &format!("{}/app.jar", &hash[..4])]);

        let old = SystemTime::now() - KEEP * 2;
        let age = || fs::File::options().write(true).open(&here).and_then(|file| file.set_modified(old)).expect("aged");
        age();
        release(&stores, &base, &one).await.expect("released");
        release(&stores, &base, &one).await.expect("released already");
        collect(&stores, &base).await.expect("collected");
        assert!(here.exists(), "the other attempt uses it");
        release(&stores, &base, &two).await.expect("released");
        put(&stores, &base, &one, &plan).await.expect("put anew");
        release(&stores, &base, &one).await.expect("released");
        collect(&stores, &base).await.expect("collected");
        assert!(here.exists(), "it was put anew a moment ago");
        age();
        collect(&stores, &base).await.expect("collected");
        assert_eq!(files(&root), Vec::<String>::new());
    }
}
