//! The rows of an ended or running SQL job as the document of mrs-v2.md section 5. Rows in Parquet are read by `foggara-sql`, which
//! wrote them; rows that Spark wrote as lines are read here. Either way nothing is held in memory.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use foggara_domain::sql::{SqlAnswer, SqlStatement};
use serde_json::{Map, Value, json};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadBuf},
    process::{Child, ChildStdout, Command},
};

use super::super::{LocalSettings, find};
use crate::Results;

/// Bytes on their way from the writer of the document to its reader.
const PIPE: usize = 64 * 1024;

/// The results in a folder; nothing when no job wrote any.
pub(in super::super) async fn of(settings: &LocalSettings, folder: &Path) -> io::Result<Option<Results>> {
    let text = match tokio::fs::read(folder.join("answer.json")).await {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let answer: SqlAnswer = serde_json::from_slice(&text)?;
    let is_parquet =
        |statement: &SqlStatement| statement.file.as_deref().is_some_and(|file| file.ends_with(".parquet"));
    if answer.statements.iter().any(is_parquet) {
        let body = Box::new(Program::start(settings, folder)?);
        return Ok(Some(Results { answer, body }));
    }
    let (mut writer, reader) = tokio::io::duplex(PIPE);
    let (folder, statements) = (folder.to_owned(), answer.statements.clone());
    tokio::spawn(async move {
        // A reader that went away ends the writing; a file that cannot be read cuts the document, which no client takes for whole.
        if let Err(error) = write(&mut writer, &folder, &statements).await {
            tracing::warn!(folder = %folder.display(), "results were not read to their end: {error}");
        }
    });
    Ok(Some(Results { answer, body: Box::new(reader) }))
}

async fn write(out: &mut (impl AsyncWrite + Unpin), folder: &Path, statements: &[SqlStatement]) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    out.write_all(b"{\"sql_results\":{").await?;
    for (at, statement) in statements.iter().enumerate() {
        if at > 0 {
            out.write_all(b",").await?;
        }
        out.write_all(format!("\"{at}\":[").as_bytes()).await?;
        match (&statement.file, &statement.columns) {
            (Some(file), Some(columns)) => rows(&mut out, &folder.join(file), columns).await?,
            _ => out.write_all(json!({"result": "succeed"}).to_string().as_bytes()).await?,
        }
        out.write_all(b"]").await?;
    }
    out.write_all(b"}}").await?;
    out.flush().await
}

/// Each line is an array of strings and nulls.
async fn rows(out: &mut (impl AsyncWrite + Unpin), file: &PathBuf, columns: &[String]) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(file).await?).lines();
    let mut first = true;
    while let Some(line) = lines.next_line().await? {
        let values: Vec<Value> = serde_json::from_str(&line)?;
        let row: Map<String, Value> = columns.iter().cloned().zip(values).collect();
        if !std::mem::take(&mut first) {
            out.write_all(b",").await?;
        }
        out.write_all(Value::Object(row).to_string().as_bytes()).await?;
    }
    Ok(())
}

/// `foggara-sql results`; it ends with its reader.
struct Program {
    _child: Child,
    out: ChildStdout,
}

impl Program {
    fn start(settings: &LocalSettings, folder: &Path) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, find::SQL_MISSING);
        let program = find::sql_program(settings).ok_or_else(missing)?;
        let mut child = Command::new(program)
            .arg("results")
            .arg("--folder")
            .arg(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output of foggara-sql"))?;
        Ok(Self { _child: child, out })
    }
}

impl tokio::io::AsyncRead for Program {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.out).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(columns: Option<&[&str]>, file: Option<&str>) -> SqlStatement {
        SqlStatement {
            kind: "SELECT".to_owned(),
            columns: columns.map(|columns| columns.iter().map(|name| (*name).to_owned()).collect()),
            rows: 0,
            truncated: false,
            file: file.map(str::to_owned),
            seconds: 0.0,
        }
    }

    #[tokio::test]
    async fn lines_become_the_document() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("1.jsonl"), "[\"1\",null]\n[\"2\",\"\\\"q\\\"\"]\n").expect("written");
        let statements = [statement(None, None), statement(Some(&["a", "b"]), Some("1.jsonl"))];
        let mut out = Vec::new();
        write(&mut out, dir.path(), &statements).await.expect("written");
        let document: Value = serde_json::from_slice(&out).expect("JSON");
        let wanted = json!({"sql_results": {
            "0": [{"result": "succeed"}],
            "1": [{"a": "1", "b": null}, {"a": "2", "b": "\"q\""}],
        }});
        assert_eq!(document, wanted);
    }
}
