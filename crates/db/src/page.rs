//! Lists: one mechanism for all of them (sahara-v1.1.md section 2.2).
//!
//! Order and equality are SQL's; the columns that the original matches as regular expressions are matched here by a crate
//! whose matching is linear, so that both databases answer alike. Rows are read in pages of [`STEP`] by key, each page a
//! statement of its own, so that a list without a limit holds nothing for long.

use foggara_domain::{
    Code, Error, ProjectId, Result, Timestamp,
    page::{ListQuery, Page},
};
use regex::Regex;

use crate::{Conn, Query, Row, Value, sql};

/// Rows that are read at once.
const STEP: u64 = 1000;

/// How a filter compares.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Equality of text.
    Text(&'static str),
    /// Equality of text without regard to case.
    Folded(&'static str),
    /// An unanchored regular expression; an invalid one is compared as text.
    Pattern(&'static str),
    /// true, false, 1, 0.
    Flag(&'static str),
    /// A time in the form of the wire, to the second.
    Time(&'static str),
    /// A whole number.
    Int(&'static str),
}

/// What a list knows.
#[derive(Clone, Copy, Debug)]
pub struct ListSpec {
    /// Columns to read.
    pub columns: &'static str,
    /// Table or view.
    pub from: &'static str,
    /// Condition on the project, which is `$1`.
    pub visible: &'static str,
    /// Sort fields: name on the wire, expression.
    pub sort: &'static [(&'static str, &'static str)],
    /// Filters: name on the wire, comparison.
    pub filters: &'static [(&'static str, Column)],
    /// `/job-binaries` answers an unknown marker with the list from its start.
    pub unknown_marker_is_start: bool,
}

/// A condition with its value, or a pattern that is matched on the row.
enum Condition {
    Sql(&'static str, &'static str, Value),
    Pattern(&'static str, Regex),
}

/// Where a page begins or ends: the sort value and the id of a row.
struct Position {
    key: Value,
    id: String,
}

impl ListSpec {
    /// One page.
    pub async fn page(&self, conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<Row>> {
        let sorts: Vec<&str> = self.sort.iter().map(|(name, _)| *name).collect();
        query.check_sort(&sorts)?;
        let names: Vec<&str> = self.filters.iter().map(|(name, _)| *name).collect();
        query.check_filters(&names)?;
        let (key, descending) = match &query.sort {
            None => ("id", false),
            Some(sort) => {
                let known = self.sort.iter().find(|(name, _)| *name == sort.field);
                (known.map_or("id", |(_, expression)| *expression), sort.descending)
            }
        };
        let conditions = self.conditions(query)?;
        let start = match &query.marker {
            None => None,
            Some(marker) => {
                let found = self.position(conn, project, key, marker).await?;
                if found.is_none() && !self.unknown_marker_is_start {
                    return Err(Error::no_such_id(marker));
                }
                found
            }
        };
        let want = query.limit.unwrap_or(u64::MAX);
        let mut items =
            self.rows(conn, project, key, descending, &conditions, start.as_ref(), want.saturating_add(1)).await?;
        let more = u64::try_from(items.len()).unwrap_or(u64::MAX) > want;
        if more {
            items.pop();
        }
        let next = if more { items.last().map(|row| row.text("id")).transpose()? } else { None };
        let prev = match (&start, query.limit) {
            (Some(start), Some(limit)) => {
                let before = self.rows(conn, project, key, !descending, &conditions, Some(start), limit).await?;
                let full = u64::try_from(before.len()).unwrap_or(u64::MAX) >= limit;
                if full { before.last().map(|row| row.text("id")).transpose()? } else { None }
            }
            _ => None,
        };
        Ok(Page { items, prev, next })
    }

    fn conditions(&self, query: &ListQuery) -> Result<Vec<Condition>> {
        let mut conditions = Vec::new();
        for (name, wanted) in &query.filters {
            let Some((_, column)) = self.filters.iter().find(|(known, _)| known == name) else { continue };
            conditions.push(match *column {
                Column::Text(column) => Condition::Sql(column, "=", Value::from(wanted)),
                Column::Folded(column) => Condition::Sql(column, "=", Value::from(wanted.to_uppercase())),
                Column::Pattern(column) => match Regex::new(wanted) {
                    Ok(pattern) => Condition::Pattern(column, pattern),
                    Err(_) => Condition::Sql(column, "=", Value::from(wanted)),
                },
                Column::Flag(column) => Condition::Sql(column, "=", Value::from(flag(name, wanted)?)),
                Column::Int(column) => Condition::Sql(column, "=", Value::from(whole(name, wanted)?)),
                Column::Time(column) => {
                    let at = Timestamp::parse(&wanted.replace(' ', "T"));
                    // What is no time equals no time.
                    let second = at.map_or(i64::MIN, Timestamp::as_seconds);
                    Condition::Sql(column, "/ 1000000 =", Value::from(second))
                }
            });
        }
        Ok(conditions)
    }

    async fn position(&self, conn: &mut Conn, project: &ProjectId, key: &str, id: &str) -> Result<Option<Position>> {
        let text = format!("SELECT id, {key} AS sort_key FROM {} WHERE {} AND id = $2", self.from, self.visible);
        let row = conn.first(sql(text).bind(project).bind(id)).await?;
        row.map(|row| position(&row)).transpose()
    }

    /// At most `want` rows after a position, in order.
    #[allow(clippy::too_many_arguments, reason = "one private function with every part of a statement")]
    async fn rows(
        &self,
        conn: &mut Conn,
        project: &ProjectId,
        key: &str,
        descending: bool,
        conditions: &[Condition],
        start: Option<&Position>,
        want: u64,
    ) -> Result<Vec<Row>> {
        let mut items = Vec::new();
        let mut after = start.map(|start| Position { key: start.key.clone(), id: start.id.clone() });
        loop {
            let left = want.saturating_sub(u64::try_from(items.len()).unwrap_or(u64::MAX));
            if left == 0 {
                return Ok(items);
            }
            let patterns = conditions.iter().any(|condition| matches!(condition, Condition::Pattern(..)));
            let step = if patterns { STEP } else { STEP.min(left) };
            let rows = conn.all(self.statement(project, key, descending, conditions, after.as_ref(), step)).await?;
            let last = u64::try_from(rows.len()).unwrap_or(0) < step;
            if let Some(row) = rows.last() {
                after = Some(position(row)?);
            }
            for row in rows {
                if matches(&row, conditions)? {
                    items.push(row);
                    if u64::try_from(items.len()).unwrap_or(u64::MAX) >= want {
                        return Ok(items);
                    }
                }
            }
            if last {
                return Ok(items);
            }
        }
    }

    fn statement(
        &self,
        project: &ProjectId,
        key: &str,
        descending: bool,
        conditions: &[Condition],
        after: Option<&Position>,
        limit: u64,
    ) -> Query {
        let mut text = format!("SELECT {}, {key} AS sort_key", self.columns);
        let mut values = vec![Value::from(project)];
        let mut wheres = String::new();
        for (at, condition) in conditions.iter().enumerate() {
            match condition {
                Condition::Sql(column, comparison, value) => {
                    values.push(value.clone());
                    wheres.push_str(&format!(" AND {column} {comparison} ${}", values.len()));
                }
                Condition::Pattern(column, _) => text.push_str(&format!(", {column} AS pattern_{at}")),
            }
        }
        if let Some(after) = after {
            let sign = if descending { '<' } else { '>' };
            values.push(after.key.clone());
            let key_number = values.len();
            values.push(Value::from(after.id.as_str()));
            let id_number = values.len();
            wheres.push_str(&format!(
                " AND ({key} {sign} ${key_number} OR ({key} = ${key_number} AND id {sign} ${id_number}))"
            ));
        }
        let way = if descending { "DESC" } else { "ASC" };
        text.push_str(&format!(
            " FROM {} WHERE {}{wheres} ORDER BY {key} {way}, id {way} LIMIT {limit}",
            self.from, self.visible
        ));
        values.into_iter().fold(sql(text), Query::bind)
    }
}

fn position(row: &Row) -> Result<Position> {
    let key = match row.text_or_null("sort_key") {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Int(row.int_or_null("sort_key")?),
    };
    Ok(Position { key, id: row.text("id")? })
}

fn matches(row: &Row, conditions: &[Condition]) -> Result<bool> {
    for (at, condition) in conditions.iter().enumerate() {
        if let Condition::Pattern(_, pattern) = condition {
            let text = row.text_or_null(&format!("pattern_{at}"))?;
            if !text.is_some_and(|text| pattern.is_match(&text)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn flag(name: &str, text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::refused(
            Code::InvalidParamsOnRequest,
            format!("'{text}' is not a value for the filter '{name}': true, false, 1 or 0"),
        )),
    }
}

fn whole(name: &str, text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        Error::refused(
            Code::InvalidParamsOnRequest,
            format!("'{text}' is not a value for the filter '{name}': a whole number"),
        )
    })
}
