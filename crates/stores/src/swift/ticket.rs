//! A token in a file, for a process of ours that has neither a caller nor a trust: DistCp. The server writes the file, for its own
//! unix user alone, and writes it anew before the token ends; the process reads it again from time to time.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use foggara_domain::Secret;
use serde::{Deserialize, Serialize};

/// A token, and the url of the account that it is for.
#[derive(Clone, PartialEq)]
pub struct Ticket {
    pub(super) token: Secret,
    pub(super) storage: String,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Ticket({})", self.storage)
    }
}

#[derive(Deserialize, Serialize)]
struct Words {
    token: String,
    storage: String,
}

impl Ticket {
    /// Writes a file of mode 0600, in the place of one that is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        let beside = Path::new(&beside);
        match fs::remove_file(beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let words = Words { token: self.token.reveal().to_owned(), storage: self.storage.clone() };
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        written.write_all(&serde_json::to_vec(&words)?)?;
        fs::rename(beside, file)
    }

    /// Reads the file. The error holds nothing of its text.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read(file).map_err(|error| error.to_string())?;
        let words: Words = serde_json::from_slice(&text).map_err(|_| "it is malformed".to_owned())?;
        Ok(Self { token: Secret::new(words.token), storage: words.storage })
    }
}
