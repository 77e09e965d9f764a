//! The real program as a test subject: started on a folder of its own, killed, started again.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server.
pub struct Server {
    binary: PathBuf,
    child: Option<Child>,
    /// Its data directory.
    pub dir: PathBuf,
    /// `http://127.0.0.1:<port>`; another one after each start.
    pub url: String,
    variables: BTreeMap<String, String>,
}

impl Server {
    /// A server on a data directory; it is not started.
    pub fn new(binary: &str, dir: &Path) -> Self {
        Self {
            binary: PathBuf::from(binary),
            child: None,
            dir: dir.to_owned(),
            url: String::new(),
            variables: BTreeMap::new(),
        }
    }

    /// Sets a variable for this and all later starts.
    pub fn set(&mut self, key: &str, value: &str) {
        self.variables.insert(key.to_owned(), value.to_owned());
    }

    /// Takes a variable away.
    pub fn unset(&mut self, key: &str) {
        self.variables.remove(key);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // Notes for client commands stay within the test.
        command.env("XDG_STATE_HOME", self.dir.join("state")).envs(&self.variables);
        command
    }

    /// Starts it and waits until it says that it listens.
    pub fn start(&mut self) -> Result<()> {
        self.begin()?;
        let deadline = Instant::now() + READY_WITHIN;
        while self.url.is_empty() {
            if Instant::now() > deadline {
                bail!("the server is not ready in time: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Starts it and waits for the line, or for its end: a failpoint may hit during the start.
    fn begin(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.dir.join("server.log"))?;
        let mut child = self
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("start the program")?;
        let out = child.stdout.take().context("no output")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(out).read_line(&mut line);
            let _ = sender.send(read.map(|_| line));
        });
        self.child = Some(child);
        let line = receiver.recv_timeout(READY_WITHIN).context("no line in time")??;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => url.clone_into(&mut self.url),
            None => bail!("the server did not start: {}", self.log()),
        }
        Ok(())
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let _ = kill_process(pid, signal);
        }
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        self.url.clear();
    }

    /// SIGTERM; gives its status and how long it took.
    pub fn stop(&mut self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let mut child = self.child.take().context("it does not run")?;
        let status = child.wait()?;
        self.url.clear();
        Ok((status, began.elapsed()))
    }

    /// Waits until it ended by itself.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        let child = self.child.as_mut().context("it does not run")?;
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                self.url.clear();
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it has not ended within {} s", within.as_secs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs another subcommand of the program with the data directory and gives its output.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command().args(args).arg("--data-dir").arg(&self.dir).stdin(Stdio::null()).output()?)
    }

    /// The same for a command that must succeed; gives what it printed.
    pub fn must_run(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args)?;
        if !output.status.success() {
            bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The password of the first user.
    pub fn password(&self) -> Result<String> {
        let text = fs::read_to_string(self.dir.join("openrc.sh"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("export OS_PASSWORD='")).context("no password")?;
        Ok(line.trim_end_matches('\'').to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
