//! Trusts that users of an outside identity service gave for executions.

use foggara_domain::{ExecutionId, Result, Timestamp};

use crate::{Conn, sql};

/// Stores a trust. It is stored before its execution, so that one that never comes to be leaves none behind.
pub async fn insert(conn: &mut Conn, id: &str, execution: &ExecutionId, now: Timestamp) -> Result<()> {
    let query = sql("INSERT INTO trust (id, execution_id, created_at) VALUES ($1, $2, $3)");
    conn.run(query.bind(id).bind(execution).bind(now)).await?;
    Ok(())
}

/// The trust of an execution.
pub async fn of_execution(conn: &mut Conn, execution: &ExecutionId) -> Result<Option<String>> {
    let row = conn.first(sql("SELECT id FROM trust WHERE execution_id = $1").bind(execution)).await?;
    row.map(|row| row.text("id")).transpose()
}

/// Trusts that are to be given back: their execution has ended, or is not there although they are older than a time.
pub async fn due(conn: &mut Conn, before: Timestamp) -> Result<Vec<String>> {
    let query = sql("SELECT t.id FROM trust t LEFT JOIN execution e ON e.id = t.execution_id \
         WHERE (e.id IS NULL AND t.created_at < $1) OR e.phase = 'ended' ORDER BY t.created_at LIMIT 100");
    conn.all(query.bind(before)).await?.iter().map(|row| row.text("id")).collect()
}

/// A trust was given back.
pub async fn delete(conn: &mut Conn, id: &str) -> Result<()> {
    conn.run(sql("DELETE FROM trust WHERE id = $1").bind(id)).await?;
    Ok(())
}

/// The execution of a trust will never be: the trust is due at once.
pub async fn unused(conn: &mut Conn, execution: &ExecutionId) -> Result<()> {
    conn.run(sql("UPDATE trust SET created_at = 0 WHERE execution_id = $1").bind(execution)).await?;
    Ok(())
}
