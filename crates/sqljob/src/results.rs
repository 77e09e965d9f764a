//! The body of MRS's sql-result from an answer folder, as a stream.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Component, Path},
};

use datafusion::{arrow::array::Array, parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder};
use foggara_domain::sql::{SqlAnswer, SqlStatement};

use crate::{
    fault::{Fault, Outcome},
    show,
};

/// Writes the body to the standard output.
///
/// # Errors
/// An answer that is missing or broken.
pub fn stream(folder: &Path) -> Outcome<()> {
    let path = folder.join("answer.json");
    let text = std::fs::read(&path).map_err(|error| Fault::io("read", &path, &error))?;
    let answer: SqlAnswer =
        serde_json::from_slice(&text).map_err(|error| Fault::new(format!("{} is broken: {error}", path.display())))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut body = || -> Outcome<()> {
        put(&mut out, b"{\"sql_results\":{")?;
        for (index, statement) in answer.statements.iter().enumerate() {
            put(&mut out, format!("{}\"{index}\":[", if index > 0 { "," } else { "" }).as_bytes())?;
            rows(folder, statement, &mut out)?;
            put(&mut out, b"]")?;
        }
        put(&mut out, b"}}")
    };
    body()?;
    out.flush().map_err(|error| Fault::new(format!("cannot write: {error}")))
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Outcome<()> {
    out.write_all(bytes).map_err(|error| Fault::new(format!("cannot write: {error}")))
}

/// The rows of one statement.
fn rows(folder: &Path, statement: &SqlStatement, out: &mut impl Write) -> Outcome<()> {
    let (Some(file), Some(columns)) = (&statement.file, &statement.columns) else {
        return put(out, b"{\"result\":\"succeed\"}");
    };
    // The answer is a file too; it must not lead elsewhere.
    let name = Path::new(file);
    if !matches!(name.components().collect::<Vec<_>>().as_slice(), [Component::Normal(_)]) {
        return Err(Fault::new(format!("the answer names a file outside of its folder: {file}")));
    }
    let keys = keys(columns);
    let path = folder.join(name);
    let opened = File::open(&path).map_err(|error| Fault::io("open", &path, &error))?;
    let mut first = true;
    if file.ends_with(".jsonl") {
        for line in BufReader::new(opened).lines() {
            let line = line.map_err(|error| Fault::io("read", &path, &error))?;
            if line.trim().is_empty() {
                continue;
            }
            let values: Vec<Option<String>> = serde_json::from_str(&line)
                .map_err(|error| Fault::new(format!("{} is broken: {error}", path.display())))?;
            row(out, &mut first, &keys, values.iter().map(Option::as_deref))?;
        }
        return Ok(());
    }
    let broken = |error: String| Fault::new(format!("{} is broken: {error}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| broken(error.to_string()))?;
    let reader = reader.with_batch_size(4096).build().map_err(|error| broken(error.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        let columns = batch.columns().iter().map(show::column).collect::<Result<Vec<_>, _>>()?;
        for index in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.is_valid(index).then(|| column.value(index)));
            row(out, &mut first, &keys, values)?;
        }
    }
    Ok(())
}

fn row<'a>(
    out: &mut impl Write,
    first: &mut bool,
    keys: &[String],
    values: impl Iterator<Item = Option<&'a str>>,
) -> Outcome<()> {
    put(out, if *first { b"{" } else { b",{" })?;
    *first = false;
    for (index, (key, value)) in keys.iter().zip(values).enumerate() {
        put(out, format!("{}{key}:", if index > 0 { "," } else { "" }).as_bytes())?;
        let text = value.map_or_else(|| "null".to_owned(), |value| serde_json::Value::from(value).to_string());
        put(out, text.as_bytes())?;
    }
    put(out, b"}")
}

/// Names as JSON; one that stands twice gets a number, since an object holds it once.
fn keys(columns: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashMap::new();
    let named = columns.iter().map(|name| {
        let times = seen.entry(name).or_insert(0);
        *times += 1;
        let name = if *times > 1 { format!("{name}_{times}") } else { name.clone() };
        serde_json::Value::from(name).to_string()
    });
    named.collect()
}
