//! What is noted of an open session beside an attempt, for whoever has to see to it that nothing of the job goes on at the server.
//!
//! The note is there before the first statement and goes when the session is closed. A second, empty file is there while the server
//! is asked to begin a statement. Spark's server lists a statement with its session only after it began it, so that a close in between
//! would miss it, and the statement would go on in a session that is gone (seen in Spark 4.3.0's `HiveSessionImpl`). So a session
//! that may be in that state is left alone for a moment: the server ends the call, finds that its client is gone and closes
//! the session itself.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    address::{Address, Login},
    session::{self, Handle, Trouble},
};
use crate::local::create;

/// The note's name in the attempt's folder.
pub(super) const NOTE: &str = "session";
/// Extension of the second file.
const BEGINS: &str = "begins";
/// How long a server is given to find that its client is gone. It begins a statement within milliseconds; one that does not watch its
/// connections (the HTTP transport) has long listed it by then.
const MISSED: Duration = Duration::from_secs(10);
/// How often it is asked in that time.
const LOOK: Duration = Duration::from_millis(50);

/// The note of an attempt, whether it is there or not.
pub(super) struct Note {
    file: PathBuf,
}

impl Note {
    pub fn at(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    fn marker(&self) -> PathBuf {
        self.file.with_extension(BEGINS)
    }

    /// Puts the session's name on the disk.
    pub fn write(&self, handle: &Handle) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut out = create(&new)?;
        out.write_all(&serde_json::to_vec(handle)?)?;
        out.sync_all()?;
        fs::rename(&new, &self.file)?;
        File::open(self.file.parent().unwrap_or(&self.file))?.sync_all()
    }

    /// The server is about to be asked to begin a statement. A crash of the host may lose this, but no server takes as long as a
    /// host to come back.
    pub fn begins(&self) -> io::Result<()> {
        create(&self.marker()).map(drop)
    }

    /// It has answered.
    pub fn has_begun(&self) -> io::Result<()> {
        fs::remove_file(self.marker())
    }

    /// Sees to it that nothing of the session goes on, and removes the note. The error says why that is not known.
    pub fn settle(&self, address: &Address, login: &Login, patience: Duration) -> Result<(), String> {
        self.settle_within(address, login, patience, MISSED)
    }

    fn settle_within(
        &self,
        address: &Address,
        login: &Login,
        patience: Duration,
        missed: Duration,
    ) -> Result<(), String> {
        let broken = |error: io::Error| format!("{}: {error}", self.file.display());
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        let handle: Handle = serde_json::from_slice(&text).map_err(|error| broken(error.into()))?;
        let words = |trouble: Trouble| trouble.words();
        let began = Instant::now();
        while self.marker().exists() && began.elapsed() < missed {
            if !session::is_open(address, login, &handle, patience).map_err(words)? {
                break;
            }
            thread::sleep(LOOK);
        }
        session::close(address, login, &handle, patience).map_err(words)?;
        for file in [self.marker(), self.file.clone()] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(broken(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        sync::{Arc, Mutex},
    };

    use foggara_domain::Secret;
    use thrift::protocol::{
        TBinaryInputProtocol, TBinaryOutputProtocol, TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol,
        TType,
    };

    use super::*;
    use crate::hive::wire::{Value, read, write};

    const LONG: Duration = Duration::from_secs(120);

    /// Answers calls: it has the session for that many questions. Gives its port and what it was asked.
    fn server(mut knows: usize) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let mut input = TBinaryInputProtocol::new(&stream, true);
                let mut output = TBinaryOutputProtocol::new(&stream, true);
                while let Ok(head) = input.read_message_begin() {
                    read(&mut input, TType::Struct).expect("arguments");
                    let status = if knows > 0 {
                        knows -= 1;
                        Value::fields([(1, Value::I32(0))])
                    } else {
                        Value::fields([
                            (1, Value::I32(3)),
                            (5, Value::text("Invalid SessionHandle: SessionHandle [x]")),
                        ])
                    };
                    calls.lock().expect("whole").push(head.name.clone());
                    let head = TMessageIdentifier::new(head.name, TMessageType::Reply, head.sequence_number);
                    output.write_message_begin(&head).expect("answered");
                    write(&mut output, &Value::fields([(0, Value::fields([(1, status)]))])).expect("answered");
                    output.flush().expect("answered");
                }
            }
        });
        (port, asked)
    }

    /// What a server is asked when a session is settled, and whether the note is gone.
    fn settled(knows: usize, begins: bool, missed: Duration) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let (port, asked) = server(knows);
        let note = Note::at(&dir.path().join(NOTE));
        note.write(&Handle::named(b"g", b"s")).expect("noted");
        if begins {
            note.begins().expect("noted");
        }
        let address = Address::parse(&format!("jdbc:hive2://127.0.0.1:{port}/;auth=noSasl")).expect("an address");
        let login = Login { user: "u".to_owned(), password: Secret::new("p".to_owned()) };
        note.settle_within(&address, &login, Duration::from_secs(20), missed).expect("settled");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
        asked.lock().expect("whole").clone()
    }

    #[test]
    fn a_session_that_may_be_beginning_a_statement_is_closed_by_its_server() {
        assert_eq!(settled(1, false, LONG), ["CloseSession"]);
        assert_eq!(settled(0, false, LONG), ["CloseSession"], "unknown is closed");
        assert_eq!(settled(2, true, LONG), ["GetCatalogs", "GetCatalogs", "GetCatalogs", "CloseSession"]);
    }

    #[test]
    fn a_server_that_does_not_miss_its_client_is_told() {
        let asked = settled(usize::MAX, true, LOOK * 2);
        assert_eq!(asked.first().map(String::as_str), Some("GetCatalogs"));
        assert_eq!(asked.last().map(String::as_str), Some("CloseSession"));
    }
}
