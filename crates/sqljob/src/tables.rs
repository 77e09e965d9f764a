//! Files as tables: text is read as text and cast as Hive does, columns are found by name without regard to case.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::TableProvider,
    common::{Column as Col, TableReference},
    datasource::{
        ViewTable,
        file_format::{FileFormat, json::JsonFormat, parquet::ParquetFormat},
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        provider_as_source,
    },
    logical_expr::{Expr, LogicalPlanBuilder, ScalarUDF, cast, lit},
};
use futures::StreamExt;

use crate::{
    catalogue::{Column, Format, Kind, Table, TextOptions},
    fault::{Fault, Outcome},
    functions::cast as casts,
    kind,
    parse::Files,
    places::Place,
    session::Session,
    store,
    textfile::TextFile,
};

/// Value of a partition column that is NULL, as Hive names the folder.
pub const NO_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
const RAW: &str = "raw";

/// Opens a table or view.
///
/// # Errors
/// A place that is not allowed (any more), files that cannot be read.
pub async fn open(session: &Session, table: &Table) -> Outcome<Arc<dyn TableProvider>> {
    if let (Kind::View, Some(view)) = (table.kind, &table.view) {
        let plan = session.view(&table.name, view).await?;
        let plan = rename(plan, table)?;
        return Ok(Arc::new(ViewTable::new(plan, Some(view.text.clone()))));
    }
    let place = session.places.resolve(&table.location)?;
    let source = Source { session, place, folder: true, format: table.format, text: &table.text };
    source.provider(&table.columns, &table.partitions).await
}

/// A view's columns under the names it was given.
fn rename(
    plan: datafusion::logical_expr::LogicalPlan,
    table: &Table,
) -> Outcome<datafusion::logical_expr::LogicalPlan> {
    let found = plan.schema().columns();
    if found.len() != table.columns.len() {
        return Err(Fault::new(format!(
            "view {} was made with {} columns, its tables now give {}",
            table.name,
            table.columns.len(),
            found.len()
        ))
        .hint("make the view again"));
    }
    let columns: Vec<Expr> = found
        .into_iter()
        .zip(&table.columns)
        .map(|(column, named)| Expr::Column(column).alias(named.name.clone()))
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// Opens files that a query names by their path.
///
/// # Errors
/// As [`open`].
pub async fn files(session: &Session, files: &Files) -> Outcome<Arc<dyn TableProvider>> {
    let columns = infer(session, files).await.map_err(|fault| fault.at(files.place))?;
    let (place, folder) = locate(session, &files.path)?;
    let source = Source { session, place, folder, format: files.format, text: &files.text };
    source.provider(&columns, &[]).await
}

/// Finds a path; whether it is a folder.
fn locate(session: &Session, path: &str) -> Outcome<(Place, bool)> {
    let place = session.places.resolve(path)?;
    let folder = match &place {
        Place::Local(path) => {
            if !path.exists() {
                return Err(Fault::new(format!("{} does not exist", path.display())));
            }
            path.is_dir()
        }
        // An object has an ending, a folder has none.
        Place::Bucket(url) => !url.path().rsplit('/').next().unwrap_or("").contains('.'),
    };
    Ok((place, folder))
}

/// Columns of files, from the files.
///
/// # Errors
/// There are none, or they cannot be read.
pub async fn infer(session: &Session, files: &Files) -> Outcome<Vec<Column>> {
    let (place, folder) = locate(session, &files.path)?;
    let source = Source { session, place, folder, format: files.format, text: &files.text };
    let schema = source.inferred().await?;
    if schema.fields().is_empty() {
        return Err(Fault::new(format!("{} holds no files with data", files.path)));
    }
    let text = matches!(files.format, Format::Text | Format::Csv);
    let columns = schema.fields().iter().enumerate().map(|(index, field)| Column {
        name: if text && !files.text.header { format!("_c{index}") } else { field.name().to_lowercase() },
        kind: if text { "string".to_owned() } else { kind::show(field.data_type()) },
        comment: None,
    });
    Ok(columns.collect())
}

/// Files of one form in one place.
struct Source<'a> {
    session: &'a Session,
    place: Place,
    folder: bool,
    format: Format,
    text: &'a TextOptions,
}

/// A delimited form; quotes mean something in CSV only.
pub fn text_file(format: Format, text: &TextOptions) -> TextFile {
    let quote = text.quote.filter(|_| format == Format::Csv);
    TextFile(Arc::new(TextOptions { quote, ..text.clone() }))
}

impl Source<'_> {
    fn url(&self) -> Outcome<ListingTableUrl> {
        store::register(&self.session.state("default").runtime_env().clone(), &self.session.places, &self.place)?;
        Ok(ListingTableUrl::try_new(self.place.url(self.folder)?, None)?)
    }

    fn options(&self, partitions: &[Column]) -> ListingOptions {
        let format: Arc<dyn FileFormat> = match self.format {
            Format::Text | Format::Csv => Arc::new(text_file(self.format, self.text)),
            Format::Json => Arc::new(JsonFormat::default()),
            Format::Parquet => Arc::new(ParquetFormat::default().with_force_view_types(false)),
        };
        let partitions = partitions.iter().map(|column| (column.name.clone(), DataType::Utf8)).collect();
        ListingOptions::new(format).with_file_extension("").with_table_partition_cols(partitions)
    }

    async fn inferred(&self) -> Outcome<SchemaRef> {
        let state = self.session.state("default");
        if self.folder
            && let Place::Local(path) = &self.place
            && !path.exists()
        {
            return Ok(Arc::new(Schema::empty()));
        }
        let url = self.url()?;
        let store = state.runtime_env().object_store(&url)?;
        if url.list_all_files(&state, store.as_ref(), "").await?.next().await.is_none() {
            return Ok(Arc::new(Schema::empty()));
        }
        Ok(self.options(&[]).infer_schema(&state, &url).await?)
    }

    async fn provider(&self, columns: &[Column], partitions: &[Column]) -> Outcome<Arc<dyn TableProvider>> {
        let url = self.url()?;
        let column = |name: &str| Expr::Column(Col::new(Some(TableReference::bare(RAW)), name));
        let to: Arc<ScalarUDF> = Arc::clone(&casts::functions()[0]);
        let mut fields: Vec<Field> = Vec::new();
        let mut projection: Vec<Expr> = Vec::new();
        let inferred =
            if matches!(self.format, Format::Parquet | Format::Json) { Some(self.inferred().await?) } else { None };
        let mut known: HashMap<String, &Field> = HashMap::new();
        for field in inferred.iter().flat_map(|schema| schema.fields()) {
            if known.insert(field.name().to_lowercase(), field).is_some()
                && columns.iter().any(|column| column.name == field.name().to_lowercase())
            {
                return Err(Fault::new(format!(
                    "the files hold column {} twice, in letters of different case",
                    field.name()
                )));
            }
        }
        for wanted in columns {
            let target = kind::parse(&wanted.kind)?;
            let value = match self.format {
                Format::Text | Format::Csv => {
                    fields.push(Field::new(&wanted.name, DataType::Utf8, true));
                    let text = column(&wanted.name);
                    if target == DataType::Utf8 { text } else { to.call(vec![text, lit(wanted.kind.clone())]) }
                }
                Format::Json => {
                    let name = known.get(&wanted.name).map_or(wanted.name.as_str(), |field| field.name().as_str());
                    fields.push(Field::new(name, target, true));
                    column(name)
                }
                Format::Parquet => match known.get(&wanted.name) {
                    None => Expr::Literal(datafusion::common::ScalarValue::try_from(&target)?, None),
                    Some(field) => {
                        fields.push((*field).clone().with_nullable(true));
                        let value = column(field.name());
                        if *field.data_type() == target { value } else { cast(value, target) }
                    }
                },
            };
            projection.push(value.alias(wanted.name.clone()));
        }
        for wanted in partitions {
            let value = datafusion::functions::core::nullif().call(vec![column(&wanted.name), lit(NO_PARTITION)]);
            let value = if wanted.kind == "string" { value } else { to.call(vec![value, lit(wanted.kind.clone())]) };
            projection.push(value.alias(wanted.name.clone()));
        }
        let config = ListingTableConfig::new(url)
            .with_listing_options(self.options(partitions))
            .with_schema(Arc::new(Schema::new(fields)));
        let listing = Arc::new(ListingTable::try_new(config)?);
        let plan = LogicalPlanBuilder::scan(RAW, provider_as_source(listing), None)?.project(projection)?.build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}
