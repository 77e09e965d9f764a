//! Files of lines as batches of text columns.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder},
        datatypes::SchemaRef,
    },
    common::tree_node::TreeNodeRecursion,
    datasource::{
        listing::PartitionedFile,
        physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource},
        projection::{ProjectionOpener, SplitProjection},
        table_schema::TableSchema,
    },
    error::{DataFusionError, Result},
    physical_expr::projection::ProjectionExprs,
    physical_plan::{PhysicalExpr, metrics::ExecutionPlanMetricsSet},
};
use datafusion_datasource::boundary_stream::AlignedBoundaryStream;
use futures::{StreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt};

use super::{line::Fields, plain};
use crate::{catalogue::TextOptions, fault::Fault};

/// Bytes of a line; more are no text.
const LONGEST: usize = 256 << 20;

/// Byte order mark of UTF-8, which Hadoop's readers leave out.
pub const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The files of a table.
#[derive(Clone)]
pub struct Source {
    schema: TableSchema,
    options: Arc<TextOptions>,
    batch: usize,
    projection: SplitProjection,
    metrics: ExecutionPlanMetricsSet,
}

impl Source {
    /// All columns.
    pub fn new(schema: TableSchema, options: Arc<TextOptions>) -> Self {
        let projection = SplitProjection::unprojected(&schema);
        Self { schema, options, batch: 8192, projection, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl FileSource for Source {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let indices = self.projection.file_indices.clone();
        let schema = Arc::new(self.schema.file_schema().project(&indices)?);
        let opener = Opener { store, options: Arc::clone(&self.options), schema, indices, batch: self.batch };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), self.schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch, ..self.clone() })
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "text"
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for part in self.projection.source.iter() {
            if visit(&part.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

struct Opener {
    store: Arc<dyn ObjectStore>,
    options: Arc<TextOptions>,
    schema: SchemaRef,
    indices: Vec<usize>,
    batch: usize,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (store, options, schema) = (Arc::clone(&self.store), Arc::clone(&self.options), Arc::clone(&self.schema));
        let (indices, batch) = (self.indices.clone(), self.batch);
        Ok(Box::pin(async move {
            let location = file.object_meta.location.clone();
            plain(location.filename().unwrap_or("")).map_err(Fault::carried)?;
            let size = file.object_meta.size;
            let (bytes, first): (BoxStream<'static, Result<Bytes>>, bool) = match &file.range {
                Some(range) => {
                    let (start, end) = (range.start.max(0).cast_unsigned(), range.end.max(0).cast_unsigned());
                    let lines = AlignedBoundaryStream::new(store, location, start, end, size, b'\n').await?;
                    (lines.map(|chunk| chunk.map_err(DataFusionError::from)).boxed(), start == 0)
                }
                None => {
                    let found = store.get(&location).await?;
                    (found.into_stream().map(|chunk| chunk.map_err(DataFusionError::from)).boxed(), true)
                }
            };
            Ok(rows(bytes, options, schema, indices, batch, first))
        }))
    }
}

/// Cuts bytes into lines and those into the wanted fields.
pub fn rows(
    bytes: BoxStream<'static, Result<Bytes>>,
    options: Arc<TextOptions>,
    schema: SchemaRef,
    indices: Vec<usize>,
    batch: usize,
    first: bool,
) -> BoxStream<'static, Result<RecordBatch>> {
    let skip = first && options.header;
    let lines = Lines {
        columns: indices.iter().map(|_| StringBuilder::new()).collect(),
        options,
        schema,
        indices,
        batch,
        rest: Vec::new(),
        after_return: false,
        skip,
        first,
        rows: 0,
        ready: Vec::new(),
    };
    // One chunk of bytes may give several batches or none.
    futures::stream::unfold((bytes, Some(lines)), |(mut bytes, lines)| async move {
        let mut lines = lines?;
        loop {
            if !lines.ready.is_empty() {
                return Some((Ok(lines.ready.remove(0)), (bytes, Some(lines))));
            }
            let done = match bytes.next().await {
                Some(Ok(chunk)) => lines.take(&chunk),
                Some(Err(error)) => return Some((Err(error), (bytes, None))),
                None => {
                    return match lines.end() {
                        Ok(Some(last)) => Some((Ok(last), (bytes, None))),
                        Ok(None) => None,
                        Err(error) => Some((Err(error), (bytes, None))),
                    };
                }
            };
            if let Err(error) = done {
                return Some((Err(error), (bytes, None)));
            }
        }
    })
    .boxed()
}

struct Lines {
    options: Arc<TextOptions>,
    schema: SchemaRef,
    /// Of the wanted fields, ascending.
    indices: Vec<usize>,
    batch: usize,
    columns: Vec<StringBuilder>,
    rows: usize,
    /// The beginning of a line whose end was not seen.
    rest: Vec<u8>,
    /// Whether the last byte was a carriage return, which a line feed may follow.
    after_return: bool,
    /// Whether the next line is the header.
    skip: bool,
    /// Whether the next line is the first of the file.
    first: bool,
    ready: Vec<RecordBatch>,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> Result<()> {
        let mut chunk = chunk;
        if std::mem::take(&mut self.after_return) && chunk.first() == Some(&b'\n') {
            chunk = &chunk[1..];
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            if self.rest.is_empty() {
                self.line(&chunk[..end])?;
            } else {
                self.rest.extend_from_slice(&chunk[..end]);
                let line = std::mem::take(&mut self.rest);
                self.line(&line)?;
            }
            let carriage = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            if carriage {
                match chunk.first() {
                    Some(b'\n') => chunk = &chunk[1..],
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
        }
        self.rest.extend_from_slice(chunk);
        if self.rest.len() > LONGEST {
            return Err(Fault::new(format!("a line of text is longer than {LONGEST} bytes")).carried());
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let line = if std::mem::take(&mut self.first) { line.strip_prefix(MARK).unwrap_or(line) } else { line };
        // Hive makes a row of an empty line, Spark's CSV none.
        if (line.is_empty() && self.options.quote.is_some()) || std::mem::take(&mut self.skip) {
            return Ok(());
        }
        let options = Arc::clone(&self.options);
        let mut fields = Fields::new(line, &options);
        let mut index = 0;
        for (column, wanted) in self.columns.iter_mut().zip(&self.indices) {
            let mut there = true;
            while there && index <= *wanted {
                there = fields.next().map_err(Fault::carried)?;
                index += usize::from(there);
            }
            if there && index == *wanted + 1 && !fields.null {
                column.append_value(String::from_utf8_lossy(&fields.text));
            } else {
                column.append_null();
            }
        }
        self.rows += 1;
        if self.rows == self.batch {
            let batch = self.cut()?;
            self.ready.push(batch);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<RecordBatch>> {
        if !self.rest.is_empty() {
            let line = std::mem::take(&mut self.rest);
            self.line(&line)?;
        }
        if let Some(ready) = self.ready.pop() {
            return Ok(Some(ready));
        }
        if self.rows == 0 { Ok(None) } else { self.cut().map(Some) }
    }

    fn cut(&mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(|column| -> ArrayRef { Arc::new(column.finish()) }).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
