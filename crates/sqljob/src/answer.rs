//! The answer of a script: rows to the standard output and into Parquet files, and `answer.json`.

use std::{
    fs::{self, File},
    io::{BufWriter, Stdout, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties},
};
use foggara_domain::sql::{SqlAnswer, SqlStatement};

use crate::{
    fault::{Fault, Outcome},
    show,
};

/// Rows of a row group: bounds what is held in memory.
const GROUP: usize = 32 * 1024;

/// Where the rows of one statement go.
pub struct Rows {
    names: Vec<String>,
    file: String,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    out: BufWriter<Stdout>,
    limit: u64,
    kept: u64,
    truncated: bool,
}

impl Rows {
    /// Begins the rows of a statement; at most `limit` are kept, 0 means all.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn new(folder: &Path, index: usize, names: Vec<String>, limit: u64) -> Outcome<Self> {
        let file = format!("{index}.parquet");
        let path = folder.join(&file);
        let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let made = File::create(&path).map_err(|error| Fault::io("make", &path, &error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let writer = ArrowWriter::try_new(made, Arc::clone(&schema), Some(properties))
            .map_err(|error| Fault::new(error.to_string()))?;
        Ok(Self {
            names,
            file,
            writer,
            schema,
            out: BufWriter::new(std::io::stdout()),
            limit,
            kept: 0,
            truncated: false,
        })
    }

    /// Takes rows; false when no more are wanted.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn push(&mut self, columns: &[ArrayRef], rows: usize) -> Outcome<bool> {
        let left = if self.limit == 0 { u64::MAX } else { self.limit - self.kept };
        let take = usize::try_from(left).map_or(rows, |left| left.min(rows));
        self.truncated |= take < rows;
        if take > 0 {
            let mut texts: Vec<StringArray> = Vec::with_capacity(columns.len());
            for column in columns {
                texts.push(show::column(&column.slice(0, take))?);
            }
            self.print(&texts, take)
                .map_err(|error| Fault::new(format!("cannot write to the standard output: {error}")))?;
            let texts = texts.into_iter().map(|text| -> ArrayRef { Arc::new(text) }).collect();
            let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(take));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), texts, &options);
            let batch = batch.map_err(|error| Fault::new(error.to_string()))?;
            self.writer.write(&batch).map_err(|error| Fault::new(format!("cannot keep the rows: {error}")))?;
            self.kept += take as u64;
        }
        Ok(!self.truncated)
    }

    fn print(&mut self, texts: &[StringArray], rows: usize) -> std::io::Result<()> {
        for row in 0..rows {
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    self.out.write_all(b"\t")?;
                }
                self.out.write_all(if text.is_null(row) { b"NULL" } else { text.value(row).as_bytes() })?;
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Ends the rows.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish(mut self, kind: String, seconds: f64) -> Outcome<SqlStatement> {
        self.out.flush().map_err(|error| Fault::new(format!("cannot write to the standard output: {error}")))?;
        self.writer.close().map_err(|error| Fault::new(format!("cannot keep the rows: {error}")))?;
        Ok(SqlStatement {
            kind,
            columns: Some(self.names),
            rows: self.kept,
            truncated: self.truncated,
            file: Some(self.file),
            seconds,
        })
    }
}

/// Writes `answer.json`, whole at each moment.
///
/// # Errors
/// It cannot be written.
pub fn write(folder: &Path, answer: &SqlAnswer) -> Outcome<()> {
    let path = folder.join("answer.json");
    let temporary = folder.join(".answer.json");
    let text = serde_json::to_vec(answer).map_err(|error| Fault::new(error.to_string()))?;
    fs::write(&temporary, text).map_err(|error| Fault::io("write", &temporary, &error))?;
    fs::rename(&temporary, &path).map_err(|error| Fault::io("write", &path, &error))
}

/// Removes rows and answers of an earlier run.
///
/// # Errors
/// The folder cannot be made.
pub fn prepare(folder: &PathBuf) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|error| Fault::io("make", folder, &error))?;
    for entry in fs::read_dir(folder).map_err(|error| Fault::io("read", folder, &error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "answer.json" || name.ends_with(".parquet") || name.ends_with(".jsonl") {
            fs::remove_file(entry.path()).map_err(|error| Fault::io("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}
