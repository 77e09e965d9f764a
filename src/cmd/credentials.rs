//! How clients log in: read from OS_* variables or a clouds.yaml, and written for the first user into openrc.sh and
//! clouds.yaml in the data directory. Beside them the note of the present server that client commands of the same user read
//! (decision 26).

use std::{
    fmt::Write,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::data_dir::private_file;

/// Name of the cloud in clouds.yaml.
const CLOUD: &str = "foggara";

/// A project or domain as clients name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

impl Named {
    /// As Keystone's bodies have it.
    pub fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name(name) => json!({"name": name}),
        }
    }

    /// End of the setting's name, and the value.
    fn setting(&self) -> (&'static str, &str) {
        match self {
            Self::Id(id) => ("id", id),
            Self::Name(name) => ("name", name),
        }
    }
}

/// What a client needs. It is not printed: it holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Identity url with `/v3`.
    pub auth_url: String,
    /// Who it is.
    pub login: Login,
    /// The project.
    pub project: Named,
    /// Its domain.
    pub project_domain: Named,
    /// Region of the service; empty for any.
    pub region: String,
}

/// How a client says who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a password.
    Password {
        /// User name.
        username: String,
        /// Domain of the user.
        domain: Named,
        /// Its password.
        password: String,
    },
    /// With a token that was issued before.
    Token(String),
}

impl Credentials {
    /// Those of the first start.
    pub fn first(url: &str, password: &str, region: &str) -> Self {
        let domain = Named::Id("default".to_owned());
        let login =
            Login::Password { username: "admin".to_owned(), domain: domain.clone(), password: password.to_owned() };
        Self {
            auth_url: format!("{url}/v3"),
            login,
            project: Named::Name("demo".to_owned()),
            project_domain: domain,
            region: region.to_owned(),
        }
    }

    /// From settings under their OpenStack names in small letters, without `os_`. Nothing when there is no `auth_url`; the
    /// error names what else is missing.
    pub fn from_settings(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let Some(auth_url) = get("auth_url") else { return Ok(None) };
        let named = |id: &str, name: &str| get(id).map(Named::Id).or_else(|| get(name).map(Named::Name));
        let domain = |whose: &str| {
            let own = named(&format!("{whose}_domain_id"), &format!("{whose}_domain_name"));
            own.or_else(|| named("default_domain_id", "default_domain"))
                .unwrap_or_else(|| Named::Id("default".to_owned()))
        };
        let project = named("project_id", "project_name").or_else(|| named("tenant_id", "tenant_name"));
        let login = match (get("username"), get("password"), get("token")) {
            (Some(username), Some(password), _) => Login::Password { username, domain: domain("user"), password },
            (_, _, Some(token)) => Login::Token(token),
            (None, _, None) => bail!("username is missing"),
            (Some(_), None, None) => bail!("password is missing"),
        };
        Ok(Some(Self {
            auth_url,
            login,
            project: project.ok_or_else(|| anyhow!("project_name is missing"))?,
            project_domain: domain("project"),
            region: get("region_name").unwrap_or_default(),
        }))
    }

    /// From a clouds.yaml: the named cloud; without a name ours, else the only one. Nothing when there is no such cloud; gives
    /// the cloud's name too.
    pub fn from_clouds(text: &str, name: Option<&str>) -> Result<Option<(String, Self)>> {
        let file: Value = serde_yaml_ng::from_str(text).context("it is not YAML")?;
        let Some(clouds) = file["clouds"].as_object() else { bail!("it has no 'clouds'") };
        let found = clouds.get_key_value(name.unwrap_or(CLOUD));
        let only = || clouds.iter().next().filter(|_| name.is_none() && clouds.len() == 1);
        let Some((name, cloud)) = found.or_else(only) else { return Ok(None) };
        let get = |key: &str| match cloud["auth"].get(key).or_else(|| cloud.get(key))? {
            Value::String(text) => Some(text.clone()),
            // A password of digits without quotes.
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let read = Self::from_settings(get).with_context(|| format!("cloud '{name}'"))?;
        let read = read.with_context(|| format!("cloud '{name}': auth_url is missing"))?;
        Ok(Some((name.clone(), read)))
    }

    /// Name and value of each setting.
    fn settings(&self) -> Vec<(String, &str)> {
        let mut settings = vec![("auth_url".to_owned(), self.auth_url.as_str())];
        match &self.login {
            Login::Password { username, domain, password } => {
                let (kind, domain) = domain.setting();
                settings.push(("username".to_owned(), username));
                settings.push(("password".to_owned(), password));
                settings.push((format!("user_domain_{kind}"), domain));
            }
            Login::Token(token) => settings.push(("token".to_owned(), token)),
        }
        let ((project_kind, project), (kind, domain)) = (self.project.setting(), self.project_domain.setting());
        settings.push((format!("project_{project_kind}"), project));
        settings.push((format!("project_domain_{kind}"), domain));
        settings
    }

    fn openrc(&self) -> String {
        let mut text = String::from("# Made by foggara. Use it with: . openrc.sh\n");
        let mut settings = self.settings();
        settings.push(("identity_api_version".to_owned(), "3"));
        settings.push(("region_name".to_owned(), &self.region));
        for (key, value) in settings {
            let _ = writeln!(text, "export OS_{}='{}'", key.to_uppercase(), value.replace('\'', r"'\''"));
        }
        text
    }

    fn clouds(&self) -> Result<String> {
        let auth: serde_json::Map<String, Value> =
            self.settings().into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        let cloud = json!({
            "auth": auth,
            "region_name": self.region,
            "identity_api_version": 3,
            "data_processing_api_version": "1.1",
        });
        Ok(serde_yaml_ng::to_string(&json!({"clouds": {CLOUD: cloud}}))?)
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

/// Changes what the files of the first start say, where they still are as they were written: what somebody edited is theirs.
fn rewrite(dir: &Path, change: impl FnOnce(&mut Credentials)) -> Result<()> {
    let (Ok(openrc), Ok(clouds)) =
        (fs::read_to_string(dir.join("openrc.sh")), fs::read_to_string(dir.join("clouds.yaml")))
    else {
        return Ok(());
    };
    let Ok(Some((_, before))) = Credentials::from_clouds(&clouds, None) else { return Ok(()) };
    if before.openrc() != openrc || before.clouds()? != clouds {
        return Ok(());
    }
    let mut after = before.clone();
    change(&mut after);
    if after == before { Ok(()) } else { write(dir, &after) }
}

/// Puts the present address into the files.
pub fn move_to(dir: &Path, url: &str, region: &str) -> Result<()> {
    rewrite(dir, |credentials| {
        credentials.auth_url = format!("{url}/v3");
        region.clone_into(&mut credentials.region);
    })
}

/// Puts a user's new password into the files, if they are that user's.
pub fn set_password(dir: &Path, user: &str, new: &str) -> Result<()> {
    rewrite(dir, |credentials| {
        if let Login::Password { username, password, .. } = &mut credentials.login
            && username == user
        {
            new.clone_into(password);
        }
    })
}

/// `$XDG_STATE_HOME/foggara/current` or `~/.local/state/foggara/current`.
pub fn current_note() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home)?;
    Some(state.join("foggara/current"))
}

/// Notes the data directory of the server that was started last, so that client commands need no set-up. That it cannot be
/// noted is no reason not to serve; a server without these files (a second one on a shared database) is of no use to them.
pub fn note_current(dir: &Path) {
    let Some(note) = current_note().filter(|_| dir.join("clouds.yaml").is_file()) else { return };
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

    fn read(text: &str, name: Option<&str>) -> Result<Option<(String, Credentials)>> {
        Credentials::from_clouds(text, name)
    }

    #[test]
    fn clouds_are_read_back() {
        let made = Credentials::first("http://127.0.0.1:1", "p'w", "RegionOne");
        let (name, back) = read(&made.clouds().expect("text"), None).expect("read").expect("a cloud");
        assert!(name == CLOUD && back == made);
        assert!(made.openrc().contains(r"OS_PASSWORD='p'\''w'"));
    }

    #[test]
    fn clouds_of_others_are_understood() {
        let text = "clouds:\n  a: {region_name: R, auth: {auth_url: 'http://a/v3', username: u, password: 12, \
                    project_id: p, user_domain_name: D}}\n  b: {auth: {auth_url: 'http://b/v3', token: t, project_name: q}}\n  \
                    c: {auth: {auth_url: 'http://c/v3', username: u, password: w}}\n";
        let (_, a) = read(text, Some("a")).expect("read").expect("a cloud");
        let domain = Named::Name("D".to_owned());
        assert!(a.login == Login::Password { username: "u".to_owned(), domain, password: "12".to_owned() });
        assert_eq!((a.project, a.region.as_str()), (Named::Id("p".to_owned()), "R"));
        let (_, b) = read(text, Some("b")).expect("read").expect("a cloud");
        assert!(b.login == Login::Token("t".to_owned()) && b.project_domain == Named::Id("default".to_owned()));
        let error = read(text, Some("c")).err().expect("no project");
        assert!(format!("{error:#}").contains("cloud 'c': project_name is missing"), "{error:#}");
        assert!(read(text, None).expect("read").is_none(), "none of three");
        assert!(read(text, Some("d")).expect("read").is_none());
        assert!(read("clouds: [", None).is_err() && read("- a", None).is_err());
    }

    #[test]
    fn files_that_were_edited_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &Credentials::first("http://127.0.0.1:1", "old", "R")).expect("written");
        let text = || fs::read_to_string(dir.path().join("clouds.yaml")).expect("text");
        move_to(dir.path(), "http://127.0.0.1:2", "R").expect("moved");
        assert!(text().contains("http://127.0.0.1:2/v3"), "{}", text());
        set_password(dir.path(), "somebody", "other").expect("nothing to do");
        assert!(text().contains("old"));
        set_password(dir.path(), "admin", "new").expect("changed");
        assert!(text().contains("new") && !text().contains("old"));
        let edited = text() + "# mine\n";
        fs::write(dir.path().join("clouds.yaml"), &edited).expect("written");
        move_to(dir.path(), "http://127.0.0.1:3", "R").expect("left alone");
        assert_eq!(text(), edited);
    }

    #[test]
    fn passwords_differ() {
        assert_eq!(random_password().len(), 24);
        assert_ne!(random_password(), random_password());
    }
}
