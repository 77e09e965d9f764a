//! The files with which clients find a server and log in: openrc.sh and clouds.yaml in the data directory, and the note of
//! the present server that client commands of the same user read (decision 26).

use std::{
    fmt::Write,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::data_dir::private_file;

/// Name of the cloud in clouds.yaml.
const CLOUD: &str = "foggara";

/// What a client needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// Identity url with `/v3`.
    pub auth_url: String,
    /// User name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Project name.
    pub project_name: String,
    /// Domain of both.
    pub domain_id: String,
    /// Region.
    pub region: String,
}

#[derive(Serialize, Deserialize)]
struct Clouds {
    clouds: std::collections::BTreeMap<String, Cloud>,
}

#[derive(Serialize, Deserialize)]
struct Cloud {
    auth: Auth,
    region_name: String,
    identity_api_version: u8,
    data_processing_api_version: String,
}

#[derive(Serialize, Deserialize)]
struct Auth {
    auth_url: String,
    username: String,
    password: String,
    project_name: String,
    user_domain_id: String,
    project_domain_id: String,
}

impl Credentials {
    /// Those of the first start.
    pub fn first(url: &str, password: &str, region: &str) -> Self {
        Self {
            auth_url: format!("{url}/v3"),
            username: "admin".to_owned(),
            password: password.to_owned(),
            project_name: "demo".to_owned(),
            domain_id: "default".to_owned(),
            region: region.to_owned(),
        }
    }

    /// From a clouds.yaml: the named cloud, else the only one or ours.
    pub fn from_clouds(text: &str, name: Option<&str>) -> Result<Self> {
        let clouds: Clouds = serde_yaml_ng::from_str(text).context("clouds.yaml")?;
        let cloud = clouds
            .clouds
            .get(name.unwrap_or(CLOUD))
            .or_else(|| if name.is_none() && clouds.clouds.len() == 1 { clouds.clouds.values().next() } else { None });
        let cloud = cloud.with_context(|| format!("clouds.yaml has no cloud '{}'", name.unwrap_or(CLOUD)))?;
        Ok(Self {
            auth_url: cloud.auth.auth_url.clone(),
            username: cloud.auth.username.clone(),
            password: cloud.auth.password.clone(),
            project_name: cloud.auth.project_name.clone(),
            domain_id: cloud.auth.user_domain_id.clone(),
            region: cloud.region_name.clone(),
        })
    }

    fn openrc(&self) -> String {
        let mut text = String::from("# Made by foggara. Use it with: . openrc.sh\n");
        for (key, value) in [
            ("OS_AUTH_URL", self.auth_url.as_str()),
            ("OS_IDENTITY_API_VERSION", "3"),
            ("OS_USERNAME", &self.username),
            ("OS_PASSWORD", &self.password),
            ("OS_PROJECT_NAME", &self.project_name),
            ("OS_USER_DOMAIN_ID", &self.domain_id),
            ("OS_PROJECT_DOMAIN_ID", &self.domain_id),
            ("OS_REGION_NAME", &self.region),
        ] {
            let _ = writeln!(text, "export {key}='{}'", value.replace('\'', r"'\''"));
        }
        text
    }

    fn clouds(&self) -> Result<String> {
        let auth = Auth {
            auth_url: self.auth_url.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            project_name: self.project_name.clone(),
            user_domain_id: self.domain_id.clone(),
            project_domain_id: self.domain_id.clone(),
        };
        let cloud = Cloud {
            auth,
            region_name: self.region.clone(),
            identity_api_version: 3,
            data_processing_api_version: "1.1".to_owned(),
        };
        Ok(serde_yaml_ng::to_string(&Clouds { clouds: [(CLOUD.to_owned(), cloud)].into() })?)
    }
}

/// 24 letters and digits.
pub fn random_password() -> String {
    let mut bytes = [0u8; 18];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            // Without randomness there is no password, and no first start.
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xy";
    let bits = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:08b}"));
    bits.as_bytes()
        .chunks(6)
        .map(|six| six.iter().fold(0usize, |value, bit| value * 2 + usize::from(*bit == b'1')))
        .map(|index| char::from(LETTERS[index]))
        .collect()
}

/// Writes openrc.sh and clouds.yaml, both 0600.
pub fn write(dir: &Path, credentials: &Credentials) -> Result<()> {
    private_file(&dir.join("openrc.sh"), &credentials.openrc())?;
    private_file(&dir.join("clouds.yaml"), &credentials.clouds()?)
}

/// Puts the present address into the files, where they still exist.
pub fn move_to(dir: &Path, url: &str, region: &str) -> Result<()> {
    let Ok(text) = fs::read_to_string(dir.join("clouds.yaml")) else { return Ok(()) };
    // A file that somebody wrote anew is theirs.
    let Ok(mut credentials) = Credentials::from_clouds(&text, None) else { return Ok(()) };
    let auth_url = format!("{url}/v3");
    if credentials.auth_url == auth_url && credentials.region == region {
        return Ok(());
    }
    credentials.auth_url = auth_url;
    region.clone_into(&mut credentials.region);
    write(dir, &credentials)
}

/// `$XDG_STATE_HOME/foggara/current` or `~/.local/state/foggara/current`.
pub fn current_note() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home)?;
    Some(state.join("foggara/current"))
}

/// Notes the data directory of the server that was started last, so that client commands need no set-up. That it cannot be
/// noted is no reason not to serve.
pub fn note_current(dir: &Path) {
    let Some(note) = current_note() else { return };
    let write = || -> Result<()> {
        if let Some(folder) = note.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        private_file(&note, &format!("{}\n", dir.display()))
    };
    if let Err(error) = write() {
        tracing::debug!("the server is not noted for client commands: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_read_back() {
        let made = Credentials::first("http://127.0.0.1:1", "p'w", "RegionOne");
        let read = Credentials::from_clouds(&made.clouds().expect("text"), None).expect("read");
        assert_eq!((read.password.as_str(), read.auth_url.as_str()), ("p'w", "http://127.0.0.1:1/v3"));
        assert!(made.openrc().contains(r"OS_PASSWORD='p'\''w'"));
    }

    #[test]
    fn passwords_differ() {
        assert_eq!(random_password().len(), 24);
        assert_ne!(random_password(), random_password());
    }
}
