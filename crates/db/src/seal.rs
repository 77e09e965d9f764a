//! Secrets at rest: XChaCha20-Poly1305 with a random nonce, the key's id in front, and table, column and row id as
//! associated data, so that a sealed text cannot be moved to another row.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use foggara_domain::{Error, Result};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Conn;

const NONCE: usize = 24;
const KEY: usize = 32;

/// The keys by id; the newest one seals, all of them open.
#[derive(Clone)]
pub struct SealKeys(Arc<BTreeMap<u8, [u8; KEY]>>);

impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} seal keys", self.0.len())
    }
}

/// Form of the keyring file: id to key in hexadecimal.
#[derive(Serialize, Deserialize)]
struct Keyring {
    keys: BTreeMap<u8, String>,
}

impl SealKeys {
    /// One new random key.
    pub fn generate() -> Self {
        Self(Arc::new(BTreeMap::from([(1, random())])))
    }

    /// Reads the keyring file, or makes it (mode 0600) with one new key.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let fail = |what: &str, error: &dyn std::fmt::Display| {
            Error::unavailable(format!("keyring {}: {what}: {error}", path.display()))
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                let keyring: Keyring = serde_json::from_str(&text).map_err(|error| fail("malformed", &error))?;
                let mut keys = BTreeMap::new();
                for (id, key) in keyring.keys {
                    let bytes = unhex(&key).ok_or_else(|| fail("malformed", &"a key is not 64 hexadecimal digits"))?;
                    keys.insert(id, bytes);
                }
                if keys.is_empty() {
                    return Err(fail("malformed", &"it holds no key"));
                }
                Ok(Self(Arc::new(keys)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let keys = Self::generate();
                keys.save(path).map_err(|error| fail("cannot be made", &error))?;
                Ok(keys)
            }
            Err(error) => Err(fail("cannot be read", &error)),
        }
    }

    /// The same keys and a new one, which seals from now on.
    pub fn rotated(&self) -> Result<Self> {
        let newest = self.0.keys().next_back().copied().unwrap_or(0);
        let id = newest.checked_add(1).ok_or_else(|| {
            Error::unavailable("the keyring is full (255 keys); seal everything anew with a fresh keyring")
        })?;
        let mut keys = (*self.0).clone();
        keys.insert(id, random());
        Ok(Self(Arc::new(keys)))
    }

    /// Writes the keyring file by rename, for good: without it everything that is sealed is lost.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let keys = self.0.iter().map(|(id, key)| (*id, hex(key))).collect();
        let text = serde_json::to_string_pretty(&Keyring { keys })?;
        let new = path.with_extension("new");
        // A left-over could have another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    }

    /// Seals a text for one column of one row.
    pub fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>> {
        let Some((id, key)) = self.0.iter().next_back() else { return Err(Error::Internal("no seal key".to_owned())) };
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let cipher = XChaCha20Poly1305::new(key.into());
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::Internal(format!("cannot seal {place}")))?;
        let mut out = vec![*id];
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens what was sealed for the same column of the same row.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<String> {
        let fail = || Error::Internal(format!("cannot open {place}: wrong keyring or damaged data"));
        let (id, rest) = sealed.split_first().ok_or_else(fail)?;
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or_else(fail)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| fail())?;
        let key = self.0.get(id).ok_or_else(fail)?;
        let cipher = XChaCha20Poly1305::new(key.into());
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let text = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| fail())?;
        String::from_utf8(text).map_err(|_| fail())
    }
}

fn random() -> [u8; KEY] {
    let mut key = [0; KEY];
    rand::rng().fill_bytes(&mut key);
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; KEY]> {
    if text.len() != 2 * KEY || !text.is_ascii() {
        return None;
    }
    let mut key = [0; KEY];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Seals an object for one column of one row.
pub(crate) fn seal_object(conn: &Conn, place: &str, object: Option<&Map<String, Json>>) -> Result<Option<Vec<u8>>> {
    object.map(|object| conn.seal_keys().seal(place, &Json::Object(object.clone()).to_string())).transpose()
}

/// Opens an object that was sealed for the same column of the same row.
pub(crate) fn open_object(conn: &Conn, place: &str, sealed: Option<Vec<u8>>) -> Result<Option<Map<String, Json>>> {
    let Some(sealed) = sealed else { return Ok(None) };
    let text = conn.seal_keys().open(place, &sealed)?;
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Internal(format!("{place}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_in_its_place() {
        let keys = SealKeys::generate();
        let sealed = keys.seal("data_source.credentials.1", "secret").expect("sealed");
        assert_eq!(keys.open("data_source.credentials.1", &sealed).expect("opened"), "secret");
        assert!(keys.open("data_source.credentials.2", &sealed).is_err());
        let rotated = keys.rotated().expect("rotated");
        assert_eq!(rotated.open("data_source.credentials.1", &sealed).expect("opened"), "secret");
        assert!(SealKeys::generate().open("data_source.credentials.1", &sealed).is_err());
    }

    #[test]
    fn a_keyring_is_made_once_is_private_and_keeps_its_old_keys() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal.json");
        let made = SealKeys::load_or_create(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        let sealed = made.seal("t.c.1", "secret").expect("sealed");
        let read = SealKeys::load_or_create(&path).expect("read");
        assert_eq!(read.open("t.c.1", &sealed).expect("opened"), "secret");
        read.rotated().expect("rotated").save(&path).expect("saved");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        let rotated = SealKeys::load_or_create(&path).expect("read");
        assert_eq!(rotated.open("t.c.1", &sealed).expect("opened"), "secret");
        let newer = rotated.seal("t.c.1", "secret").expect("sealed");
        assert!(made.open("t.c.1", &newer).is_err(), "the new key seals");
    }

    #[test]
    fn a_damaged_keyring_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal.json");
        for text in ["", "{", r#"{"keys": {}}"#, r#"{"keys": {"1": "abc"}}"#, r#"{"keys": {"256": "00"}}"#] {
            fs::write(&path, text).expect("written");
            let refused = SealKeys::load_or_create(&path).expect_err(text);
            assert!(refused.to_string().contains("seal.json"), "{refused}");
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
    }
}
