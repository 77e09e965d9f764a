//! Job executions. Ops read through the views of live rows; owners also see tombstones.

use foggara_domain::{
    BinaryId, ClusterId, DataSourceId, Error, Execution, ExecutionId, JobId, ProjectId, Result, Tag, Timestamp,
    direct::{Direct, Search},
    execution::{Progress, Usage},
    status::{Duty, Outcome, Phase, Wish},
};
use serde_json::{Map, Value as Json};

use crate::{
    Conn, Query, Row, Value,
    page::{Column, ListSpec},
    sql,
};

const COLUMNS: &str = "id, project_id, user_id, job_id, job_type, job_name, cluster_id, input_id, output_id, job_configs, \
     secret_configs, user_name, direct, data_source_urls, is_public, is_protected, wish, suspend_wanted, phase, status, engine_state, duty, \
     place, attempt, tag, engine_ref, incarnation, launch_sent_at, stop_sent_at, gone_at, gone_evidence, outcome, reason, \
     return_code, usage, deadline, created_at, updated_at, staged_at, start_time, running_at, end_time, deleted_at, version, progress";

fn place_of(id: &ExecutionId) -> String {
    format!("execution.secret_configs.{id}")
}

/// Stores a new execution.
pub async fn insert(conn: &mut Conn, row: &Execution) -> Result<()> {
    let numbers: Vec<String> = (1..=COLUMNS.split(',').count()).map(|number| format!("${number}")).collect();
    let text = format!("INSERT INTO execution ({COLUMNS}) VALUES ({})", numbers.join(", "));
    let query = bind_fixed(sql(text), conn, row)?;
    let progress = row.progress.as_ref().map(progress_text).transpose()?;
    conn.run(bind_mutable(query, row)?.bind(row.version).bind(progress)).await?;
    Ok(())
}

/// Keeps how far a job is. It touches neither the version nor `updated_at` ([`save`] leaves it as it is), since it is no change
/// that anybody waits for. `last`: what is told at the end; else only as long as the job is not over, so that a late write does not
/// cover what was told last.
pub async fn note_progress(conn: &mut Conn, id: &ExecutionId, progress: &Progress, last: bool) -> Result<()> {
    let open = if last { "" } else { " AND phase NOT IN ('settling', 'ended')" };
    let query = sql(format!("UPDATE execution SET progress = $1 WHERE id = $2{open}"));
    conn.run(query.bind(progress_text(progress)?).bind(id)).await?;
    Ok(())
}

fn progress_text(progress: &Progress) -> Result<String> {
    serde_json::to_string(progress).map_err(|error| Error::Internal(format!("progress: {error}")))
}

/// The columns that never change, in their order among [`COLUMNS`], mixed with the few that a tombstone nulls.
fn bind_fixed(query: Query, conn: &Conn, row: &Execution) -> Result<Query> {
    let secrets = if row.secret_configs.is_empty() {
        None
    } else {
        let text = Json::Object(row.secret_configs.clone()).to_string();
        Some(conn.seal_keys().seal(&place_of(&row.id), &text)?)
    };
    let direct = row.direct.as_ref().map(serde_json::to_string).transpose();
    let direct = direct.map_err(|error| Error::Internal(format!("direct: {error}")))?;
    Ok(query
        .bind(&row.id)
        .bind(&row.project)
        .bind(&row.user)
        .bind(row.job.as_ref())
        .bind(row.job_type.as_str())
        .bind(row.job_name.as_str())
        .bind(&row.cluster)
        .bind(row.input.as_ref())
        .bind(row.output.as_ref())
        .bind(row.job_configs.to_string())
        .bind(secrets)
        .bind(row.user_name.as_deref())
        .bind(direct))
}

/// From `data_source_urls` to `deleted_at`, in the order of [`COLUMNS`].
fn bind_mutable(query: Query, row: &Execution) -> Result<Query> {
    let urls = row.data_source_urls.clone().map(|urls| Json::Object(urls).to_string());
    let usage = row.usage.as_ref().map(serde_json::to_string).transpose();
    let usage = usage.map_err(|error| Error::Internal(format!("usage: {error}")))?;
    Ok(query
        .bind(urls)
        .bind(row.is_public)
        .bind(row.is_protected)
        .bind(wish_name(row.wish))
        .bind(row.suspend_wanted)
        .bind(row.phase.name())
        .bind(row.status())
        .bind(row.engine_state.as_deref())
        .bind(duty_name(row.duty))
        .bind(row.place.as_deref())
        .bind(row.attempt)
        .bind(row.tag.as_ref())
        .bind(row.engine_ref.as_deref())
        .bind(row.incarnation.as_deref())
        .bind(row.launch_sent_at)
        .bind(row.stop_sent_at)
        .bind(row.gone_at)
        .bind(row.gone_evidence.as_deref())
        .bind(row.outcome.map(Outcome::name))
        .bind(row.reason.as_deref())
        .bind(row.return_code.as_deref())
        .bind(usage)
        .bind(row.deadline)
        .bind(row.created_at)
        .bind(row.updated_at)
        .bind(row.staged_at)
        .bind(row.start_time)
        .bind(row.running_at)
        .bind(row.end_time)
        .bind(row.deleted_at))
}

/// Saves what can change, if the row is still at `read_version`; then its version is one more. False: somebody was quicker.
pub async fn save(conn: &mut Conn, row: &Execution, read_version: i64) -> Result<bool> {
    let query = sql("UPDATE execution SET data_source_urls = $1, is_public = $2, is_protected = $3, wish = $4, \
         suspend_wanted = $5, phase = $6, status = $7, engine_state = $8, duty = $9, place = $10, attempt = $11, \
         tag = $12, engine_ref = $13, incarnation = $14, launch_sent_at = $15, stop_sent_at = $16, gone_at = $17, \
         gone_evidence = $18, outcome = $19, reason = $20, return_code = $21, usage = $22, deadline = $23, \
         created_at = $24, updated_at = $25, staged_at = $26, start_time = $27, running_at = $28, end_time = $29, \
         deleted_at = $30, job_id = $31, input_id = $32, output_id = $33, version = $34 \
         WHERE id = $35 AND version = $36");
    let query = bind_mutable(query, row)?
        .bind(row.job.as_ref())
        .bind(row.input.as_ref())
        .bind(row.output.as_ref())
        .bind(read_version + 1)
        .bind(&row.id)
        .bind(read_version);
    Ok(conn.run(query).await? == 1)
}

/// The row, be it a tombstone or not: for owners.
pub async fn find(conn: &mut Conn, id: &ExecutionId) -> Result<Option<Execution>> {
    let row = conn.first(sql(format!("SELECT {COLUMNS} FROM execution WHERE id = $1")).bind(id)).await?;
    row.map(|row| read(conn, &row)).transpose()
}

/// The row as the API may see it. `strict`: also a deleted one while its job is not gone.
pub async fn live(conn: &mut Conn, id: &ExecutionId, strict: bool) -> Result<Option<Execution>> {
    let text = format!("SELECT {COLUMNS} FROM {} WHERE id = $1", view(strict));
    let row = conn.first(sql(text).bind(id)).await?;
    row.map(|row| read(conn, &row)).transpose()
}

fn view(strict: bool) -> &'static str {
    if strict { "strict_execution" } else { "live_execution" }
}

/// What an owner works on: every row of the cluster at the place that left `waiting` and is not over, or is owed something.
pub async fn busy(conn: &mut Conn, cluster: &ClusterId, place: &str) -> Result<Vec<Execution>> {
    let text = format!(
        "SELECT {COLUMNS} FROM execution WHERE cluster_id = $1 AND phase <> 'waiting' \
         AND (phase <> 'ended' OR duty <> 'none') AND (place IS NULL OR place = $2) ORDER BY created_at, id"
    );
    let rows = conn.all(sql(text).bind(cluster).bind(place)).await?;
    rows.iter().map(|row| read(conn, row)).collect()
}

/// Id and version of all that [`busy`] gives: an owner of thousands of rows reads anew only those that changed.
pub async fn busy_versions(conn: &mut Conn, cluster: &ClusterId, place: &str) -> Result<Vec<(ExecutionId, i64)>> {
    let query = sql("SELECT id, version FROM execution WHERE cluster_id = $1 AND phase <> 'waiting' \
         AND (phase <> 'ended' OR duty <> 'none') AND (place IS NULL OR place = $2)");
    let rows = conn.all(query.bind(cluster).bind(place)).await?;
    rows.iter().map(|row| Ok((ExecutionId::from(row.text("id")?), row.int("version")?))).collect()
}

/// The next waiting rows of a cluster in the order of their submit.
pub async fn waiting(conn: &mut Conn, cluster: &ClusterId, limit: usize) -> Result<Vec<Execution>> {
    let text = format!(
        "SELECT {COLUMNS} FROM execution WHERE cluster_id = $1 AND phase = 'waiting' ORDER BY created_at, id LIMIT $2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = conn.all(sql(text).bind(cluster).bind(limit)).await?;
    rows.iter().map(|row| read(conn, row)).collect()
}

/// How many wait on the same cluster before it, and how many run there.
pub async fn queue_position(conn: &mut Conn, row: &Execution) -> Result<(i64, i64)> {
    let ahead = sql("SELECT COUNT(*) AS many FROM execution WHERE cluster_id = $1 AND phase = 'waiting' \
         AND (created_at < $2 OR (created_at = $2 AND id < $3))");
    let ahead = count(conn, ahead.bind(&row.cluster).bind(row.created_at).bind(&row.id)).await?;
    let busy = sql("SELECT COUNT(*) AS many FROM execution WHERE cluster_id = $1 AND phase <> 'waiting' \
         AND (phase <> 'ended' OR duty <> 'none')");
    Ok((ahead, count(conn, busy.bind(&row.cluster)).await?))
}

/// The executions of a cluster that have not ended and that nobody wants stopped yet.
pub async fn unfinished_of_cluster(conn: &mut Conn, cluster: &ClusterId) -> Result<Vec<Execution>> {
    let text = format!(
        "SELECT {COLUMNS} FROM execution WHERE cluster_id = $1 AND phase <> 'ended' AND wish = 'run' \
         AND deleted_at IS NULL ORDER BY created_at, id LIMIT 1000"
    );
    let rows = conn.all(sql(text).bind(cluster)).await?;
    rows.iter().map(|row| read(conn, row)).collect()
}

/// How many executions of a cluster have not ended, or have a job that is still to be stopped.
pub async fn owed_of_cluster(conn: &mut Conn, cluster: &ClusterId) -> Result<usize> {
    let query =
        sql("SELECT COUNT(*) AS many FROM execution WHERE cluster_id = $1 AND (phase <> 'ended' OR duty <> 'none')");
    Ok(usize::try_from(count(conn, query.bind(cluster)).await?).unwrap_or(0))
}

/// How many executions of a project wait.
pub async fn count_waiting(conn: &mut Conn, project: &ProjectId) -> Result<u64> {
    let query = sql("SELECT COUNT(*) AS many FROM execution WHERE project_id = $1 AND phase = 'waiting'");
    Ok(u64::try_from(count(conn, query.bind(project)).await?).unwrap_or(0))
}

async fn count(conn: &mut Conn, query: Query) -> Result<i64> {
    conn.first(query).await?.map_or(Ok(0), |row| row.int("many"))
}

/// Whether a job template has executions that are not deleted.
pub async fn of_job(conn: &mut Conn, job: &JobId) -> Result<bool> {
    let query = sql("SELECT COUNT(*) AS many FROM live_execution WHERE job_id = $1");
    Ok(count(conn, query.bind(job)).await? > 0)
}

/// Whether an execution that is not deleted has the data source as input or output.
pub async fn using_source(conn: &mut Conn, source: &DataSourceId) -> Result<bool> {
    let query = sql("SELECT COUNT(*) AS many FROM live_execution WHERE input_id = $1 OR output_id = $1");
    Ok(count(conn, query.bind(source)).await? > 0)
}

/// Whether a PENDING execution uses the data source, as input, output or by a reference in its configs.
pub async fn pending_using_source(conn: &mut Conn, source: &DataSourceId) -> Result<bool> {
    let query = sql("SELECT COUNT(*) AS many FROM live_execution WHERE status = 'PENDING' \
         AND (input_id = $1 OR output_id = $1 OR data_source_urls LIKE $2)");
    Ok(count(conn, query.bind(source).bind(format!("%\"{source}\"%"))).await? > 0)
}

/// Whether a PENDING execution's template has the binary.
pub async fn pending_using_binary(conn: &mut Conn, binary: &BinaryId) -> Result<bool> {
    let query =
        sql("SELECT COUNT(*) AS many FROM live_execution e JOIN job_template_binary b ON b.template_id = e.job_id \
         WHERE e.status = 'PENDING' AND b.binary_id = $1");
    Ok(count(conn, query.bind(binary)).await? > 0)
}

/// Tombstones of an owner whose job is gone since before a time, and those of its place whose cluster is gone.
pub async fn old_tombstones(
    conn: &mut Conn,
    cluster: &ClusterId,
    place: &str,
    before: Timestamp,
) -> Result<Vec<Execution>> {
    let text = format!(
        "SELECT {COLUMNS} FROM execution WHERE (cluster_id = $1 OR NOT EXISTS (SELECT 1 FROM cluster c WHERE c.id = cluster_id)) \
         AND (place IS NULL OR place = $2) AND deleted_at IS NOT NULL AND phase = 'ended' AND duty = 'none' AND gone_at < $3 ORDER BY gone_at LIMIT 1000"
    );
    let rows = conn.all(sql(text).bind(cluster).bind(place).bind(before)).await?;
    rows.iter().map(|row| read(conn, row)).collect()
}

/// Removes a row with its events.
pub async fn remove(conn: &mut Conn, id: &ExecutionId) -> Result<()> {
    conn.run(sql("DELETE FROM event WHERE execution_id = $1").bind(id)).await?;
    conn.run(sql("DELETE FROM execution WHERE id = $1").bind(id)).await?;
    Ok(())
}

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "live_execution",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[
        ("id", "id"),
        ("job_template", "job_name"),
        ("cluster", "COALESCE((SELECT c.name FROM cluster c WHERE c.id = cluster_id), '')"),
        ("status", "status"),
    ],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Text("project_id")),
        ("job_id", Column::Text("job_id")),
        ("input_id", Column::Text("input_id")),
        ("output_id", Column::Text("output_id")),
        ("cluster_id", Column::Text("cluster_id")),
        ("engine_job_id", Column::Text("engine_ref")),
        ("oozie_job_id", Column::Text("engine_ref")),
        ("return_code", Column::Text("return_code")),
        ("start_time", Column::Time("start_time")),
        ("end_time", Column::Time("end_time")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("status", Column::Folded("status")),
        ("job.name", Column::Pattern("job_name")),
        ("cluster.name", Column::Pattern("COALESCE((SELECT c.name FROM cluster c WHERE c.id = cluster_id), '')")),
    ],
    unknown_marker_is_start: false,
};

/// A page of the executions that a project may see: its own and public ones.
pub async fn list(
    conn: &mut Conn,
    project: &ProjectId,
    query: &foggara_domain::page::ListQuery,
    strict: bool,
) -> Result<foggara_domain::page::Page<Execution>> {
    let spec = ListSpec { from: view(strict), ..LIST };
    let page = spec.page(conn, project, query).await?;
    let items = page.items.iter().map(|row| read(conn, row)).collect::<Result<Vec<_>>>()?;
    Ok(foggara_domain::page::Page { items, prev: page.prev, next: page.next })
}

/// The executions that a project may see and that match, with the number of all matches.
pub async fn search(
    conn: &mut Conn,
    project: &ProjectId,
    search: &Search,
    strict: bool,
) -> Result<(u64, Vec<Execution>)> {
    let mut values = vec![Value::from(project)];
    let mut wheres = LIST.visible.to_owned();
    let texts = [
        ("cluster_id", search.cluster.as_ref().map(ClusterId::as_str)),
        ("id", search.id.as_deref()),
        ("job_name", search.name.as_deref()),
        ("COALESCE(user_name, user_id)", search.user.as_deref()),
        ("job_type", search.job_type.as_deref()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            values.push(Value::from(text));
            wheres.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    for (sign, time) in [(">=", search.submitted_from), ("<=", search.submitted_to)] {
        if let Some(time) = time {
            values.push(Value::from(time));
            wheres.push_str(&format!(" AND created_at {sign} ${}", values.len()));
        }
    }
    if let Some(statuses) = &search.statuses {
        let first = values.len() + 1;
        values.extend(statuses.iter().map(|status| Value::from(*status)));
        let numbers: Vec<String> = (first..=values.len()).map(|number| format!("${number}")).collect();
        // No status at all matches nothing.
        let condition =
            if numbers.is_empty() { "1 = 0".to_owned() } else { format!("status IN ({})", numbers.join(", ")) };
        wheres.push_str(&format!(" AND {condition}"));
    }
    let from = view(strict);
    let counting = sql(format!("SELECT COUNT(*) AS many FROM {from} WHERE {wheres}"));
    let total = count(conn, values.iter().cloned().fold(counting, Query::bind)).await?;
    let way = if search.ascending { "ASC" } else { "DESC" };
    let whole = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    values.extend([whole(search.limit), whole(search.skip)]);
    let text = format!(
        "SELECT {COLUMNS} FROM {from} WHERE {wheres} ORDER BY created_at {way}, id {way} LIMIT ${} OFFSET ${}",
        values.len() - 1,
        values.len()
    );
    let rows = conn.all(values.into_iter().fold(sql(text), Query::bind)).await?;
    let found = rows.iter().map(|row| read(conn, row)).collect::<Result<Vec<_>>>()?;
    Ok((u64::try_from(total).unwrap_or(0), found))
}

fn read(conn: &Conn, row: &Row) -> Result<Execution> {
    let id = ExecutionId::from(row.text("id")?);
    let secrets = match row.bytes_or_null("secret_configs")? {
        Some(sealed) => object(&conn.seal_keys().open(&place_of(&id), &sealed)?)?,
        None => Map::new(),
    };
    let direct = row.text_or_null("direct")?.map(|text| serde_json::from_str::<Direct>(&text)).transpose();
    let usage = row.text_or_null("usage")?.map(|text| serde_json::from_str::<Usage>(&text)).transpose();
    let progress = row.text_or_null("progress")?.map(|text| serde_json::from_str::<Progress>(&text)).transpose();
    Ok(Execution {
        project: row.text("project_id")?.into(),
        user: row.text("user_id")?.into(),
        user_name: row.text_or_null("user_name")?,
        job: row.text_or_null("job_id")?.map(JobId::from),
        job_type: row.text("job_type")?,
        job_name: row.text("job_name")?,
        cluster: row.text("cluster_id")?.into(),
        input: row.text_or_null("input_id")?.map(DataSourceId::from),
        output: row.text_or_null("output_id")?.map(DataSourceId::from),
        job_configs: json(&row.text("job_configs")?)?,
        secret_configs: secrets,
        direct: direct.map_err(|error| Error::Internal(format!("execution.direct: {error}")))?,
        data_source_urls: row.text_or_null("data_source_urls")?.map(|text| object(&text)).transpose()?,
        is_public: row.flag("is_public")?,
        is_protected: row.flag("is_protected")?,
        wish: if row.text("wish")? == wish_name(Wish::Cancel) { Wish::Cancel } else { Wish::Run },
        suspend_wanted: row.flag("suspend_wanted")?,
        phase: known("phase", &row.text("phase")?, Phase::parse)?,
        engine_state: row.text_or_null("engine_state")?,
        duty: if row.text("duty")? == duty_name(Duty::None) { Duty::None } else { Duty::StopUntilGone },
        place: row.text_or_null("place")?,
        attempt: u32::try_from(row.int("attempt")?).unwrap_or(1),
        tag: row.text_or_null("tag")?.map(Tag::from),
        engine_ref: row.text_or_null("engine_ref")?,
        incarnation: row.text_or_null("incarnation")?,
        launch_sent_at: row.time_or_null("launch_sent_at")?,
        stop_sent_at: row.time_or_null("stop_sent_at")?,
        gone_at: row.time_or_null("gone_at")?,
        gone_evidence: row.text_or_null("gone_evidence")?,
        outcome: row.text_or_null("outcome")?.map(|text| known("outcome", &text, Outcome::parse)).transpose()?,
        reason: row.text_or_null("reason")?,
        return_code: row.text_or_null("return_code")?,
        usage: usage.map_err(|error| Error::Internal(format!("execution.usage: {error}")))?,
        progress: progress.map_err(|error| Error::Internal(format!("execution.progress: {error}")))?,
        deadline: row.time_or_null("deadline")?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        staged_at: row.time_or_null("staged_at")?,
        start_time: row.time_or_null("start_time")?,
        running_at: row.time_or_null("running_at")?,
        end_time: row.time_or_null("end_time")?,
        deleted_at: row.time_or_null("deleted_at")?,
        version: row.int("version")?,
        id,
    })
}

fn wish_name(wish: Wish) -> &'static str {
    match wish {
        Wish::Run => "run",
        Wish::Cancel => "cancel",
    }
}

fn duty_name(duty: Duty) -> &'static str {
    match duty {
        Duty::None => "none",
        Duty::StopUntilGone => "stop_until_gone",
    }
}

fn known<T>(column: &str, text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| Error::Internal(format!("execution.{column} holds '{text}'")))
}

fn json(text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| Error::Internal(format!("stored JSON: {error}")))
}

fn object(text: &str) -> Result<Map<String, Json>> {
    match json(text)? {
        Json::Object(map) => Ok(map),
        _ => Err(Error::Internal("stored JSON is not an object".to_owned())),
    }
}
