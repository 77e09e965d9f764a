//! Bringing a database up to date. The migrations are in two folders with the same numbers and the same meaning; each works
//! for the previous release too, because servers are replaced one by one.

use foggara_domain::{Error, Result};

use crate::{Conn, Db, pools::Kind, query::sql};

struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_base"),
    migration!(2, "0002_identity"),
    migration!(3, "0003_clusters"),
    migration!(4, "0004_application_credentials"),
    migration!(5, "0005_access_keys"),
    migration!(6, "0006_direct"),
    migration!(7, "0007_progress"),
];

/// How the database stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Nothing to do.
    UpToDate,
    /// It was made by an older program, or is empty: migrate.
    Behind {
        /// Its version; 0 for an empty one.
        database: i64,
        /// Ours.
        program: i64,
    },
    /// It was made by a newer program: it is never changed.
    Newer {
        /// Its version.
        database: i64,
        /// Ours.
        program: i64,
    },
}

/// Number of an advisory lock that only migrations take.
const LOCK: i64 = 0x666f_6767;

impl Db {
    /// Compares the database with the program.
    pub async fn version(&self) -> Result<Version> {
        let program = MIGRATIONS.last().map_or(0, |last| last.version);
        let mut conn = self.read().await?;
        let database = if has_table(&mut conn).await? { highest(&mut conn).await? } else { 0 };
        Ok(match database.cmp(&program) {
            std::cmp::Ordering::Equal => Version::UpToDate,
            std::cmp::Ordering::Less => Version::Behind { database, program },
            std::cmp::Ordering::Greater => Version::Newer { database, program },
        })
    }

    /// Runs what is missing, each migration in a transaction of its own. A newer database is refused.
    pub async fn migrate(&self, now: foggara_domain::Timestamp) -> Result<Vec<&'static str>> {
        if let Version::Newer { database, program } = self.version().await? {
            return Err(Error::unavailable(format!(
                "the database has version {database}, and this program knows only {program}: \
                 it was used by a newer foggara; start that one, or restore a backup from before"
            )));
        }
        let mut done = Vec::new();
        for migration in MIGRATIONS {
            let ran = self.write_part(move |conn| Box::pin(apply(conn, migration, now))).await?;
            if ran {
                done.push(migration.name);
            }
        }
        Ok(done)
    }
}

async fn apply(conn: &mut Conn, migration: &Migration, now: foggara_domain::Timestamp) -> Result<bool> {
    if conn.kind() == Kind::Postgres {
        conn.run(sql("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS schema_migration \
                 (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";
    conn.script(table).await.map_err(crate::error::from_sqlx)?;
    let known = sql("SELECT version FROM schema_migration WHERE version = $1").bind(migration.version);
    if conn.first(known).await?.is_some() {
        return Ok(false);
    }
    let text = match conn.kind() {
        Kind::Sqlite => migration.sqlite,
        Kind::Postgres => migration.postgres,
    };
    conn.script(text)
        .await
        .map_err(|error| Error::Internal(format!("migration {} failed: {error}", migration.name)))?;
    let note = sql("INSERT INTO schema_migration (version, name, applied_at) VALUES ($1, $2, $3)");
    conn.run(note.bind(migration.version).bind(migration.name).bind(now)).await?;
    Ok(true)
}

async fn has_table(conn: &mut Conn) -> Result<bool> {
    let text = match conn.kind() {
        Kind::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migration'",
        Kind::Postgres => {
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migration'"
        }
    };
    Ok(conn.first(sql(text)).await?.is_some())
}

async fn highest(conn: &mut Conn) -> Result<i64> {
    let row = conn.first(sql("SELECT COALESCE(MAX(version), 0) AS version FROM schema_migration")).await?;
    row.map_or(Ok(0), |row| row.int("version"))
}
