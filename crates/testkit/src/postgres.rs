//! A private PostgreSQL for tests: one server per machine and checkout, a database per test.
//!
//! `scripts/test-postgres.sh` gets and starts the server on the first call; `FOGGARA_TEST_POSTGRES` names another one. Without
//! any, the call fails: a test never skips.

use std::{
    path::Path,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use sqlx::{Connection, PgConnection};

static SERVER: OnceLock<String> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The url of a new empty database. `name` is for people who look at the server.
pub fn url_of_new_database(name: &str) -> Result<String> {
    let server = server()?;
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let name: String =
        name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(30).collect();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
    let database = format!("t_{}_{since}_{number}_{}", std::process::id(), name.to_lowercase());
    let create = format!("CREATE DATABASE {database} TEMPLATE template0");
    let address = server.to_owned();
    // A thread of its own: the caller may be inside a runtime.
    let made = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&address).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await?;
            connection.close().await?;
            Ok(())
        })
    });
    made.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?.context("CREATE DATABASE")?;
    let (base, _) = server.rsplit_once('/').context("the server's url has no database")?;
    Ok(format!("{base}/{database}"))
}

fn server() -> Result<&'static str> {
    if let Some(url) = SERVER.get() {
        return Ok(url);
    }
    let url = match std::env::var("FOGGARA_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => start()?,
    };
    Ok(SERVER.get_or_init(|| url))
}

fn start() -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-postgres.sh");
    let output = Command::new(&script).arg("start").output().with_context(|| format!("run {}", script.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
