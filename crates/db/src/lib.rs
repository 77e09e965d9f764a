//! The only crate that knows SQL. One text of SQL serves SQLite and PostgreSQL.
//!
//! Every function of a resource takes a [`Conn`]; whether that is a reader or a transaction is the caller's choice:
//! `db.read().await?` gives a reader, `db.write(|conn| Box::pin(async move { .. }))` a durable transaction.

pub mod accounts;
pub mod keys;
mod pools;
mod query;

pub use pools::{Conn, Db, Settings};
pub use query::{Query, Row, Value, sql};
