//! The event log of clusters, and the last look at their health.

use foggara_domain::{
    ClusterId, Error, Result, Timestamp,
    cluster::{Health, HealthCheck, ProvisionEvent, ProvisionStep, Verification},
};
use serde_json::{Value, json};

use crate::{Conn, Row, json::from_json, sql};

/// Stores a step that begins.
pub async fn begin(conn: &mut Conn, step: &ProvisionStep) -> Result<()> {
    let query =
        sql("INSERT INTO provision_step (id, cluster_id, name, kind, total, successful, created_at, updated_at) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8)")
        .bind(step.id.as_str())
        .bind(&step.cluster)
        .bind(step.name.as_str())
        .bind(step.kind.as_str())
        .bind(step.total)
        .bind(step.successful)
        .bind(step.created_at)
        .bind(step.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// Records a part of a step that was done.
pub async fn record(conn: &mut Conn, step: &str, event: &ProvisionEvent) -> Result<()> {
    let query =
        sql("INSERT INTO provision_event (id, step_id, group_id, instance_id, instance_name, info, successful, \
         created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)")
        .bind(event.id.as_str())
        .bind(step)
        .bind(event.group.as_ref())
        .bind(event.instance.as_ref())
        .bind(event.instance_name.as_deref())
        .bind(event.info.as_deref())
        .bind(event.successful)
        .bind(event.created_at);
    conn.run(query).await?;
    Ok(())
}

/// Ends a step. Events of one that went well are of no interest any more (sahara-v1.1.md section 9).
pub async fn end(conn: &mut Conn, step: &str, successful: bool, now: Timestamp) -> Result<()> {
    let query = sql("UPDATE provision_step SET successful = $2, updated_at = $3 WHERE id = $1 AND successful IS NULL");
    conn.run(query.bind(step).bind(successful).bind(now)).await?;
    if successful {
        conn.run(sql("DELETE FROM provision_event WHERE step_id = $1").bind(step)).await?;
    }
    Ok(())
}

/// Ends the steps of a cluster that nobody works on any more.
pub async fn end_open(conn: &mut Conn, cluster: &ClusterId, successful: bool, now: Timestamp) -> Result<()> {
    let open = sql("SELECT id FROM provision_step WHERE cluster_id = $1 AND successful IS NULL").bind(cluster);
    for row in conn.all(open).await? {
        end(conn, &row.text("id")?, successful, now).await?;
    }
    Ok(())
}

/// The steps of a cluster in order, with their events when they are asked for.
pub async fn steps(conn: &mut Conn, cluster: &ClusterId, with_events: bool) -> Result<Vec<ProvisionStep>> {
    let query =
        sql("SELECT id, cluster_id, name, kind, total, successful, created_at, updated_at FROM provision_step \
         WHERE cluster_id = $1 ORDER BY created_at, id");
    let rows = conn.all(query.bind(cluster)).await?;
    let mut steps = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.text("id")?;
        let events = if with_events { events(conn, &id).await? } else { Vec::new() };
        steps.push(ProvisionStep {
            id,
            cluster: row.text("cluster_id")?.into(),
            name: row.text("name")?,
            kind: row.text("kind")?,
            total: row.int("total")?,
            successful: row.flag_or_null("successful")?,
            created_at: row.time("created_at")?,
            updated_at: row.time_or_null("updated_at")?,
            events,
        });
    }
    Ok(steps)
}

async fn events(conn: &mut Conn, step: &str) -> Result<Vec<ProvisionEvent>> {
    let query =
        sql("SELECT id, group_id, instance_id, instance_name, info, successful, created_at FROM provision_event \
         WHERE step_id = $1 ORDER BY created_at, id");
    let read = |row: &Row| -> Result<ProvisionEvent> {
        Ok(ProvisionEvent {
            id: row.text("id")?,
            group: row.text_or_null("group_id")?.map(Into::into),
            instance: row.text_or_null("instance_id")?.map(Into::into),
            instance_name: row.text_or_null("instance_name")?,
            info: row.text_or_null("info")?,
            successful: row.flag("successful")?,
            created_at: row.time("created_at")?,
        })
    };
    conn.all(query.bind(step)).await?.iter().map(read).collect()
}

/// Stores the last look at a cluster's health in the place of the one before.
pub async fn put_verification(conn: &mut Conn, verification: &Verification) -> Result<()> {
    conn.run(sql("DELETE FROM verification WHERE cluster_id = $1").bind(&verification.cluster)).await?;
    let check = |check: &HealthCheck| {
        json!({"id": check.id, "name": check.name, "status": check.status.name(), "description": check.description,
            "created_at": check.created_at.as_micros()})
    };
    let checks = Value::Array(verification.checks.iter().map(check).collect());
    let query = sql("INSERT INTO verification (cluster_id, id, status, checks, created_at, updated_at) \
         VALUES ($1,$2,$3,$4,$5,$6)")
    .bind(&verification.cluster)
    .bind(verification.id.as_str())
    .bind(verification.status.name())
    .bind(checks.to_string())
    .bind(verification.created_at)
    .bind(verification.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// The last look at a cluster's health.
pub async fn verification(conn: &mut Conn, cluster: &ClusterId) -> Result<Option<Verification>> {
    let query = sql("SELECT id, status, checks, created_at, updated_at FROM verification WHERE cluster_id = $1");
    let Some(row) = conn.first(query.bind(cluster)).await? else { return Ok(None) };
    let health = |word: &str| Health::parse(word).ok_or_else(|| Error::Internal(format!("unknown health {word}")));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks: Vec<Value> = from_json("verification.checks", &row.text("checks")?)?;
    let checks = checks.iter().map(|check| {
        Ok(HealthCheck {
            id: text(check, "id"),
            name: text(check, "name"),
            status: health(&text(check, "status"))?,
            description: text(check, "description"),
            created_at: Timestamp::from_micros(check["created_at"].as_i64().unwrap_or(0)),
        })
    });
    Ok(Some(Verification {
        id: row.text("id")?,
        cluster: cluster.clone(),
        status: health(&row.text("status")?)?,
        checks: checks.collect::<Result<_>>()?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    }))
}
