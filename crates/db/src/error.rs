//! What the databases say when they refuse, in words of the domain.

use foggara_domain::{Code, Error};

/// Message of a transaction that was broken off because of another one; it is repeated and no caller sees it.
pub(crate) const CONFLICT: &str = "transaction conflict";

/// Whether a transaction can simply be repeated: serialization failure or deadlock.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// A name that is taken and a row that is still referred to become refusals, which the functions of a resource word for
/// their object; everything else is the database's own trouble.
pub(crate) fn from_sqlx(error: sqlx::Error) -> Error {
    if is_conflict(&error) {
        return Error::unavailable(CONFLICT);
    }
    match &error {
        sqlx::Error::Database(refused) if refused.is_unique_violation() => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry")
        }
        sqlx::Error::Database(refused) if refused.is_foreign_key_violation() => {
            Error::refused(Code::DeletionFailed, "still referenced")
        }
        sqlx::Error::Database(refused) => match refused.code().as_deref() {
            // SQLITE_FULL, and PostgreSQL's disk_full.
            Some("13" | "53100") => Error::unavailable("the disk of the database is full; make room and try again"),
            // SQLITE_BUSY and its relatives.
            Some("5" | "261" | "517") => Error::unavailable("the database is busy; try again"),
            _ => Error::Internal(format!("database: {error}")),
        },
        sqlx::Error::PoolTimedOut => Error::unavailable("all connections to the database are in use; try again"),
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
            Error::unavailable("the database cannot be reached at the moment; try again")
        }
        _ => Error::Internal(format!("database: {error}")),
    }
}
