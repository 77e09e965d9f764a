//! The socket `admin.sock` in the data directory of a running server, through which the commands on users, projects and keys
//! reach it (contract.md section 1). One line of JSON is asked and one is answered. Who may open the directory (mode 0700) may
//! do what its owner may.

use std::{
    fs::{self, File},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use super::work::{Bench, Request};

const NAME: &str = "admin.sock";
/// Longest line that is asked, in bytes.
const LONGEST: u64 = 64 * 1024;
/// How long a conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is answered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// It was done.
    Done(Value),
    /// It was refused, and why.
    Refused(String),
}

/// The socket by way of its open directory: a path of any length fits into an address that way.
fn address(dir: &Path) -> std::io::Result<(File, PathBuf)> {
    let dir = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()));
    Ok((dir, path))
}

/// Listens until `stopping`. The caller holds the directory's lock, so a socket that is there is a dead server's.
pub fn serve(bench: Bench, stopping: CancellationToken) -> Result<()> {
    let (dir, path) = address(&bench.data_dir)?;
    if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("bind {NAME} in {}", bench.data_dir.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let bench = Arc::new(bench);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(converse(Arc::clone(&bench), stream));
                }
                Err(error) => {
                    tracing::warn!("{NAME}: {error}");
                    // Out of file descriptors: not to spin until there are some.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(dir);
    });
    Ok(())
}

async fn converse(bench: Arc<Bench>, stream: UnixStream) {
    let work = async {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        (&mut stream).take(LONGEST).read_until(b'\n', &mut line).await?;
        let answer = match serde_json::from_slice::<Request>(&line) {
            // The text of the parser's error could hold a part of the line, and that a password.
            Err(_) => {
                Answer::Refused("the server does not understand the command: it may be an older foggara".to_owned())
            }
            Ok(request) => match bench.perform(request).await {
                Ok(value) => Answer::Done(value),
                Err(error) => Answer::Refused(format!("{error:#}")),
            },
        };
        let mut answer = serde_json::to_vec(&answer)?;
        answer.push(b'\n');
        stream.get_mut().write_all(&answer).await?;
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("{NAME}: {error}"),
        Err(_) => tracing::debug!("{NAME}: somebody said nothing"),
    }
}

/// Asks the server that holds a data directory. Nothing when it has no socket: then the database is the way.
pub async fn ask(dir: &Path, request: &Request) -> Result<Option<Value>> {
    let (_dir, path) = address(dir)?;
    let Ok(mut stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let conversation = async {
        stream.write_all(&line).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, conversation).await.context("the server does not answer")??;
    match serde_json::from_str(&answer).context("the server ended before its answer: look whether it was done")? {
        Answer::Done(value) => Ok(Some(value)),
        Answer::Refused(text) => Err(anyhow!(text)),
    }
}

#[cfg(test)]
mod tests {
    use foggara_db::{Db, SealKeys};
    use foggara_domain::{Secret, Timestamp};
    use foggara_identity::admin::Admin;

    use super::*;

    #[tokio::test]
    async fn commands_reach_the_server_and_refusals_come_back() {
        let place = tempfile::tempdir().expect("a folder");
        // Longer than an address of a socket can be.
        let dir = place.path().join("x".repeat(120));
        fs::create_dir(&dir).expect("a folder");
        let url = Secret::new(format!("sqlite:{}", dir.join("db").display()));
        let db = Db::open(foggara_db::Settings { url, connections: 2, seal_keys: SealKeys::generate() }).await;
        let db = db.expect("the database opens");
        db.migrate(Timestamp::from_micros(0)).await.expect("up to date");
        Admin::new(db.clone()).bootstrap(&Secret::new("first")).await.expect("the first user");
        assert!(ask(&dir, &Request::Users).await.expect("no server yet").is_none());
        for _ in 0..2 {
            // The second server finds the first one's socket.
            let stopping = CancellationToken::new();
            let bench = Bench { db: db.clone(), data_dir: dir.clone(), lifetime: Duration::from_secs(60) };
            serve(bench, stopping.clone()).expect("it listens");
            let users = ask(&dir, &Request::Users).await.expect("an answer").expect("a server");
            assert_eq!(users[0]["name"], "admin");
            stopping.cancel();
        }
        let bench = Bench { db, data_dir: dir.clone(), lifetime: Duration::from_secs(60) };
        serve(bench, CancellationToken::new()).expect("it listens");
        let add = || Request::AddProject { name: "p".to_owned(), description: String::new() };
        let made = ask(&dir, &add()).await.expect("an answer").expect("a server");
        assert!(made["id"].as_str().is_some_and(|id| id.len() == 32), "{made}");
        let error = ask(&dir, &add()).await.expect_err("the name is taken").to_string();
        assert!(error.contains('p') && !error.is_empty(), "{error}");
        let mode = fs::metadata(dir.join(NAME)).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
