//! Where files may be: paths and urls of a script, resolved and refused when they lead out of the allowed folders and buckets.

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use foggara_domain::sql::{SqlBucket, SqlRequest};
use url::Url;

use crate::fault::{Fault, Outcome};

/// A resolved place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A local path, absolute, with links followed as far as it exists.
    Local(PathBuf),
    /// An object store; the scheme is always s3.
    Bucket(Url),
}

impl Place {
    /// As a url; that of a folder ends with `/`.
    ///
    /// # Errors
    /// A path that is not absolute.
    pub fn url(&self, folder: bool) -> Outcome<Url> {
        match self {
            Self::Local(path) if folder => Url::from_directory_path(path),
            Self::Local(path) => Url::from_file_path(path),
            Self::Bucket(url) => {
                let mut url = url.clone();
                if folder && !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Ok(url)
            }
        }
        .map_err(|()| Fault::new("a path must be absolute"))
    }

    /// As it is kept in the catalogue.
    pub fn text(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Bucket(url) => url.to_string(),
        }
    }
}

/// The allowed places.
#[derive(Debug)]
pub struct Places {
    /// Canonical.
    roots: Vec<PathBuf>,
    workspace: PathBuf,
    buckets: Vec<SqlBucket>,
}

impl Places {
    /// From the request; roots that do not exist are left out.
    ///
    /// # Errors
    /// A workspace or warehouse that does not exist.
    pub fn new(request: &SqlRequest) -> Outcome<Arc<Self>> {
        let real = |path: &Path| path.canonicalize().map_err(|error| Fault::io("find", path, &error));
        let workspace = real(&request.workspace)?;
        let mut roots = vec![workspace.clone(), real(&request.warehouse)?];
        roots.extend(request.roots.iter().filter_map(|root| root.canonicalize().ok()));
        Ok(Arc::new(Self { roots, workspace, buckets: request.buckets.clone() }))
    }

    /// The entry of a bucket.
    pub fn bucket(&self, name: &str) -> Option<&SqlBucket> {
        let exact = self.buckets.iter().find(|bucket| bucket.bucket == name);
        exact.or_else(|| self.buckets.iter().find(|bucket| bucket.bucket == "*"))
    }

    /// Resolves what a script names.
    ///
    /// # Errors
    /// A scheme that is unknown, a place that is not allowed.
    pub fn resolve(&self, text: &str) -> Outcome<Place> {
        if text.contains(['*', '?', '[', '{']) {
            return Err(Fault::new(format!("{text}: patterns in paths are not read here"))
                .hint("name the folder; all its files are read"));
        }
        let Some((scheme, rest)) = text
            .split_once(':')
            .filter(|(scheme, _)| scheme.len() > 1 && scheme.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '+'))
        else {
            return self.local(Path::new(text)).map(Place::Local);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" | "hdfs" | "viewfs" => {
                let path = match rest.strip_prefix("//") {
                    Some(host_and_path) if host_and_path.starts_with('/') => host_and_path,
                    Some(host_and_path) => {
                        return Err(Fault::new(format!(
                            "{text}: the host {} is not reached here",
                            host_and_path.split('/').next().unwrap_or("")
                        ))
                        .hint(format!("{scheme}:///path is a path of this machine")));
                    }
                    None => rest,
                };
                self.local(Path::new(path)).map(Place::Local)
            }
            "s3" | "s3a" | "s3n" | "obs" => {
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if self.bucket(bucket).is_none() {
                    return Err(Fault::new(format!("{text}: bucket {bucket} is not among those of the job"))
                        .hint("give the job credentials of an object store for it"));
                }
                let mut url = Url::parse(&format!("s3://{bucket}/"))
                    .map_err(|_| Fault::new(format!("{text}: {bucket} is not a name of a bucket")))?;
                url.set_path(key);
                Ok(Place::Bucket(url))
            }
            _ => Err(Fault::new(format!("{text}: the scheme {scheme} is not read here"))
                .hint("paths, file, hdfs without a host, s3, s3a, s3n and obs are")),
        }
    }

    /// Follows links as far as the path exists and checks where it leads.
    ///
    /// # Errors
    /// It leads out of the allowed folders.
    pub fn local(&self, path: &Path) -> Outcome<PathBuf> {
        let absolute = self.workspace.join(path);
        let mut rest: Vec<OsString> = Vec::new();
        let mut known = absolute.as_path();
        let mut real = loop {
            match known.canonicalize() {
                Ok(real) => break real,
                // A link whose target is missing exists all the same, and must not be written through.
                Err(_) if known.symlink_metadata().is_err() => {
                    let (Some(parent), Some(Component::Normal(name))) =
                        (known.parent(), known.components().next_back())
                    else {
                        return Err(outside(path));
                    };
                    rest.push(name.to_owned());
                    known = parent;
                }
                Err(error) => return Err(Fault::io("follow", known, &error)),
            }
        };
        real.extend(rest.iter().rev());
        if self.roots.iter().any(|root| real.starts_with(root)) { Ok(real) } else { Err(outside(path)) }
    }

    /// Whether a folder is one of the allowed ones itself, so that nothing can be put beside it.
    pub fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root == path)
    }
}

fn outside(path: &Path) -> Fault {
    Fault::new(format!("{} is outside of the folders of this job", path.display()))
        .hint("use the workspace, a table without LOCATION, or a folder that the operator allows")
}

/// Whether Hadoop's readers leave a file of this name out.
pub fn hidden(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('_')
}
