//! The two databases behind one door.

use foggara_domain::Result;
use futures::future::BoxFuture;
use sqlx::{Postgres, Sqlite, pool::PoolConnection};

use crate::{Query, Row};

/// How to reach a database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:/path/file` or `postgres://..`.
    pub url: foggara_domain::Secret,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {}

/// A connection: a reader, or the inside of a transaction.
pub enum Conn {
    /// SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

impl Conn {
    /// Runs a statement and gives how many rows it changed.
    pub async fn run(&mut self, query: Query) -> Result<u64> {
        let _ = query;
        Ok(0)
    }

    /// All rows.
    pub async fn all(&mut self, query: Query) -> Result<Vec<Row>> {
        let _ = query;
        Ok(vec![])
    }

    /// The first row, if there is one.
    pub async fn first(&mut self, query: Query) -> Result<Option<Row>> {
        Ok(self.all(query).await?.into_iter().next())
    }
}

impl Db {
    /// A connection for reading.
    pub async fn read(&self) -> Result<Conn> {
        Err(foggara_domain::Error::Internal(String::new()))
    }

    /// Runs a write and returns when it is durable.
    ///
    /// `work` may be called more than once (when a batch with other writes has to be undone), so it must have no effect
    /// outside of the connection.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let _ = work;
        Err(foggara_domain::Error::Internal(String::new()))
    }
}
