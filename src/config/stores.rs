//! What the types of `[stores.*]` cannot say.

use foggara_stores::{HdfsSettings, Reach};
use url::Url;

use super::Stores;

impl Stores {
    /// The error names the setting and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let folders = self.manila.mounts.values().map(|folder| ("stores.manila.mounts", folder));
        for (key, folder) in folders.chain(self.maprfs.root.iter().map(|folder| ("stores.maprfs.root", folder))) {
            // The root folder would give jobs the whole host.
            if !folder.is_absolute() || folder.parent().is_none() {
                return Err((key, format!("{} is not the absolute path of a mounted folder", folder.display())));
            }
        }
        if let Some(share) = self.manila.mounts.keys().find(|share| !is_uuid(share)) {
            return Err(("stores.manila.mounts", format!("'{share}' is not the id of a share (a UUID)")));
        }
        Reach::of(&self.http.allow).map_err(|reason| ("stores.http.allow", reason))?;
        HdfsSettings::of(None, &self.hdfs.webhdfs).map_err(|reason| ("stores.hdfs.webhdfs", reason))?;
        match self.check.urls.iter().find(|url| Url::parse(url).is_err()) {
            Some(url) => Err(("stores.check.urls", format!("'{url}' is no url"))),
            None => Ok(()),
        }
    }
}

/// 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use crate::config::{Config, Sources};

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Sources { file: Some((PathBuf::from("f.toml"), file.to_owned())), variables }.load()
    }

    #[test]
    fn a_table_has_keys_of_the_operators() {
        let file = "[stores.hdfs.webhdfs]\n'nn:8020' = 'http://nn:9870'\n[stores.manila]\nmounts = \
                    {00000000-0000-4000-8000-000000000abc = '/mnt/share'}";
        let config = load(file, &[]).expect("settings");
        let names = BTreeMap::from([("nn:8020".to_owned(), "http://nn:9870".to_owned())]);
        assert_eq!(config.stores.hdfs.webhdfs, names);
        assert_eq!(config.stores.manila.mounts.len(), 1);
        let variable = [("FOGGARA__STORES__HDFS__WEBHDFS", "{\"nn:8020\" = \"http://nn:9870\"}")];
        assert_eq!(load("", &variable).expect("settings").stores.hdfs.webhdfs, names);
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (file, key, reason) in [
            ("[stores.http]\nallow = ['127.0.0.1/33']", "stores.http.allow", "127.0.0.1/33"),
            ("[stores.hdfs]\nwebhdfs = {nn = 'nn:9870'}", "stores.hdfs.webhdfs", "'nn'"),
            ("[stores.manila]\nmounts = {share = '/mnt'}", "stores.manila.mounts", "'share'"),
            ("[stores.maprfs]\nroot = '/'", "stores.maprfs.root", "mounted folder"),
            ("[stores.maprfs]\nroot = 'mapr'", "stores.maprfs.root", "absolute"),
            ("[stores.check]\nurls = ['x']", "stores.check.urls", "'x'"),
            ("[stores.hdfs]\nnames = 'x'", "stores.hdfs.names", "unknown setting"),
        ] {
            let error = load(file, &[]).expect_err(file);
            assert!(error.starts_with(&format!("f.toml: {key}: ")) && error.contains(reason), "{error}");
        }
    }
}
