//! A server of the real program with a logged-in user, and what most tests do with it.

use std::time::Duration;

use anyhow::{Context, Result};
use foggara_testkit::{
    api::Api,
    processes::{shims, tagged},
    program::Server,
    wait,
};
use serde_json::{Value, json};

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_foggara");
/// How long anything may take.
pub const LONG: Duration = Duration::from_secs(120);

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// A server and its first user.
pub struct World {
    pub server: Server,
    pub api: Api,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    pub async fn start(on: On, settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("foggara.toml"), settings)?;
        let mut server = Server::new(BINARY, dir.path());
        if on == On::Postgres {
            let url = foggara_testkit::postgres::url_of_new_database("it")?;
            server.set("FOGGARA__SERVER__DATABASE_URL", &url);
        }
        server.start()?;
        let api = log_in(&server).await?;
        Ok(Self { server, api, _dir: Some(dir) })
    }

    /// Around a server that the test made itself.
    pub fn of(server: Server, api: Api) -> Self {
        Self { server, api, _dir: None }
    }

    /// On SQLite with the defaults.
    pub async fn plain() -> Result<Self> {
        Self::start(On::Sqlite, "").await
    }

    /// kill -9 and start again.
    pub async fn restart_hard(&mut self) -> Result<()> {
        self.server.kill();
        self.start_again().await
    }

    /// Starts a server that is down.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server.start()?;
        // The token is still good; only the port is another.
        self.api.url.clone_from(&self.server.url);
        Ok(())
    }

    /// A Shell template of a script; gives its id.
    pub async fn shell(&self, name: &str, script: &str) -> Result<String> {
        let binary = self.api.binary(&format!("{name}.sh"), script.as_bytes()).await?;
        self.api.template(name, "Shell", &[&binary], &[]).await
    }

    /// Runs a template on `local`; gives the id of the execution.
    pub async fn execute(&self, template: &str, mut body: Value) -> Result<String> {
        body["cluster_id"] = Value::from(self.api.cluster("local").await?);
        let row = self.api.post(&format!("/jobs/{template}/execute"), body).await?;
        Ok(row["job_execution"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Runs a script; gives the id of the execution.
    pub async fn run(&self, name: &str, script: &str) -> Result<String> {
        let template = self.shell(name, script).await?;
        self.execute(&template, json!({})).await
    }

    /// Waits for one of the statuses; gives the execution.
    pub async fn wait(&self, id: &str, wanted: &[&str]) -> Result<Value> {
        let what = format!("execution {id} in {wanted:?}");
        let seen = wait::until(&what, LONG, || async {
            let row = self.api.execution(id).await.ok()?;
            wanted.contains(&row["info"]["status"].as_str()?).then_some(row)
        })
        .await;
        match seen {
            Ok(row) => Ok(row),
            Err(error) => {
                let now = self.api.execution(id).await.map_or_else(|error| error.to_string(), |row| row.to_string());
                Err(error.context(format!("it is {now}; server: {}", self.server.log())))
            }
        }
    }

    /// Waits until an execution answers 404.
    pub async fn wait_unknown(&self, id: &str) -> Result<()> {
        let path = format!("/job-executions/{id}");
        wait::until("404", LONG, || async {
            let answer = self.api.call(reqwest::Method::GET, &path, None).await.ok()?;
            (answer.status.as_u16() == 404).then_some(())
        })
        .await
    }

    /// Waits until no process of an execution is left, and no shim for it.
    pub async fn wait_gone(&self, id: &str) -> Result<()> {
        let dir = self.server.dir.clone();
        wait::until(&format!("no process of {id}"), LONG, || async {
            let shims = shims(&dir).into_iter().filter(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| String::from_utf8_lossy(&line).contains(id))
            });
            (tagged(id).is_empty() && shims.count() == 0).then_some(())
        })
        .await
    }
}

/// Logs the first user of a server in.
pub async fn log_in(server: &Server) -> Result<Api> {
    Api::log_in(&server.url, "admin", &server.password()?, "demo").await
}

/// A second project with a member; gives the member's session.
pub async fn member_of(server: &Server, project: &str, role: &str) -> Result<Api> {
    server.must_run(&["project", "add", project])?;
    let user = format!("user-of-{project}");
    server.must_run(&["user", "add", &user, "--password", "a-pass-word", "--project", project, "--role", role])?;
    Api::log_in(&server.url, &user, "a-pass-word", project).await
}
