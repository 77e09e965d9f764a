//! How the files of a job come to its driver: by url where the cluster has a store for them, else in the Secret if they are small.

use std::{collections::BTreeMap, fs, path::Path};

use foggara_domain::plan::Plan;

/// Where the Secret lies in the pod.
pub(super) const FOLDER: &str = "/opt/foggara";
/// Bytes that a Secret may hold of ours. Kubernetes takes 1 MiB of values.
const LARGEST: u64 = 900 * 1024;

/// Content of the Secret: path below [`FOLDER`] to bytes.
pub(super) type Content = BTreeMap<String, Vec<u8>>;

/// A job's files as its driver names them.
pub(super) struct Files {
    pub main: String,
    pub jars: Vec<String>,
    pub py_files: Vec<String>,
    pub files: Vec<String>,
    pub content: Content,
}

/// Finds each file's place. Names of files that lie in the Secret stay, since Python imports them by name.
pub(super) fn place(plan: &Plan, urls: &BTreeMap<std::path::PathBuf, String>) -> Result<Files, String> {
    let Plan::Spark { main, jars, py_files, files, .. } = plan else { return Err("not a Spark plan".to_owned()) };
    let mut places = Places { urls, content: Content::new(), bytes: 0 };
    let placed = Files {
        main: places.place(main)?,
        jars: places.all(jars)?,
        py_files: places.all(py_files)?,
        files: places.all(files)?,
        content: Content::new(),
    };
    Ok(Files { content: places.content, ..placed })
}

/// Whether this place is in the pod's own file system, and where.
pub(super) fn local_path(place: &str) -> Option<&str> {
    place.strip_prefix("file://")
}

struct Places<'a> {
    urls: &'a BTreeMap<std::path::PathBuf, String>,
    content: Content,
    bytes: u64,
}

impl Places<'_> {
    fn all(&mut self, paths: &[std::path::PathBuf]) -> Result<Vec<String>, String> {
        paths.iter().map(|path| self.place(path)).collect()
    }

    fn place(&mut self, path: &Path) -> Result<String, String> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains(',') {
            return Err(format!("{name}: a file's name may hold no comma for Spark"));
        }
        if let Some(url) = self.urls.get(path) {
            return Ok(url.clone());
        }
        let read = |error: std::io::Error| format!("{}: {error}", path.display());
        let size = fs::metadata(path).map_err(read)?.len();
        self.bytes += size;
        if self.bytes > LARGEST {
            return Err(format!(
                "the files of this job come to the cluster in a Secret of Kubernetes, which holds {} KiB, and with '{name}' \
                 ({} KiB) they are larger: the operator can set kubernetes.artifacts to a store that the pods reach",
                LARGEST / 1024,
                size.div_ceil(1024)
            ));
        }
        let bytes = fs::read(path).map_err(read)?;
        let below = match self.content.get(&format!("files/{name}")) {
            Some(other) if *other != bytes => format!("files/{}/{name}", self.content.len()),
            _ => format!("files/{name}"),
        };
        self.content.insert(below.clone(), bytes);
        Ok(format!("file://{FOLDER}/{below}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spark(main: &Path, jars: &[&Path]) -> Plan {
        Plan::Spark {
            main: main.to_owned(),
            main_class: None,
            args: Vec::new(),
            secret_args: false,
            conf: BTreeMap::new(),
            py_files: Vec::new(),
            jars: jars.iter().map(|path| (*path).to_owned()).collect(),
            files: Vec::new(),
        }
    }

    #[test]
    fn small_files_lie_in_the_secret_and_large_ones_need_a_store() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("other")).expect("made");
        for (name, text) in [("a.jar", "main"), ("b.jar", "lib"), ("other/b.jar", "another of this name")] {
            fs::write(path(name), text).expect("written");
        }
        let plan = spark(&path("a.jar"), &[&path("b.jar"), &path("other/b.jar")]);
        let files = place(&plan, &BTreeMap::new()).expect("placed");
        assert_eq!(files.main, "file:///opt/foggara/files/a.jar");
        assert_eq!(files.jars, ["file:///opt/foggara/files/b.jar", "file:///opt/foggara/files/2/b.jar"]);
        assert_eq!(files.content["files/2/b.jar"], b"another of this name");

        fs::write(path("b.jar"), vec![0; 950 * 1024]).expect("written");
        let refused = place(&plan, &BTreeMap::new()).err().expect("too large");
        assert!(refused.contains("'b.jar' (950 KiB)") && refused.contains("kubernetes.artifacts"), "{refused}");
        let urls = BTreeMap::from([(path("b.jar"), "s3a://jars/b.jar".to_owned())]);
        let files = place(&plan, &urls).expect("placed");
        assert_eq!(files.jars, ["s3a://jars/b.jar", "file:///opt/foggara/files/b.jar"]);
    }
}
