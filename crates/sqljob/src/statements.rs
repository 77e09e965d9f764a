//! Running one statement.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::array::{ArrayRef, StringArray},
    logical_expr::LogicalPlanBuilder,
};
use foggara_domain::sql::SqlDialect;
use futures::StreamExt;

use crate::{
    answer::Rows,
    catalogue::{Column, Format, Kind, Table, View, folder::now},
    fault::{Fault, Outcome},
    parse::{Files, Name, Order, Partition, TableForm},
    places::Place,
    session::Session,
    settings::Settings,
    tables, write,
};

/// What a statement gave.
pub enum Given {
    /// No rows.
    Nothing,
    /// Rows, kept and printed.
    Rows(Box<Rows>),
}

/// Where rows go.
pub struct Sink<'a> {
    /// Answer folder.
    pub folder: &'a std::path::Path,
    /// Index of the statement.
    pub index: usize,
    /// Rows that are kept; 0 means all.
    pub limit: u64,
}

impl Sink<'_> {
    fn open(&self, names: Vec<String>) -> Outcome<Rows> {
        Rows::new(self.folder, self.index, names, self.limit)
    }

    /// Rows that are known already.
    fn table(&self, names: &[&str], rows: &[Vec<Option<String>>]) -> Outcome<Given> {
        let mut sink = self.open(names.iter().map(|name| (*name).to_owned()).collect())?;
        let columns: Vec<ArrayRef> = (0..names.len())
            .map(|index| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index].clone()).collect::<StringArray>()) })
            .collect();
        sink.push(&columns, rows.len())?;
        Ok(Given::Rows(Box::new(sink)))
    }
}

/// Runs a statement.
///
/// # Errors
/// Whatever makes it fail; nothing is left half done.
pub async fn run(session: &Session, order: Order, settings: &mut Settings, sink: &Sink<'_>) -> Outcome<Given> {
    match order {
        Order::Query(query) => {
            let mut plan = session.plan(&query).await?;
            let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
            if sink.limit > 0 {
                // One more, to know whether there were more.
                let most = usize::try_from(sink.limit).unwrap_or(usize::MAX).saturating_add(1);
                plan = LogicalPlanBuilder::from(plan).limit(0, Some(most))?.build()?;
            }
            let mut stream = session.frame(plan).execute_stream().await?;
            let mut rows = sink.open(names)?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                if !rows.push(batch.columns(), batch.num_rows())? {
                    break;
                }
            }
            return Ok(Given::Rows(Box::new(rows)));
        }
        Order::Explain(query) => {
            let plan = session.plan(&query).await?;
            let plan = session.frame(plan).into_optimized_plan()?;
            let lines: Vec<_> =
                plan.display_indent().to_string().lines().map(|line| vec![Some(line.to_owned())]).collect();
            return sink.table(&["plan"], &lines);
        }
        Order::Set { key, value } => settings.set(&key, value)?,
        Order::ShowSettings(key) => {
            let rows: Vec<_> = match key {
                Some(key) => vec![vec![
                    Some(key.clone()),
                    Some(settings.values.get(&key).cloned().unwrap_or_else(|| "<undefined>".into())),
                ]],
                None => {
                    settings.values.iter().map(|(key, value)| vec![Some(key.clone()), Some(value.clone())]).collect()
                }
            };
            return sink.table(&["key", "value"], &rows);
        }
        Order::Use { database, place } => {
            session.catalogue.need_database(&database).map_err(|fault| fault.at(place))?;
            session.set_database(&database);
        }
        Order::CreateDatabase { name, if_not_exists, place } => {
            if !session.catalogue.create_database(&name)? && !if_not_exists {
                return Err(Fault::new(format!("database {name} already exists"))
                    .at(place)
                    .hint("CREATE DATABASE IF NOT EXISTS"));
            }
        }
        Order::DropDatabase { name, if_exists, cascade, place } => {
            if session.catalogue.has_database(&name) || !if_exists {
                session.catalogue.drop_database(&name, cascade).map_err(|fault| fault.at(place))?;
            }
            if session.database() == name {
                session.set_database("default");
            }
        }
        Order::CreateTable(form) => create(session, *form).await?,
        Order::CreateView { name, columns, replace, if_not_exists, text, query } => {
            let database = database(session, &name);
            let plan = session.plan(&query).await?;
            let mut found = write::columns_of(&plan);
            if !columns.is_empty() {
                if columns.len() != found.len() {
                    return Err(Fault::new(format!(
                        "the view names {} columns, its query gives {}",
                        columns.len(),
                        found.len()
                    ))
                    .at(name.place));
                }
                for (column, name) in found.iter_mut().zip(columns) {
                    column.name = name;
                }
            }
            let view = View { text, dialect: session.dialect, database: session.database() };
            let table = Table { kind: Kind::View, columns: found, view: Some(view), ..blank(&name) };
            match session.catalogue.find(&database, &name.table)? {
                Some(old) if replace && old.kind == Kind::View => session.catalogue.replace(&database, &table)?,
                Some(_) if if_not_exists => {}
                _ => publish(session, &database, &table, if_not_exists).map_err(|fault| fault.at(name.place))?,
            }
        }
        Order::Drop { name, if_exists, view } => {
            let database = database(session, &name);
            let found = if session.catalogue.has_database(&database) {
                session.catalogue.find(&database, &name.table)?
            } else {
                None
            };
            match found {
                None if if_exists => {}
                Some(table) if (table.kind == Kind::View) != view => {
                    let (is, say) = if view { ("a table", "DROP TABLE") } else { ("a view", "DROP VIEW") };
                    return Err(Fault::new(format!("{} is {is}", name.table)).at(name.place).hint(say));
                }
                _ => session.catalogue.drop_table(&database, &name.table).map_err(|fault| fault.at(name.place))?,
            }
        }
        Order::ShowDatabases(like) => {
            let rows = matching(session.catalogue.databases()?, like.as_deref())?;
            return sink.table(&["database_name"], &rows);
        }
        Order::ShowTables { database, like } => {
            let rows =
                matching(session.catalogue.tables(&database.unwrap_or_else(|| session.database()))?, like.as_deref())?;
            return sink.table(&["tab_name"], &rows);
        }
        Order::ShowCreate(name) => {
            let table = need(session, &name)?;
            return sink.table(&["createtab_stmt"], &[vec![Some(definition(&database(session, &name), &table))]]);
        }
        Order::ShowColumns(name) => {
            let rows: Vec<_> =
                need(session, &name)?.all_columns().map(|column| vec![Some(column.name.clone())]).collect();
            return sink.table(&["field"], &rows);
        }
        Order::ShowPartitions(name) => {
            let table = need(session, &name)?;
            let rows: Vec<_> = partitions(session, &table)?.into_iter().map(|folder| vec![Some(folder)]).collect();
            return sink.table(&["partition"], &rows);
        }
        Order::Describe { name, formatted } => {
            let table = need(session, &name)?;
            return sink
                .table(&["col_name", "data_type", "comment"], &describe(&database(session, &name), &table, formatted));
        }
        Order::DescribeDatabase { database, place } => {
            session.catalogue.need_database(&database).map_err(|fault| fault.at(place))?;
            return sink.table(&["db_name"], &[vec![Some(database)]]);
        }
        Order::Insert { name, overwrite, partition, columns, query } => {
            let table = need(session, &name)?;
            let plan = session.plan(&query).await?;
            let done =
                write::insert(session, &database(session, &name), &table, overwrite, &partition, &columns, plan).await;
            done.map_err(|fault| fault.at(name.place))?;
        }
        Order::InsertFolder { files, query } => {
            let plan = session.plan(&query).await?;
            write::folder(session, &files, plan).await.map_err(|fault| fault.at(files.place))?;
        }
        Order::Load { path, place, local, overwrite, name, partition } => {
            let table = need(session, &name)?;
            write::load(session, &database(session, &name), &table, &path, local, overwrite, &partition)
                .map_err(|fault| fault.at(place))?;
        }
        Order::Truncate(name) => {
            let table = need(session, &name)?;
            if table.kind != Kind::Managed {
                return Err(Fault::new(format!("{} is not a managed table", name.table))
                    .at(name.place)
                    .hint("only their data may be removed"));
            }
            write::empty(session, &table).await.map_err(|fault| fault.at(name.place))?;
        }
        Order::Rename { from, to } => rename(session, &from, &to)?,
        Order::AddColumns { name, columns } => {
            let mut table = need(session, &name)?;
            table.columns.extend(columns);
            session.catalogue.replace(&database(session, &name), &table).map_err(|fault| fault.at(name.place))?;
        }
        Order::SetProperties { name, properties } => {
            let mut table = need(session, &name)?;
            table.properties.extend(properties);
            session.catalogue.replace(&database(session, &name), &table)?;
        }
        Order::AddPartitions { name, partitions, if_not_exists } => {
            change_partitions(session, &name, &partitions, true, if_not_exists)
                .map_err(|fault| fault.at(name.place))?;
        }
        Order::DropPartitions { name, partitions, if_exists } => {
            change_partitions(session, &name, &partitions, false, if_exists).map_err(|fault| fault.at(name.place))?;
        }
        Order::Repair(name) => {
            need(session, &name)?;
        }
    }
    Ok(Given::Nothing)
}

fn database(session: &Session, name: &Name) -> String {
    name.database.clone().unwrap_or_else(|| session.database())
}

fn need(session: &Session, name: &Name) -> Outcome<Table> {
    session.catalogue.need(&database(session, name), &name.table).map_err(|fault| fault.at(name.place))
}

/// A table of which nothing is known but its name.
fn blank(name: &Name) -> Table {
    Table {
        name: name.table.clone(),
        kind: Kind::Managed,
        columns: Vec::new(),
        partitions: Vec::new(),
        format: Format::default(),
        text: crate::catalogue::TextOptions::default(),
        location: String::new(),
        comment: None,
        properties: BTreeMap::new(),
        view: None,
        created: now(),
    }
}

fn publish(session: &Session, database: &str, table: &Table, if_not_exists: bool) -> Outcome<()> {
    if session.catalogue.create(database, table)? || if_not_exists {
        return Ok(());
    }
    Err(Fault::new(format!("table {database}.{} already exists", table.name))
        .hint("CREATE .. IF NOT EXISTS, or DROP it first"))
}

async fn create(session: &Session, form: TableForm) -> Outcome<()> {
    let at = |fault: Fault| fault.at(form.name.place);
    let database = database(session, &form.name);
    session.catalogue.need_database(&database).map_err(at)?;
    if session.catalogue.find(&database, &form.name.table)?.is_some() {
        if form.if_not_exists {
            return Ok(());
        }
        return Err(at(Fault::new(format!("table {database}.{} already exists", form.name.table))
            .hint("CREATE TABLE IF NOT EXISTS, or DROP it first")));
    }
    let (kind, location) = match &form.location {
        Some((path, place)) => (Kind::External, session.places.resolve(path).map_err(|fault| fault.at(*place))?.text()),
        None if form.external => {
            return Err(at(Fault::new("an external table needs a LOCATION")
                .hint("LOCATION '/folder', or CREATE TABLE without EXTERNAL")));
        }
        None => (Kind::Managed, session.catalogue.data_folder(&database, &form.name.table).display().to_string()),
    };
    let mut table = Table {
        kind,
        columns: form.columns.clone(),
        partitions: form.partitions.clone(),
        format: form.format,
        text: form.text.clone(),
        location,
        comment: form.comment.clone(),
        properties: form.properties.clone(),
        ..blank(&form.name)
    };
    if let Some(like) = &form.like {
        let model = need(session, like)?;
        table.columns.clone_from(&model.columns);
        table.partitions.clone_from(&model.partitions);
        (table.format, table.text) = (model.format, model.text);
    }
    if let Some(query) = &form.query {
        if !table.columns.is_empty() {
            return Err(at(Fault::new("CREATE TABLE .. AS takes its columns from the query")
                .hint("leave the columns out and name them in the query")));
        }
        let plan = session.plan(query).await?;
        table.columns = write::columns_of(&plan);
        for name in &form.partition_names {
            let last = table.columns.iter().position(|column| column.name == *name);
            let first = table.columns.len() - form.partition_names.len().min(table.columns.len());
            match last {
                Some(index) if index == first => table.partitions.push(table.columns.remove(index)),
                _ => {
                    return Err(at(Fault::new(format!(
                        "partition column {name} must stand among the last columns of the query, in the same order"
                    ))));
                }
            }
            if table.partitions.len() < form.partition_names.len() {
                continue;
            }
        }
        table.check().map_err(at)?;
        let done = write::create(session, &database, &table, plan, || publish(session, &database, &table, false)).await;
        return done.map(|_| ()).map_err(at);
    }
    if !form.partition_names.is_empty() {
        // USING: the columns stand among the others.
        for name in &form.partition_names {
            let Some(index) = table.columns.iter().position(|column| column.name == *name) else {
                return Err(at(Fault::new(format!("partition column {name} is not among the columns"))));
            };
            table.partitions.push(table.columns.remove(index));
        }
    }
    if table.columns.is_empty() && kind == Kind::External && form.like.is_none() {
        let place = form.location.as_ref().map_or(form.name.place, |(_, place)| *place);
        let files = Files { path: table.location.clone(), place, format: table.format, text: table.text.clone() };
        table.columns = tables::infer(session, &files).await.map_err(|fault| fault.at(place))?;
    }
    publish(session, &database, &table, form.if_not_exists).map_err(at)
}

fn rename(session: &Session, from: &Name, to: &Name) -> Outcome<()> {
    let mut table = need(session, from)?;
    let (old, new) = (database(session, from), database(session, to));
    let _held = session.catalogue.hold(&old, &from.table)?;
    let folder = session.catalogue.data_folder(&old, &from.table);
    table.name.clone_from(&to.table);
    let moved = table.kind == Kind::Managed && table.location == folder.display().to_string();
    let target = session.catalogue.data_folder(&new, &to.table);
    if moved {
        table.location = target.display().to_string();
    }
    publish(session, &new, &table, false).map_err(|fault| fault.at(to.place))?;
    if moved && folder.exists() {
        let done =
            target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::rename(&folder, &target));
        if let Err(error) = done {
            session.catalogue.forget(&new, &to.table)?;
            return Err(Fault::io("move the data to", &target, &error));
        }
    }
    session.catalogue.forget(&old, &from.table)
}

/// Folders of partitions that exist, as `a=1/b=2`.
fn partitions(session: &Session, table: &Table) -> Outcome<Vec<String>> {
    if table.partitions.is_empty() {
        return Err(Fault::new(format!("table {} is not partitioned", table.name)));
    }
    let Place::Local(root) = session.places.resolve(&table.location)? else {
        return Err(Fault::new("the partitions of a table in a bucket are not listed")
            .hint("SELECT DISTINCT of its partition columns"));
    };
    let mut found = vec![String::new()];
    for column in &table.partitions {
        let mut next = Vec::new();
        for folder in found {
            for entry in std::fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(&format!("{}=", column.name)) && entry.path().is_dir() {
                    next.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
                }
            }
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

fn change_partitions(
    session: &Session,
    name: &Name,
    partitions: &[Vec<Partition>],
    add: bool,
    lenient: bool,
) -> Outcome<()> {
    let table = need(session, name)?;
    let Place::Local(root) = session.places.resolve(&table.location)? else {
        return Err(Fault::new("partitions of a table in a bucket come and go with their objects"));
    };
    for partition in partitions {
        let folder = root.join(write::partition_folder(&root, &table, partition)?);
        if folder.exists() == add {
            if lenient {
                continue;
            }
            let state = if add { "already exists" } else { "does not exist" };
            return Err(Fault::new(format!(
                "partition {} {state}",
                folder.strip_prefix(&root).unwrap_or(&folder).display()
            )));
        }
        let done = if add {
            std::fs::create_dir_all(&folder)
        } else if table.kind == Kind::Managed {
            std::fs::remove_dir_all(&folder)
        } else {
            return Err(Fault::new(format!("{} is not a managed table; its data is not removed", table.name)));
        };
        done.map_err(|error| Fault::io("change", &folder, &error))?;
    }
    Ok(())
}

/// Names that a pattern of SHOW allows: `*` and `%` stand for anything, `_` of SQL for itself, `|` separates.
fn matching(names: Vec<String>, like: Option<&str>) -> Outcome<Vec<Vec<Option<String>>>> {
    let pattern = match like {
        None => None,
        Some(like) => {
            let parts: Vec<String> = like
                .to_lowercase()
                .split('|')
                .map(|part| regex::escape(part).replace("\\*", ".*").replace('%', ".*"))
                .collect();
            Some(
                regex::Regex::new(&format!("^(?:{})$", parts.join("|")))
                    .map_err(|error| Fault::new(error.to_string()))?,
            )
        }
    };
    let kept = names.into_iter().filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name)));
    Ok(kept.map(|name| vec![Some(name)]).collect())
}

fn describe(database: &str, table: &Table, formatted: bool) -> Vec<Vec<Option<String>>> {
    let line = |a: &str, b: &str, c: &str| vec![Some(a.to_owned()), Some(b.to_owned()), Some(c.to_owned())];
    let column = |column: &Column| line(&column.name, &column.kind, column.comment.as_deref().unwrap_or(""));
    let mut rows: Vec<_> = table.all_columns().map(column).collect();
    if !table.partitions.is_empty() {
        rows.push(line("# Partition Information", "", ""));
        rows.push(line("# col_name", "data_type", "comment"));
        rows.extend(table.partitions.iter().map(column));
    }
    if formatted {
        let kind = match table.kind {
            Kind::Managed => "MANAGED_TABLE",
            Kind::External => "EXTERNAL_TABLE",
            Kind::View => "VIRTUAL_VIEW",
        };
        rows.push(line("# Detailed Table Information", "", ""));
        rows.push(line("Database:", database, ""));
        rows.push(line("Table:", &table.name, ""));
        rows.push(line("Table Type:", kind, ""));
        match &table.view {
            Some(view) => rows.push(line("View Text:", &view.text, "")),
            None => {
                rows.push(line("Location:", &table.location, ""));
                rows.push(line("Format:", format_word(table.format), ""));
            }
        }
        if let Some(comment) = &table.comment {
            rows.push(line("Comment:", comment, ""));
        }
        rows.extend(table.properties.iter().map(|(key, value)| line("Property:", key, value)));
    }
    rows
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Text => "TEXTFILE",
        Format::Csv => "CSV",
        Format::Json => "JSON",
        Format::Parquet => "PARQUET",
    }
}

/// The statement that makes a table again.
fn definition(database: &str, table: &Table) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    if let Some(view) = &table.view {
        let names: Vec<String> = table.columns.iter().map(|column| format!("`{}`", column.name)).collect();
        return format!("CREATE VIEW `{database}`.`{}` ({}) AS {}", table.name, names.join(", "), view.text.trim());
    }
    let columns = |columns: &[Column]| {
        let lines: Vec<String> = columns
            .iter()
            .map(|column| {
                let comment =
                    column.comment.as_ref().map(|comment| format!(" COMMENT {}", quote(comment))).unwrap_or_default();
                format!("  `{}` {}{comment}", column.name, column.kind)
            })
            .collect();
        format!("(\n{})", lines.join(",\n"))
    };
    let external = if table.kind == Kind::External { "EXTERNAL " } else { "" };
    let mut text = format!("CREATE {external}TABLE `{database}`.`{}` {}", table.name, columns(&table.columns));
    if let Some(comment) = &table.comment {
        text += &format!("\nCOMMENT {}", quote(comment));
    }
    if !table.partitions.is_empty() {
        text += &format!("\nPARTITIONED BY {}", columns(&table.partitions));
    }
    if table.format == Format::Text {
        text += &format!("\nROW FORMAT DELIMITED FIELDS TERMINATED BY {}", quote(&delimiter(table.text.delimiter)));
        if table.text.null != "\\N" {
            text += &format!(" NULL DEFINED AS {}", quote(&table.text.null));
        }
    }
    text += &format!("\nSTORED AS {}", format_word(table.format));
    if table.kind == Kind::External {
        text += &format!("\nLOCATION {}", quote(&table.location));
    }
    if !table.properties.is_empty() {
        let lines: Vec<String> =
            table.properties.iter().map(|(key, value)| format!("  {}={}", quote(key), quote(value))).collect();
        text += &format!("\nTBLPROPERTIES (\n{})", lines.join(",\n"));
    }
    text
}

fn delimiter(byte: u8) -> String {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte).to_string() } else { format!("\\{byte:03o}") }
}

/// Whether a dialect takes more than one statement.
pub fn one_only(dialect: SqlDialect) -> bool {
    dialect == SqlDialect::Presto
}
