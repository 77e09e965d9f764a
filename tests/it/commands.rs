//! The commands of the program as a person uses them, beyond what `serve.rs` needs of them.

use std::{
    fs,
    io::Write,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result};
use foggara_testkit::{api::Api, wait};
use serde_json::Value;

use crate::world::{BINARY, LONG, On, World};

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    /// A command with nothing of this host's own settings.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(&self.server.dir).env("XDG_STATE_HOME", self.server.dir.join("state"));
        for variable in ["OS_AUTH_URL", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE"] {
            command.env_remove(variable);
        }
        command
    }

    fn commanded(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).stdin(Stdio::null()).output()?)
    }

    async fn count(&self, path: &str, key: &str) -> Result<usize> {
        Ok(self.api.get(path).await?[key].as_array().context("a list")?.len())
    }

    /// Templates, binaries, uploads and executions.
    async fn counts(&self) -> Result<[usize; 4]> {
        Ok([
            self.count("/jobs", "jobs").await?,
            self.count("/job-binaries", "binaries").await?,
            self.count("/job-binary-internals", "binaries").await?,
            self.count("/job-executions", "job_executions").await?,
        ])
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_run_makes_goes_with_its_execution() -> Result<()> {
    let world = World::plain().await?;
    fs::write(world.server.dir.join("a.sh"), "echo $WORD; cat b.txt >&2")?;
    fs::write(world.server.dir.join("b.txt"), "a library")?;
    let output = world.commanded(&["run", "--param", "WORD=up", "a.sh"])?;
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("up\n", Some(1)), "no b.txt: the script fails");
    assert_eq!(world.counts().await?, [1, 1, 1, 1], "kept for a later look");
    let id = text(&world.commanded(&["jobs", "list", "-q"])?.stdout).trim().to_owned();
    let output = world.commanded(&["jobs", "delete", "not-there", &id])?;
    assert_eq!((text(&output.stdout).trim(), output.status.code()), (id.as_str(), Some(1)), "one of two");
    assert_eq!(world.counts().await?, [0, 0, 0, 0]);
    let output = world.commanded(&["run", "--rm", "a.sh"])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(world.counts().await?, [0, 0, 0, 0]);
    let output = world.commanded(&["run", "--cluster", "nowhere", "a.sh"])?;
    assert!(text(&output.stderr).contains("there are: local"), "{}", text(&output.stderr));
    assert_eq!(world.counts().await?, [0, 0, 0, 0], "nothing is left of a refused one");
    for wrong in [["--param", "WORD"], ["--lib", "not-there"]] {
        let output = world.commanded(&["run", wrong[0], wrong[1], "a.sh"])?;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
    }
    Ok(())
}

/// Tokens of two seconds, and a server that is killed meanwhile and comes back at the same address.
#[tokio::test]
async fn a_followed_job_outlives_tokens_and_servers() -> Result<()> {
    let mut world = World::start(On::Sqlite, "[server]\ntoken_lifetime = 2\n").await?;
    let gate = world.server.dir.join("gate");
    fs::write(
        world.server.dir.join("a.sh"),
        format!("echo first; while [ ! -e {} ]; do sleep 0.05; done; echo last", gate.display()),
    )?;
    let output = fs::File::create(world.server.dir.join("followed"))?;
    let mut following = Killed(world.command(&["run", "a.sh"]).stdout(output).spawn()?);
    let followed = world.server.dir.join("followed");
    wait::until("the first line", LONG, || async {
        fs::read_to_string(&followed).ok()?.contains("first").then_some(())
    })
    .await?;
    let port = world.server.url.rsplit(':').next().context("a port")?.to_owned();
    world.server.kill();
    let listen = format!("127.0.0.1:{port}");
    let mut again = world.command(&["serve", "--listen", &listen, "--data-dir", "."]);
    let _again = Killed(again.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    // Longer than a token lasts: the log-in of the beginning is no good any more.
    let began = std::time::Instant::now();
    wait::until("the token's end", LONG, || async { (began.elapsed().as_secs() >= 3).then_some(()) }).await?;
    fs::write(&gate, "")?;
    let status = following.0.wait()?;
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(&followed)?, "first\nlast\n");
    Ok(())
}

#[tokio::test]
async fn users_are_managed_through_a_running_server() -> Result<()> {
    let world = World::plain().await?;
    let socket = world.server.dir.join("admin.sock");
    assert!(socket.exists());
    // The database is out of the command's reach, so it is the server that answers.
    let hidden = world.server.dir.join("foggara.db.hidden");
    fs::hard_link(world.server.dir.join("foggara.db"), &hidden)?;
    fs::remove_file(world.server.dir.join("foggara.db"))?;
    let id = world.server.must_run(&["user", "add", "eve", "--password", "first", "--project", "demo"])?;
    let users: Value = serde_json::from_str(&world.server.must_run(&["user", "list", "--output", "json"])?)?;
    assert!(users.as_array().is_some_and(|users| users.iter().any(|user| user["id"] == id.as_str())), "{users}");
    fs::rename(&hidden, world.server.dir.join("foggara.db"))?;
    Api::log_in(&world.server.url, "eve", "first", "demo").await?;
    // The first user's files follow its new password.
    let mut changing = world
        .command(&["user", "password", "admin", "--password-stdin", "--data-dir", "."])
        .stdin(Stdio::piped())
        .spawn()?;
    changing.stdin.take().context("its input")?.write_all(b"another word\n")?;
    assert!(changing.wait()?.success());
    assert_eq!(world.server.password()?, "another word");
    assert!(world.commanded(&["jobs", "list", "--data-dir", "."])?.status.success());
    // A user without the role may not run anything.
    world.server.must_run(&["user", "add", "ann", "--password", "w", "--project", "demo", "--role", "reader"])?;
    fs::write(world.server.dir.join("a.sh"), "true")?;
    let mut refused = world.command(&["run", "a.sh"]);
    refused.envs([("OS_AUTH_URL", format!("{}/v3", world.server.url).as_str()), ("OS_USERNAME", "ann")]);
    refused.envs([("OS_PASSWORD", "w"), ("OS_PROJECT_NAME", "demo")]);
    let output = refused.output()?;
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn quickstart_shows_it_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let quickstart = |more: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(["quickstart", "--data-dir"]).arg(dir.path().join("data")).args(more);
        command.env("XDG_STATE_HOME", dir.path().join("state")).stdin(Stdio::null()).output()
    };
    let output = quickstart(&[])?;
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    for part in
        ["SUCCEEDED", "  28  the\n", "DELETE: 204", "processes were gone after", "GET: 404", "openrc.sh", "curl"]
    {
        assert!(told.contains(part), "no '{part}' in: {told}");
    }
    let note = dir.path().join("state/foggara/current");
    assert!(!note.exists(), "a server that has ended is not the one to be found");
    let output = quickstart(&["--keep"])?;
    let told = text(&output.stdout);
    let pid = told.split("`kill ").nth(1).and_then(|rest| rest.split('`').next()).context("its process")?.to_owned();
    let listed = Command::new(BINARY)
        .args(["jobs", "list", "-q"])
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env_remove("OS_AUTH_URL")
        .env_remove("OS_CLOUD")
        .current_dir(dir.path())
        .output()?;
    let killed = Command::new("kill").arg(&pid).status()?;
    assert!(killed.success());
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert_eq!(text(&listed.stdout).lines().count(), 2, "the word counts of both runs");
    assert!(note.exists());
    let directory = dir.path().join("data");
    wait::until("the server's end", LONG, || async {
        let lock = fs::read_to_string(directory.join("lock")).ok()?;
        let state = fs::read_to_string(format!("/proc/{}/stat", lock.trim())).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    })
    .await
}

/// A client that nobody asked for is no failure; one that the settings name is.
#[test]
fn engines_doctor_fails_for_what_the_settings_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("foggara.toml");
    fs::write(&config, "[local]\npig_home = \"/no/such/pig\"\n")?;
    for with in [false, true] {
        let mut command = Command::new(BINARY);
        command.args(["engines", "doctor", "--data-dir"]).arg(dir.path().join("data"));
        if with {
            command.arg("--config").arg(&config);
        }
        let output = command.env_remove("PIG_HOME").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), !with, "{text}");
        assert!(text.contains("Shell                ready"), "{text}");
        assert_eq!(text.contains("pig_home is set, and there is no /no/such/pig/bin/pig"), with, "{text}");
    }
    Ok(())
}
