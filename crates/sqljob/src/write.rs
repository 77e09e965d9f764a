//! Writing: INSERT, CREATE TABLE AS, INSERT OVERWRITE DIRECTORY, LOAD DATA.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        datatypes::{DataType, UInt64Type},
    },
    common::config::{JsonOptions, TableParquetOptions},
    dataframe::DataFrameWriteOptions,
    datasource::file_format::format_as_file_type,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, lit},
};
use foggara_domain::sql::SqlDialect;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use crate::{
    catalogue::{Column, Format, Kind, Table, TextOptions},
    fault::{Fault, Outcome},
    functions::cast as casts,
    kind,
    parse::{Files, Partition},
    places::{Place, hidden},
    session::Session,
    staging::Staging,
    store,
    tables::{self, NO_PARTITION},
};

/// Runs a query into files of a folder; tells the rows.
async fn run(
    session: &Session,
    plan: LogicalPlan,
    place: &Place,
    form: (Format, &TextOptions),
    by: &[String],
) -> Outcome<u64> {
    let (format, text) = form;
    store::register(&session.state("default").runtime_env().clone(), &session.places, place)?;
    let url = place.url(true)?.to_string();
    let options = DataFrameWriteOptions::new().with_single_file_output(false).with_partition_by(by.to_vec());
    let frame = session.frame(as_text(plan, format, by)?);
    let counts = match format {
        Format::Parquet => {
            let mut parquet = TableParquetOptions::default();
            // A row group is held until it is full: batches are smaller where there is less memory, and so are groups.
            parquet.global.max_row_group_size = session.state("default").config().batch_size() * 16;
            frame.write_parquet(&url, options, Some(parquet)).await?
        }
        Format::Json => frame.write_json(&url, options, Some(JsonOptions::default())).await?,
        Format::Text | Format::Csv => {
            let form = format_as_file_type(Arc::new(tables::text_file(format, text)));
            let single = HashMap::from([("single_file_output".to_owned(), "false".to_owned())]);
            let plan = frame.into_unoptimized_plan();
            let plan = LogicalPlanBuilder::copy_to(plan, url, form, single, by.to_vec())?.build()?;
            session.frame(plan).collect().await?
        }
    };
    Ok(counts
        .iter()
        .filter_map(|batch| {
            batch.column(0).as_primitive_opt::<UInt64Type>().map(|rows| rows.values().iter().sum::<u64>())
        })
        .sum())
}

/// Text holds values as Hive prints them.
fn as_text(plan: LogicalPlan, format: Format, by: &[String]) -> Outcome<LogicalPlan> {
    if !matches!(format, Format::Text | Format::Csv) {
        return Ok(plan);
    }
    let to: Arc<ScalarUDF> = Arc::clone(&casts::functions()[0]);
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(table, field)| {
            let column = Expr::Column((table, field).into());
            if field.data_type().is_nested() && !by.contains(field.name()) {
                return Err(Fault::new(format!(
                    "column {}: {} cannot be kept in delimited text here",
                    field.name(),
                    kind::show(field.data_type())
                ))
                .hint("use STORED AS PARQUET or JSON"));
            }
            Ok(to.call(vec![column, lit("string")]).alias(field.name().clone()))
        })
        .collect::<Outcome<_>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// The rows of a query as a table wants them: by position, cast, partition columns as text at the end.
fn fit(plan: LogicalPlan, table: &Table, columns: &[String], dynamic: &[Column]) -> Outcome<LogicalPlan> {
    let found = plan.schema().columns();
    let to: Arc<ScalarUDF> = Arc::clone(&casts::functions()[0]);
    let wanted: Vec<&Column> = table.columns.iter().chain(dynamic).collect();
    let mut sources: Vec<Option<usize>> = (0..wanted.len()).map(Some).collect();
    if !columns.is_empty() {
        for name in columns {
            if !wanted.iter().any(|column| column.name == *name) {
                return Err(Fault::new(format!("table {} has no column {name}", table.name)));
            }
        }
        sources = wanted.iter().map(|column| columns.iter().position(|name| *name == column.name)).collect();
    }
    let expected = if columns.is_empty() { wanted.len() } else { columns.len() };
    if found.len() != expected {
        let names: Vec<&str> = wanted.iter().map(|column| column.name.as_str()).collect();
        return Err(Fault::new(format!(
            "table {} wants {expected} columns ({}), the query gives {}",
            table.name,
            names.join(", "),
            found.len()
        )));
    }
    let mut projection = Vec::new();
    for (index, (column, source)) in wanted.iter().zip(sources).enumerate() {
        let target = kind::parse(&column.kind)?;
        let value = match source {
            Some(source) => {
                let value = Expr::Column(found[source].clone());
                let from = plan.schema().field(source).data_type();
                if *from == target {
                    value
                } else if target.is_nested() || from.is_nested() {
                    datafusion::logical_expr::cast(value, target)
                } else {
                    to.call(vec![value, lit(column.kind.clone())])
                }
            }
            None => Expr::Literal(datafusion::common::ScalarValue::try_from(&target)?, None),
        };
        let value = if index >= table.columns.len() {
            let text = to.call(vec![value, lit("string")]);
            let text = datafusion::functions::core::nullif().call(vec![text, lit("")]);
            datafusion::functions::core::coalesce().call(vec![text, lit(NO_PARTITION)])
        } else {
            value
        };
        projection.push(value.alias(column.name.clone()));
    }
    Ok(LogicalPlanBuilder::from(plan).project(projection)?.build()?)
}

/// The folder of the partitions with a value, and the columns without one.
fn split_partition(root: Option<&Path>, table: &Table, partition: &[Partition]) -> Outcome<(PathBuf, Vec<Column>)> {
    let mut folder = PathBuf::new();
    if partition.is_empty() {
        return Ok((folder, table.partitions.clone()));
    }
    if partition.len() != table.partitions.len()
        || table.partitions.iter().zip(partition).any(|(column, (name, _))| column.name != *name)
    {
        let names: Vec<&str> = table.partitions.iter().map(|column| column.name.as_str()).collect();
        return Err(Fault::new(format!(
            "PARTITION must name the partition columns of table {} in their order: ({})",
            table.name,
            names.join(", ")
        )));
    }
    let fixed = partition.iter().take_while(|(_, value)| value.is_some()).count();
    if partition[fixed..].iter().any(|(_, value)| value.is_some()) {
        return Err(Fault::new("partition columns without a value come after those with one"));
    }
    for ((name, value), column) in partition[..fixed].iter().zip(&table.partitions) {
        let value = value.as_deref().unwrap_or(NO_PARTITION);
        if value.is_empty() {
            return Err(Fault::new(format!("partition column {name} needs a value that is not empty")));
        }
        let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
        if value != NO_PARTITION && casts::convert(&text, &kind::parse(&column.kind)?)?.is_null(0) {
            return Err(Fault::new(format!("partition column {name}: {value:?} is no {}", column.kind.to_uppercase())));
        }
        let written = folder_name(name, value);
        folder.push(existing(root, &folder, &written));
    }
    Ok((folder, table.partitions[fixed..].to_vec()))
}

/// Name of a partition's folder, as DataFusion writes it for values that a query gives.
fn folder_name(name: &str, value: &str) -> String {
    object_store::path::PathPart::from(format!("{name}={value}")).as_ref().to_owned()
}

/// The folder of that name, or the one in which another program wrote fewer signs as numbers.
fn existing(root: Option<&Path>, below: &Path, name: &str) -> String {
    let Some(root) = root else { return name.to_owned() };
    let parent = root.join(below);
    if parent.join(name).exists() {
        return name.to_owned();
    }
    let decoded = |name: &str| percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    let wanted = decoded(name);
    fs::read_dir(&parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|found| decoded(found) == wanted)
        .unwrap_or_else(|| name.to_owned())
}

/// The folder of a partition with all values.
///
/// # Errors
/// A column is missing.
pub fn partition_folder(root: &Path, table: &Table, partition: &[Partition]) -> Outcome<PathBuf> {
    let (folder, rest) = split_partition(Some(root), table, partition)?;
    if rest.is_empty() {
        Ok(folder)
    } else {
        Err(Fault::new(format!("partition column {} has no value", rest[0].name)))
    }
}

/// INSERT into a table; tells the rows.
///
/// # Errors
/// Columns that do not fit, a query that fails; then nothing was changed.
pub async fn insert(
    session: &Session,
    database: &str,
    table: &Table,
    overwrite: bool,
    partition: &[Partition],
    columns: &[String],
    plan: LogicalPlan,
) -> Outcome<u64> {
    if table.kind == Kind::View {
        return Err(Fault::new(format!("{} is a view and takes no rows", table.name)));
    }
    if !partition.is_empty() && table.partitions.is_empty() {
        return Err(Fault::new(format!("table {} is not partitioned", table.name)));
    }
    let place = session.places.resolve(&table.location)?;
    let root = if let Place::Local(root) = &place { Some(root.as_path()) } else { None };
    let (fixed, dynamic) = split_partition(root, table, partition)?;
    let plan = fit(plan, table, columns, &dynamic)?;
    let by: Vec<String> = dynamic.iter().map(|column| column.name.clone()).collect();
    let form = (table.format, &table.text);
    let root = match place {
        Place::Bucket(_) => return insert_bucket(session, place, overwrite, &fixed, plan, form, &by).await,
        Place::Local(root) => root,
    };
    if !overwrite {
        let staging = Staging::new(&root)?;
        let rows = run(session, plan, &Place::Local(staging.folder.clone()), form, &by).await?;
        staging.add(&root.join(&fixed))?;
        return Ok(rows);
    }
    // Hive replaces the partitions that the query gives rows for, Spark all that PARTITION does not exclude.
    let each = !by.is_empty() && session.dialect != SqlDialect::Spark;
    let target = root.join(&fixed);
    let beside = if each || target != root { root.clone() } else { parent(session, &root)? };
    let staging = Staging::new(&beside)?;
    let made = staging.folder.join("data");
    fs::create_dir(&made).map_err(|error| Fault::io("make", &made, &error))?;
    let rows = run(session, plan, &Place::Local(made.clone()), form, &by).await?;
    let _held = session.catalogue.hold(database, &table.name)?;
    if each {
        for leaf in leaves(&made, by.len())? {
            let mut to = fixed.clone();
            for part in &leaf {
                to.push(existing(Some(&root), &to, &part.to_string_lossy()));
            }
            staging.swap(&made.join(&leaf), &root.join(to))?;
        }
    } else {
        staging.swap(&made, &target)?;
    }
    Ok(rows)
}

/// The folder in which another can be put beside this one.
fn parent(session: &Session, folder: &Path) -> Outcome<PathBuf> {
    match folder.parent() {
        Some(parent) if !session.places.is_root(folder) => Ok(parent.to_owned()),
        _ => Err(Fault::new(format!(
            "{} cannot be replaced: it is itself a folder that the operator allows",
            folder.display()
        ))
        .hint("use a folder below it")),
    }
}

/// Folders at a depth, relative.
fn leaves(folder: &Path, depth: usize) -> Outcome<Vec<PathBuf>> {
    if depth == 0 {
        return Ok(vec![PathBuf::new()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Fault::io("read", folder, &error))?.flatten() {
        if entry.path().is_dir() {
            let name = PathBuf::from(entry.file_name());
            found.extend(leaves(&entry.path(), depth - 1)?.into_iter().map(|leaf| name.join(leaf)));
        }
    }
    Ok(found)
}

/// Into a bucket: objects appear when they are complete; those of before go when all new ones are there.
async fn insert_bucket(
    session: &Session,
    root: Place,
    overwrite: bool,
    fixed: &Path,
    plan: LogicalPlan,
    form: (Format, &TextOptions),
    by: &[String],
) -> Outcome<u64> {
    if overwrite && !by.is_empty() && session.dialect != SqlDialect::Spark {
        return Err(Fault::new("INSERT OVERWRITE of partitions that the query gives does not run in a bucket")
            .hint("PARTITION (column='value') does"));
    }
    let Place::Bucket(mut url) = root else { return Err(Fault::new("not a bucket")) };
    if fixed.to_string_lossy().contains('%') {
        return Err(Fault::new("a partition value with special signs does not run in a bucket")
            .hint("letters, digits, - and _ do; or let the query give the value"));
    }
    let path = format!("{}/{}", url.path().trim_end_matches('/'), fixed.display());
    url.set_path(&format!("{}/", path.trim_end_matches('/')));
    let place = Place::Bucket(url.clone());
    let runtime = session.state("default").runtime_env().clone();
    store::register(&runtime, &session.places, &place)?;
    let objects = runtime
        .object_store(datafusion::datasource::listing::ListingTableUrl::try_new(url.clone(), None)?.object_store())?;
    let prefix = object_store::path::Path::from_url_path(url.path()).map_err(|error| Fault::new(error.to_string()))?;
    let old: Vec<_> = if overwrite {
        objects
            .list(Some(&prefix))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|error| Fault::new(error.to_string()))?
    } else {
        Vec::new()
    };
    let rows = run(session, plan, &place, form, by).await?;
    for location in old {
        objects.delete(&location).await.map_err(|error| Fault::new(format!("cannot remove {location}: {error}")))?;
    }
    Ok(rows)
}

/// The data of a new table; tells the rows. `publish` writes the definition and says whether the name was free.
///
/// # Errors
/// As [`insert`]; data that is there already.
pub async fn create(
    session: &Session,
    database: &str,
    table: &Table,
    plan: LogicalPlan,
    publish: impl FnOnce() -> Outcome<()>,
) -> Outcome<u64> {
    let plan = fit(plan, table, &[], &table.partitions)?;
    let by: Vec<String> = table.partitions.iter().map(|column| column.name.clone()).collect();
    let form = (table.format, &table.text);
    let place = session.places.resolve(&table.location)?;
    let Place::Local(root) = &place else {
        let rows = run(session, plan, &place, form, &by).await?;
        publish()?;
        return Ok(rows);
    };
    if table.kind == Kind::External && fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(
            Fault::new(format!("{} is not empty", root.display())).hint("CREATE TABLE .. AS makes a new folder")
        );
    }
    let staging = Staging::new(&parent(session, root)?)?;
    let made = staging.folder.join("data");
    fs::create_dir(&made).map_err(|error| Fault::io("make", &made, &error))?;
    let rows = run(session, plan, &Place::Local(made.clone()), form, &by).await?;
    let _held = session.catalogue.hold(database, &table.name)?;
    if session.catalogue.find(database, &table.name)?.is_some() {
        return Err(Fault::new(format!("table {database}.{} already exists", table.name)));
    }
    // A folder without a definition is what a crash left.
    staging.swap(&made, root)?;
    publish()?;
    Ok(rows)
}

/// INSERT OVERWRITE DIRECTORY; tells the rows.
///
/// # Errors
/// A place that is not allowed, a query that fails.
pub async fn folder(session: &Session, files: &Files, plan: LogicalPlan) -> Outcome<u64> {
    let place = session.places.resolve(&files.path).map_err(|fault| fault.at(files.place))?;
    let form = (files.format, &files.text);
    match place {
        Place::Bucket(_) => insert_bucket(session, place, true, Path::new(""), plan, form, &[]).await,
        Place::Local(target) => {
            let staging = Staging::new(&parent(session, &target)?)?;
            let made = staging.folder.join("data");
            fs::create_dir(&made).map_err(|error| Fault::io("make", &made, &error))?;
            let rows = run(session, plan, &Place::Local(made.clone()), form, &[]).await?;
            staging.swap(&made, &target)?;
            Ok(rows)
        }
    }
}

/// LOAD DATA: files into the folder of a table, copied with LOCAL, moved without.
///
/// # Errors
/// Files that are missing, places that are not allowed.
pub fn load(
    session: &Session,
    database: &str,
    table: &Table,
    path: &str,
    local: bool,
    overwrite: bool,
    partition: &[Partition],
) -> Outcome<()> {
    let (Place::Local(source), Place::Local(root)) =
        (session.places.resolve(path)?, session.places.resolve(&table.location)?)
    else {
        return Err(Fault::new("LOAD DATA from or to a bucket does not run here")
            .hint("CREATE EXTERNAL TABLE over the files and INSERT .. SELECT"));
    };
    if table.kind == Kind::View {
        return Err(Fault::new(format!("{} is a view and takes no rows", table.name)));
    }
    let target = root.join(partition_folder(&root, table, partition)?);
    let files: Vec<PathBuf> = if source.is_dir() {
        let entries = fs::read_dir(&source).map_err(|error| Fault::io("read", &source, &error))?;
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file() && !path.file_name().is_some_and(|name| hidden(&name.to_string_lossy())))
            .collect();
        files.sort();
        files
    } else {
        vec![source.clone()]
    };
    if files.is_empty() {
        return Err(Fault::new(format!("{} holds no files", source.display())));
    }
    let beside = if overwrite && target == root { parent(session, &root)? } else { root.clone() };
    let staging = Staging::new(&beside)?;
    let made = staging.folder.join("data");
    fs::create_dir(&made).map_err(|error| Fault::io("make", &made, &error))?;
    for file in &files {
        // A link in the folder may lead elsewhere.
        let real = session.places.local(file)?;
        let name = file.file_name().ok_or_else(|| Fault::new("a file without a name"))?;
        let new = made.join(free(&target, &name.to_string_lossy(), overwrite));
        fs::copy(&real, &new).map_err(|error| Fault::io("copy", &real, &error))?;
    }
    let _held = session.catalogue.hold(database, &table.name)?;
    if overwrite {
        staging.swap(&made, &target)?
    } else {
        move_files(&made, &target)?
    }
    if !local {
        for file in &files {
            fs::remove_file(file).map_err(|error| Fault::io("remove", file, &error))?;
        }
    }
    Ok(())
}

fn move_files(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to).map_err(|error| Fault::io("make", to, &error))?;
    for entry in fs::read_dir(from).map_err(|error| Fault::io("read", from, &error))?.flatten() {
        let target = to.join(entry.file_name());
        fs::rename(entry.path(), &target).map_err(|error| Fault::io("move data to", &target, &error))?;
    }
    Ok(())
}

/// A name that the folder does not have, as Hive makes it.
fn free(target: &Path, name: &str, overwrite: bool) -> String {
    if overwrite || !target.join(name).exists() {
        return name.to_owned();
    }
    let (stem, ending) =
        name.rsplit_once('.').map_or((name, String::new()), |(stem, ending)| (stem, format!(".{ending}")));
    (1..)
        .map(|number| format!("{stem}_copy_{number}{ending}"))
        .find(|name| !target.join(name).exists())
        .unwrap_or_default()
}

/// Columns of a query's result, as a new table has them.
///
/// # Errors
/// A name that a column cannot have.
pub fn columns_of(plan: &LogicalPlan) -> Vec<Column> {
    let columns = plan.schema().fields().iter().map(|field| Column {
        name: field.name().to_lowercase(),
        kind: if *field.data_type() == DataType::Null { "string".into() } else { kind::show(field.data_type()) },
        comment: None,
    });
    columns.collect()
}

/// Removes all data of a folder but keeps the folder.
///
/// # Errors
/// Files that cannot be removed.
pub async fn empty(session: &Session, table: &Table) -> Outcome<()> {
    match session.places.resolve(&table.location)? {
        Place::Local(root) => {
            let staging = Staging::new(&parent(session, &root)?)?;
            let made = staging.folder.join("data");
            fs::create_dir(&made).map_err(|error| Fault::io("make", &made, &error))?;
            staging.swap(&made, &root)
        }
        place @ Place::Bucket(_) => {
            let runtime = session.state("default").runtime_env().clone();
            store::register(&runtime, &session.places, &place)?;
            let url = datafusion::datasource::listing::ListingTableUrl::try_new(place.url(true)?, None)?;
            let objects = runtime.object_store(url.object_store())?;
            let mut list = objects.list(Some(url.prefix()));
            while let Some(object) = list.next().await {
                let object = object.map_err(|error| Fault::new(error.to_string()))?;
                objects.delete(&object.location).await.map_err(|error| Fault::new(error.to_string()))?;
            }
            Ok(())
        }
    }
}
