//! Batches of text columns into files of lines.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch, StringArray},
        datatypes::SchemaRef,
    },
    common::runtime::SpawnedTask,
    datasource::{
        file_format::{
            file_compression_type::FileCompressionType,
            write::{BatchSerializer, demux::DemuxedStreamReceiver, orchestration::spawn_writer_tasks_and_join},
        },
        physical_plan::{FileSink, FileSinkConfig},
        sink::DataSink,
    },
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{DisplayAs, DisplayFormatType},
};
use object_store::ObjectStore;

use super::line::put;
use crate::{catalogue::TextOptions, fault::Fault};

/// Where the lines go.
pub struct Sink {
    config: FileSinkConfig,
    options: Arc<TextOptions>,
}

impl Sink {
    /// From what DataFusion says of the place.
    pub fn new(config: FileSinkConfig, options: Arc<TextOptions>) -> Self {
        Self { config, options }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("options", &self.options).finish_non_exhaustive()
    }
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
}

#[async_trait]
impl FileSink for Sink {
    fn config(&self) -> &FileSinkConfig {
        &self.config
    }

    async fn spawn_writer_tasks_and_join(
        &self,
        context: &Arc<TaskContext>,
        demux: SpawnedTask<Result<()>>,
        files: DemuxedStreamReceiver,
        store: Arc<dyn ObjectStore>,
    ) -> Result<u64> {
        let serializer = Arc::new(Serializer(Arc::clone(&self.options)));
        let plain = FileCompressionType::UNCOMPRESSED;
        spawn_writer_tasks_and_join(context, serializer, plain, None, store, demux, files).await
    }
}

#[async_trait]
impl DataSink for Sink {
    fn schema(&self) -> &SchemaRef {
        self.config.output_schema()
    }

    async fn write_all(&self, data: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        FileSink::write_all(self, data, context).await
    }
}

struct Serializer(Arc<TextOptions>);

impl BatchSerializer for Serializer {
    fn serialize(&self, batch: RecordBatch, initial: bool) -> Result<Bytes> {
        let options = &*self.0;
        let mut out = Vec::with_capacity(4096);
        if initial && options.header {
            for (index, field) in batch.schema_ref().fields().iter().enumerate() {
                if index > 0 {
                    out.push(options.delimiter);
                }
                put(&mut out, Some(field.name()), options).map_err(Fault::carried)?;
            }
            out.push(b'\n');
        }
        let columns: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(options.delimiter);
                }
                let value = column.is_valid(row).then(|| column.value(row));
                put(&mut out, value, options).map_err(Fault::carried)?;
            }
            out.push(b'\n');
        }
        Ok(Bytes::from(out))
    }
}
