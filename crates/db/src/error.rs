//! What the databases say when they refuse, in words of the domain.

use foggara_domain::{Code, Error};

/// Message of a transaction that was broken off because of another one; it is repeated and no caller sees it.
pub(crate) const CONFLICT: &str = "transaction conflict";

/// Whether a transaction can simply be repeated: serialization failure or deadlock.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Whether a failed COMMIT says nothing about its transaction: the connection or the server went away, maybe after the
/// transaction was stored.
pub(crate) fn leaves_open(error: &sqlx::Error) -> bool {
    match error.as_database_error().map(|error| error.code()) {
        Some(code) => code.as_deref().is_some_and(is_leaving),
        None => true,
    }
}

/// PostgreSQL's codes of a connection that ends: class 08, shutdown, crash, start, and a transaction that idled too long.
fn is_leaving(code: &str) -> bool {
    code.len() == 5 && (code.starts_with("08") || code.starts_with("57P0") || code == "25P03")
}

/// SQLite's code in the lowest byte of an extended one. SQLite's codes have up to four digits, PostgreSQL's five.
fn sqlite_code(code: &str) -> Option<u32> {
    if code.len() > 4 {
        return None;
    }
    code.parse::<u32>().ok().map(|code| code & 0xff)
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
        sqlx::Error::Database(refused) => {
            let code = refused.code().unwrap_or_default();
            match (sqlite_code(&code), code.as_ref()) {
                // SQLITE_FULL, and PostgreSQL's disk_full.
                (Some(13), _) | (_, "53100") => {
                    Error::unavailable("the disk of the database is full; make room and try again")
                }
                // SQLITE_BUSY and its relatives.
                (Some(5), _) => Error::unavailable("the database is busy; try again"),
                // SQLITE_IOERR and its relatives.
                (Some(10), _) => Error::unavailable(format!("the disk of the database fails: {error}")),
                (_, "53300") => Error::unavailable("PostgreSQL has no connection left for this server; try again"),
                (_, code) if is_leaving(code) => {
                    Error::unavailable("the database went away in the middle of the work; try again")
                }
                _ => Error::Internal(format!("database: {error}")),
            }
        }
        sqlx::Error::PoolTimedOut => Error::unavailable("all connections to the database are in use; try again"),
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
            Error::unavailable("the database cannot be reached at the moment; try again")
        }
        _ => Error::Internal(format!("database: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_two_databases_are_told_apart() {
        // SQLITE_IOERR_WRITE, SQLITE_BUSY_SNAPSHOT.
        assert_eq!((sqlite_code("778"), sqlite_code("517")), (Some(10), Some(5)));
        // PostgreSQL's unique_violation and disk_full are numbers too.
        assert_eq!((sqlite_code("23505"), sqlite_code("53100")), (None, None));
        assert!(is_leaving("57P01") && is_leaving("08006") && !is_leaving("57014") && !is_leaving("8"));
    }
}
