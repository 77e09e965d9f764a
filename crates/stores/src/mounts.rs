//! Shares that are mounted on this host: `manila://<share uuid>/path` (`[stores.manila] mounts`) and `maprfs:///path`
//! (`[stores.maprfs] root`). They are files of this host with the rules of [`LocalStore`], each below its own folder: a link
//! that leads out of it is refused, into another share too.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use foggara_domain::data_source::UrlParts;
use url::Url;

use crate::{Access, Blocks, Content, Listing, LocalRoots, LocalStore, Roots, Store, StoreError, Version, Writing};

const MAPRFS: &str = "maprfs";

/// Which url leads to which folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mounts {
    /// Share id, in lower case, to folder.
    manila: BTreeMap<String, PathBuf>,
    maprfs: Option<PathBuf>,
}

impl Mounts {
    /// From the folders of Manila shares by id and the folder that is the root of MapR FS; all absolute.
    pub fn new(manila: BTreeMap<String, PathBuf>, maprfs: Option<PathBuf>) -> Self {
        let manila = manila.into_iter().map(|(share, folder)| (share.to_ascii_lowercase(), folder)).collect();
        Self { manila, maprfs }
    }

    /// For a process of ours that copies: share id or `maprfs` to folder.
    pub fn to_words(&self) -> BTreeMap<String, PathBuf> {
        let mut words = self.manila.clone();
        words.extend(self.maprfs.clone().map(|folder| (MAPRFS.to_owned(), folder)));
        words
    }

    /// The other way round.
    pub fn of_words(mut words: BTreeMap<String, PathBuf>) -> Self {
        let maprfs = words.remove(MAPRFS);
        Self { manila: words, maprfs }
    }

    /// Each with what it is for and its folder.
    pub fn all(&self) -> impl Iterator<Item = (String, &Path)> {
        let manila = self.manila.iter().map(|(share, folder)| (format!("manila://{share}"), folder.as_path()));
        manila.chain(self.maprfs.iter().map(|folder| ("maprfs://".to_owned(), folder.as_path())))
    }

    /// The url of the same file as one of this host, where a data source of that type names a mounted folder: Sahara gives jobs
    /// `file://<mount>/path` (sahara-v1.1.md section 4). Nothing is decoded.
    pub fn file_url(&self, kind: &str, url: &str) -> Option<String> {
        let parts = UrlParts::of(url);
        let folder = match (kind, parts.scheme) {
            ("manila", "manila") => self.manila.get(&parts.host.to_ascii_lowercase()),
            (MAPRFS, "" | MAPRFS) if parts.host.is_empty() => self.maprfs.as_ref(),
            _ => None,
        };
        folder.map(|folder| format!("file://{}{}", folder.display(), parts.path))
    }

    fn folder(&self, url: &Url) -> Result<&PathBuf, StoreError> {
        let host = url.host_str().unwrap_or_default();
        if url.port().is_some() || !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
            return Err(StoreError::Unsupported(format!(
                "a {} url has no port, user, ? or # (%3F, %23 in a name)",
                url.scheme()
            )));
        }
        match url.scheme() {
            MAPRFS if !host.is_empty() => {
                Err(StoreError::Unsupported("only maprfs:///path can be used: one MapR FS is mounted here".to_owned()))
            }
            MAPRFS => self.maprfs.as_ref().ok_or_else(|| {
                StoreError::Unsupported(
                    "no MapR FS is mounted here: the operator can set [stores.maprfs] root".to_owned(),
                )
            }),
            _ => self.manila.get(&host.to_ascii_lowercase()).ok_or_else(|| {
                StoreError::Unsupported(format!(
                    "the share {host} is not mounted here: the operator can set [stores.manila] mounts"
                ))
            }),
        }
    }
}

impl Roots for Mounts {
    /// A path below one of the folders stays below that one.
    fn resolve(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let folder = self.all().map(|(_, folder)| folder).filter(|folder| path.starts_with(folder));
        // Of two that lie in each other the inner one is meant.
        let folder = folder.max_by_key(|folder| folder.components().count());
        let folders = folder.map(|folder| vec![folder.to_owned()]).unwrap_or_default();
        LocalRoots::mounted(folders).resolve(path)
    }
}

/// The store.
pub struct MountStore(Mounts);

impl MountStore {
    /// Over the mounted folders.
    pub fn new(mounts: Mounts) -> Self {
        Self(mounts)
    }

    /// The files of a url's folder, and the url as one of this host.
    fn place(&self, url: &Url) -> Result<(LocalStore<LocalRoots>, Url), StoreError> {
        let folder = self.0.folder(url)?;
        if !folder.is_dir() {
            let text =
                format!("{} is not there: {}://{} is not mounted", folder.display(), url.scheme(), url.authority());
            return Err(StoreError::Unreachable(text));
        }
        let malformed = || StoreError::Local(format!("{} is not an absolute path", folder.display()));
        let mut file = Url::from_file_path(folder).map_err(|()| malformed())?;
        let path = format!("{}{}", file.path().trim_end_matches('/'), url.path());
        file.set_path(&path);
        Ok((LocalStore::new(LocalRoots::mounted(vec![folder.clone()])), file))
    }
}

#[async_trait]
impl Store for MountStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["manila", MAPRFS]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        let (store, file) = self.place(url)?;
        store.open(&file, access).await
    }

    async fn list(&self, url: &Url, access: &Access<'_>) -> Result<Listing, StoreError> {
        let (store, file) = self.place(url)?;
        store.list(&file, access).await
    }

    async fn put(&self, url: &Url, content: Content, access: &Access<'_>) -> Result<u64, StoreError> {
        let (store, file) = self.place(url)?;
        store.put(&file, content, access).await
    }

    async fn delete(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let (store, file) = self.place(url)?;
        store.delete(&file, access).await
    }

    async fn make_folder(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let (store, file) = self.place(url)?;
        store.make_folder(&file, access).await
    }

    fn computes_md5(&self, _url: &Url) -> bool {
        true
    }

    async fn md5(&self, url: &Url, access: &Access<'_>) -> Result<Option<String>, StoreError> {
        let (store, file) = self.place(url)?;
        store.md5(&file, access).await
    }

    async fn version(&self, url: &Url, access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        let (store, file) = self.place(url)?;
        store.version(&file, access).await
    }

    async fn open_part(
        &self,
        url: &Url,
        version: &Version,
        place: (u64, u64),
        access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        let (store, file) = self.place(url)?;
        store.open_part(&file, version, place, access).await
    }

    async fn write_blocks(
        &self,
        url: &Url,
        blocks: &Blocks,
        access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        let (store, file) = self.place(url)?;
        store.write_blocks(&file, blocks, access).await
    }

    async fn remove_part(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let (store, file) = self.place(url)?;
        store.remove_part(&file, access).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: &str = "00000000-0000-4000-8000-000000000abc";

    fn mounts() -> Mounts {
        let manila = BTreeMap::from([(SHARE.to_ascii_uppercase(), PathBuf::from("/mnt/share"))]);
        Mounts::new(manila, Some(PathBuf::from("/mapr/cluster")))
    }

    #[test]
    fn sources_become_files_of_the_mounted_folder() {
        let of = |kind: &str, url: &str| mounts().file_url(kind, url).unwrap_or_default();
        assert_eq!(of("manila", &format!("manila://{SHARE}/a/b")), "file:///mnt/share/a/b");
        assert_eq!(of("manila", "manila://00000000-0000-4000-8000-000000000000/a"), "");
        assert_eq!(of("maprfs", "maprfs:///a"), "file:///mapr/cluster/a");
        assert_eq!(of("maprfs", "/a"), "file:///mapr/cluster/a");
        assert_eq!(of("maprfs", "maprfs://other/a"), "");
        assert_eq!(of("hdfs", "/a"), "");
        assert_eq!(Mounts::of_words(mounts().to_words()), mounts());
    }

    #[test]
    fn paths_stay_below_their_own_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        for folder in [&one, &two] {
            std::fs::create_dir(folder).expect("a folder");
        }
        std::fs::write(two.join("file"), "2").expect("a file");
        std::os::unix::fs::symlink(two.join("file"), one.join("link")).expect("a link");
        let manila = [("1", &one), ("2", &two)].map(|(share, folder)| (share.to_owned(), folder.clone()));
        let mounts = Mounts::new(BTreeMap::from(manila), None);
        mounts.resolve(&two.join("file")).expect("below a mounted folder");
        mounts.resolve(&one.join("new/output")).expect("not there yet");
        for path in [one.join("link"), one.join("../two/file"), dir.path().join("three"), dir.path().to_owned()] {
            let error = mounts.resolve(&path).expect_err("outside");
            assert!(matches!(error, StoreError::Denied(_)), "{path:?}: {error:?}");
        }
    }
}
