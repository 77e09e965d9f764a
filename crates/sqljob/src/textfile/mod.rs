//! Delimited text as Hive and Spark read and write it, line by line. DataFusion's CSV leaves empty lines out, refuses lines with a
//! field too many and knows no escapes without quotes.

mod line;
mod read;
mod write;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::Session,
    common::{GetExt, Statistics},
    datasource::{
        file_format::{FileFormat, FileFormatFactory, file_compression_type::FileCompressionType},
        physical_plan::{FileScanConfig, FileSinkConfig, FileSource},
        sink::DataSinkExec,
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    error::Result,
    physical_expr::LexRequirement,
    physical_plan::ExecutionPlan,
};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::{catalogue::TextOptions, fault::Fault};

/// A form of delimited text; its columns are text.
#[derive(Debug, Clone)]
pub struct TextFile(pub Arc<TextOptions>);

impl GetExt for TextFile {
    /// Of the files that it writes.
    fn get_ext(&self) -> String {
        (if self.0.quote.is_some() { "csv" } else { "txt" }).to_owned()
    }
}

impl FileFormatFactory for TextFile {
    fn create(&self, _state: &dyn Session, _options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        Ok(Arc::new(self.clone()))
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(self.clone())
    }
}

/// Bytes that are looked at for the first line.
const FIRST: u64 = 1 << 20;

#[async_trait]
impl FileFormat for TextFile {
    fn get_ext(&self) -> String {
        GetExt::get_ext(self)
    }

    fn get_ext_with_compression(&self, _compression: &FileCompressionType) -> Result<String> {
        Ok(GetExt::get_ext(self))
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        None
    }

    /// Names from the first line that is not empty, as Spark does: its fields, or `_c0` and so on without a header.
    async fn infer_schema(
        &self,
        _state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        for object in objects.iter().filter(|object| object.size > 0) {
            let bytes = store.get_range(&object.location, 0..object.size.min(FIRST)).await?;
            plain(object.location.filename().unwrap_or("")).map_err(Fault::carried)?;
            let bytes = bytes.strip_prefix(read::MARK).unwrap_or(&bytes);
            let Some(first) = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.is_empty()) else {
                continue;
            };
            let first = line::Fields::of(first, &self.0).map_err(Fault::carried)?;
            let fields = first.into_iter().enumerate().map(|(index, name)| {
                let name = name.filter(|name| self.0.header && !name.is_empty()).unwrap_or(format!("_c{index}"));
                Field::new(name, DataType::Utf8, true)
            });
            return Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
        }
        Ok(Arc::new(Schema::empty()))
    }

    async fn infer_stats(
        &self,
        _state: &dyn Session,
        _store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        _object: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&schema))
    }

    async fn create_physical_plan(&self, _state: &dyn Session, conf: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(DataSourceExec::from_data_source(conf))
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        _state: &dyn Session,
        conf: FileSinkConfig,
        order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sink = Arc::new(write::Sink::new(conf, Arc::clone(&self.0)));
        Ok(Arc::new(DataSinkExec::new(input, sink, order)))
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(read::Source::new(schema, Arc::clone(&self.0)))
    }
}

/// Refuses files that are compressed: their bytes are no text.
///
/// # Errors
/// The name says that it is one.
pub fn plain(name: &str) -> Result<(), Fault> {
    const ENDINGS: [&str; 9] = [".gz", ".bz2", ".deflate", ".zst", ".lz4", ".lzo", ".snappy", ".xz", ".zip"];
    let lower = name.to_ascii_lowercase();
    if ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return Err(Fault::new(format!("{name} is compressed, which text is not read from here"))
            .hint("unpack it, or keep the data as Parquet"));
    }
    Ok(())
}

/// Reads a whole stream of lines; for tests of the parts.
#[cfg(test)]
async fn collect(
    chunks: Vec<&'static [u8]>,
    options: TextOptions,
    columns: usize,
) -> Result<Vec<datafusion::arrow::array::RecordBatch>> {
    use futures::{StreamExt, TryStreamExt};
    let bytes = futures::stream::iter(chunks).map(|chunk| Ok(bytes::Bytes::from_static(chunk))).boxed();
    let fields: Vec<Field> = (0..columns).map(|index| Field::new(format!("c{index}"), DataType::Utf8, true)).collect();
    let indices = (0..columns).collect();
    read::rows(bytes, Arc::new(options), Arc::new(Schema::new(fields)), indices, 2, true).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show;

    async fn read(chunks: Vec<&'static [u8]>, options: TextOptions, columns: usize) -> Vec<String> {
        let batches = collect(chunks, options, columns).await.unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let columns: Vec<_> = batch.columns().iter().map(|column| show::column(column).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let values = columns.iter().map(|column| {
                    use datafusion::arrow::array::Array;
                    if column.is_null(row) { "NULL".to_owned() } else { column.value(row).to_owned() }
                });
                rows.push(values.collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }

    #[tokio::test]
    async fn lines_are_cut_as_hive_cuts_them() {
        let options = TextOptions { delimiter: b',', escape: Some(b'\\'), ..TextOptions::default() };
        let chunks: Vec<&[u8]> = vec![b"a,b\r\n\nx", b",y,too many\n\\N,p\\,q\rlast,", b"\"1\""];
        assert_eq!(read(chunks, options, 2).await, ["a|b", "|NULL", "x|y", "NULL|p,q", "last|\"1\""]);
    }

    #[tokio::test]
    async fn quotes_are_read_as_spark_reads_them() {
        let options = TextOptions { header: true, ..TextOptions::csv() };
        let chunks: Vec<&[u8]> = vec![b"n,m\n\n\"a,b\",\"say \\\"x\\\"\"\n\"\",\n1\n\"it\"\"s\",2,3\n"];
        assert_eq!(read(chunks, options, 2).await, ["a,b|say \"x\"", "|NULL", "1|NULL", "it\"s|2"]);
        let broken = collect(vec![b"\"a\nb\",1\n"], TextOptions::csv(), 2).await.unwrap_err().to_string();
        assert!(broken.contains("does not end on its line"), "{broken}");
    }
}
