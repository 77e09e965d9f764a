//! The two databases behind one door: readers, and writes that are durable when they return.
//!
//! SQLite has one writer ([`crate::writer`]), which commits whatever has gathered in one go. PostgreSQL runs one transaction
//! per write; its flushes are shared by the server.

use std::{str::FromStr, sync::Arc, time::Duration};

use foggara_domain::{Error, Result, Secret};
use futures::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, Postgres, Sqlite,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions},
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};

use crate::{
    Query, Row, Value,
    error::{CONFLICT, from_sqlx, is_conflict, leaves_open},
    once,
    seal::SealKeys,
    writer::Writer,
};

/// How to reach a database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:<path>` or `postgres://user:password@host/name`.
    pub url: Secret,
    /// Connections for reading (SQLite), or all connections (PostgreSQL).
    pub connections: u32,
    /// Keys of the sealed columns.
    pub seal_keys: SealKeys,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One file, one server.
    Sqlite,
    /// Any number of servers.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pools: Pools,
    seal_keys: SealKeys,
}

enum Pools {
    Sqlite { readers: SqlitePool, writer: Writer },
    Postgres { pool: PgPool },
}

/// A connection: a reader, or the inside of a transaction.
pub struct Conn {
    pub(crate) link: Link,
    seal_keys: SealKeys,
}

pub(crate) enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Conn {
    pub(crate) fn new(link: Link, seal_keys: SealKeys) -> Self {
        Self { link, seal_keys }
    }

    /// Keys of the sealed columns.
    pub(crate) fn seal_keys(&self) -> &SealKeys {
        &self.seal_keys
    }

    /// Which database it is, for the few clauses that differ.
    pub fn kind(&self) -> Kind {
        match self.link {
            Link::Sqlite(_) => Kind::Sqlite,
            Link::Postgres(_) => Kind::Postgres,
        }
    }

    /// Runs a statement and gives how many rows it changed.
    pub async fn run(&mut self, query: Query) -> Result<u64> {
        let Query { text, values } = query;
        match &mut self.link {
            Link::Sqlite(conn) => sqlx::query_with(AssertSqlSafe(text.into_owned()), sqlite_arguments(values)?)
                .execute(&mut **conn)
                .await
                .map(|done| done.rows_affected()),
            Link::Postgres(conn) => sqlx::query_with(AssertSqlSafe(text.into_owned()), postgres_arguments(values)?)
                .execute(&mut **conn)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(from_sqlx)
    }

    /// All rows.
    pub async fn all(&mut self, query: Query) -> Result<Vec<Row>> {
        let Query { text, values } = query;
        match &mut self.link {
            Link::Sqlite(conn) => sqlx::query_with(AssertSqlSafe(text.into_owned()), sqlite_arguments(values)?)
                .fetch_all(&mut **conn)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Link::Postgres(conn) => sqlx::query_with(AssertSqlSafe(text.into_owned()), postgres_arguments(values)?)
                .fetch_all(&mut **conn)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(from_sqlx)
    }

    /// The first row, if there is one.
    pub async fn first(&mut self, query: Query) -> Result<Option<Row>> {
        Ok(self.all(query).await?.into_iter().next())
    }

    /// Statements without values, several at once: migrations and control of transactions.
    pub(crate) async fn script(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let text = AssertSqlSafe(text.to_owned());
        match &mut self.link {
            Link::Sqlite(conn) => sqlx::raw_sql(text).execute(&mut **conn).await.map(|_| ()),
            Link::Postgres(conn) => sqlx::raw_sql(text).execute(&mut **conn).await.map(|_| ()),
        }
    }
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments> {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Text(x) => arguments.add(x),
            Value::Int(x) => arguments.add(x),
            Value::Bytes(x) => arguments.add(x),
        }
        .map_err(|error| Error::Internal(format!("a value cannot be bound: {error}")))?;
    }
    Ok(arguments)
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments> {
    use sqlx::Arguments;
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Text(x) => arguments.add(x),
            Value::Int(x) => arguments.add(x),
            Value::Bytes(x) => arguments.add(x),
        }
        .map_err(|error| Error::Internal(format!("a value cannot be bound: {error}")))?;
    }
    Ok(arguments)
}

impl Db {
    /// Opens the database; a SQLite file is made when it is missing. Nothing is migrated, see [`crate::migrate`].
    pub async fn open(settings: Settings) -> Result<Self> {
        let url = settings.url.reveal();
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            open_sqlite(path.trim_start_matches("//"), settings.connections, &settings.seal_keys).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, settings.connections).await?
        } else {
            return Err(Error::unavailable("the database url must begin with sqlite: or postgres://".to_owned()));
        };
        Ok(Self(Arc::new(Inner { pools, seal_keys: settings.seal_keys })))
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        match self.0.pools {
            Pools::Sqlite { .. } => Kind::Sqlite,
            Pools::Postgres { .. } => Kind::Postgres,
        }
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<()> {
        self.read().await?.first(crate::sql("SELECT 1 AS one")).await.map(|_| ())
    }

    /// A connection for reading.
    pub async fn read(&self) -> Result<Conn> {
        let link = match &self.0.pools {
            Pools::Sqlite { readers, .. } => Link::Sqlite(readers.acquire().await.map_err(from_sqlx)?),
            Pools::Postgres { pool } => Link::Postgres(pool.acquire().await.map_err(from_sqlx)?),
        };
        Ok(Conn::new(link, self.0.seal_keys.clone()))
    }

    /// Runs a write and returns when it is durable.
    ///
    /// `work` may be called more than once (when a batch with other writes has to be undone), so it must have no effect
    /// outside of the connection. When the request that is being answered carries a key, the key is stored with it.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let Some(request) = once::current() else { return self.write_part(work).await };
        let store = Arc::clone(&request);
        let work = Arc::new(work);
        let done = self
            .write_part(move |conn| {
                let (store, work) = (Arc::clone(&store), Arc::clone(&work));
                Box::pin(async move {
                    let done = work(conn).await?;
                    store.store(conn).await?;
                    Ok(done)
                })
            })
            .await?;
        request.note_stored();
        Ok(done)
    }

    /// The same for a write that is only a part of what the request wishes: its key is not stored with it.
    pub async fn write_part<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        match &self.0.pools {
            Pools::Sqlite { writer, .. } => writer.write(work).await,
            Pools::Postgres { pool } => postgres_write(pool, &self.0.seal_keys, &work).await,
        }
    }

    /// The pool, for listening.
    pub(crate) fn postgres(&self) -> Option<&PgPool> {
        match &self.0.pools {
            Pools::Sqlite { .. } => None,
            Pools::Postgres { pool } => Some(pool),
        }
    }
}

async fn open_sqlite(path: &str, readers: u32, seal_keys: &SealKeys) -> Result<Pools> {
    let base = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let one = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(base.clone().create_if_missing(true).synchronous(SqliteSynchronous::Full))
        .await
        .map_err(|error| Error::unavailable(format!("cannot open the SQLite file {path}: {error}")))?;
    let readers = SqlitePoolOptions::new()
        .max_connections(readers.max(1))
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None)
        .connect_lazy_with(base.read_only(true).synchronous(SqliteSynchronous::Normal));
    Ok(Pools::Sqlite { readers, writer: Writer::start(one, seal_keys.clone()) })
}

async fn open_postgres(url: &str, connections: u32) -> Result<Pools> {
    // The text of the error could hold the url, and with it the password.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::unavailable("the database url is malformed: postgres://user:password@host:port/name"))?
        .application_name("foggara")
        .options([
            ("synchronous_commit", "on"),
            ("idle_in_transaction_session_timeout", "5s"),
            ("default_transaction_isolation", "read committed"),
        ]);
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(2))
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .map_err(|error| Error::unavailable(format!("cannot connect to PostgreSQL: {error}")))?;
    Ok(Pools::Postgres { pool })
}

/// How often a transaction is repeated that PostgreSQL broke off because of another one.
const TRIES: u32 = 10;

async fn postgres_write<T, F>(pool: &PgPool, seal_keys: &SealKeys, work: &F) -> Result<T>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
{
    let mut tried = 0;
    loop {
        tried += 1;
        let link = Link::Postgres(pool.acquire().await.map_err(from_sqlx)?);
        let mut open = OpenTransaction(Some(Conn::new(link, seal_keys.clone())));
        let Some(conn) = open.0.as_mut() else { unreachable!("it was just put in") };
        conn.script("BEGIN").await.map_err(from_sqlx)?;
        let number = conn.first(crate::sql("SELECT pg_current_xact_id()::text AS number")).await?;
        let number = number.map(|row| row.text("number")).transpose()?.unwrap_or_default();
        match work(conn).await {
            Ok(done) => match conn.script("COMMIT").await {
                Ok(()) => {
                    drop(open.0.take());
                    return Ok(done);
                }
                Err(error) if is_conflict(&error) && tried < TRIES => {}
                Err(error) if !leaves_open(&error) => return Err(from_sqlx(error)),
                // The connection broke at COMMIT: the server knows what became of it.
                Err(_) => {
                    drop(open);
                    return match outcome(pool, &number).await {
                        Some(true) => Ok(done),
                        Some(false) => {
                            Err(Error::unavailable("the database went away before the write was stored; try again"))
                        }
                        None => Err(Error::Unavailable {
                            message: "the database went away while the write was being stored; it may or may not be"
                                .to_owned(),
                            outcome_unknown: true,
                        }),
                    };
                }
            },
            Err(error) => {
                if conn.script("ROLLBACK").await.is_ok() {
                    drop(open.0.take());
                }
                if !matches!(&error, Error::Unavailable { message, .. } if message == CONFLICT) || tried >= TRIES {
                    return Err(error);
                }
            }
        }
    }
}

/// A connection that is closed, not reused, when it is dropped in the middle of a transaction.
struct OpenTransaction(Option<Conn>);

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Some(Conn { link: Link::Postgres(conn), .. }) = &mut self.0 {
            conn.close_on_drop();
        }
    }
}

/// How long a server is asked what became of a transaction.
const ASK: Duration = Duration::from_secs(5);

/// Whether a transaction was committed; nothing when even the server cannot say, or cannot be asked in time.
async fn outcome(pool: &PgPool, number: &str) -> Option<bool> {
    let ask = async {
        loop {
            let asked = sqlx::query_scalar::<_, Option<String>>("SELECT pg_xact_status($1::text::xid8)")
                .bind(number)
                .fetch_one(pool)
                .await;
            match asked.as_ref().map(|status| status.as_deref()) {
                Ok(Some("committed")) => return true,
                Ok(Some("aborted")) => return false,
                // In progress still, or not reachable yet.
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(ASK, ask).await.ok()
}
