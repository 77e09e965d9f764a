//! Events of executions: numbered per execution without a hole, and with a public position over all of them.
//!
//! On PostgreSQL transactions commit in another order than their numbers were drawn, so the position is given afterwards by
//! a numberer to rows that everybody can see; a reader that goes by position misses nothing (lifecycle.md "Durability").

use foggara_domain::{ExecutionId, ProjectId, Result, Timestamp, execution::Event};

use crate::{Conn, Db, Row, pools::Kind, sql};

/// Number of the advisory lock of the numberer.
const NUMBERER: i64 = 0x666f_6768;

const COLUMNS: &str = "COALESCE(position, 0) AS position, execution_id, project_id, sequence, at, kind, status, text";

/// Appends an event in the transaction of its change. The row of the execution was written in the same transaction, so no
/// two can draw the same number.
pub async fn append(
    conn: &mut Conn,
    execution: &ExecutionId,
    project: &ProjectId,
    at: Timestamp,
    kind: &str,
    status: &str,
    text: Option<&str>,
) -> Result<()> {
    let query = sql("INSERT INTO event (execution_id, project_id, sequence, at, kind, status, text) \
         SELECT $1, $2, COALESCE(MAX(sequence), 0) + 1, $3, $4, $5, $6 FROM event WHERE execution_id = $1");
    conn.run(query.bind(execution).bind(project).bind(at).bind(kind).bind(status).bind(text)).await?;
    Ok(())
}

/// All events of an execution in order.
pub async fn of_execution(conn: &mut Conn, execution: &ExecutionId) -> Result<Vec<Event>> {
    let text = format!("SELECT {COLUMNS} FROM event WHERE execution_id = $1 ORDER BY sequence");
    conn.all(sql(text).bind(execution)).await?.iter().map(read).collect()
}

/// Events after a position in the order of positions.
pub async fn after(conn: &mut Conn, position: i64, limit: u32) -> Result<Vec<Event>> {
    let text = format!("SELECT {COLUMNS} FROM event WHERE position > $1 ORDER BY position LIMIT $2");
    conn.all(sql(text).bind(position).bind(limit)).await?.iter().map(read).collect()
}

/// Gives positions to the rows that have none yet, and says to how many. On SQLite they are numbered at once. Positions come
/// from a sequence, so that none is given twice when the events of a removed execution go.
pub async fn number(db: &Db) -> Result<u64> {
    if db.kind() == Kind::Sqlite {
        return Ok(0);
    }
    // Looking costs no transaction; this runs all the time.
    let unnumbered = sql("SELECT number FROM event WHERE position IS NULL LIMIT 1");
    if db.read().await?.first(unnumbered).await?.is_none() {
        return Ok(0);
    }
    db.write_part(|conn| {
        Box::pin(async move {
            // Held until the commit: nobody draws positions that become visible before these.
            conn.run(sql("SELECT pg_advisory_xact_lock($1)").bind(NUMBERER)).await?;
            conn.run(sql("WITH numbered AS MATERIALIZED (\
                 SELECT number, nextval('event_position') AS position \
                 FROM (SELECT number FROM event WHERE position IS NULL ORDER BY number) waiting) \
                 UPDATE event SET position = numbered.position FROM numbered WHERE event.number = numbered.number"))
                .await
        })
    })
    .await
}

fn read(row: &Row) -> Result<Event> {
    Ok(Event {
        position: row.int("position")?,
        execution: row.text("execution_id")?.into(),
        project: row.text("project_id")?.into(),
        sequence: row.int("sequence")?,
        at: row.time("at")?,
        kind: row.text("kind")?,
        status: row.text("status")?,
        text: row.text_or_null("text")?,
    })
}
