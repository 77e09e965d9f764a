//! What a main becomes on the cluster: a jar to upload, the class to call and its arguments. A jar goes as it is. A script of SQL
//! goes inside a jar of ours, whose class runs it: neither arguments nor settings, which Flink shows, hold any of it. A program in
//! Python is run by Flink's own driver, which reads it from the job's folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use foggara_domain::{job_type::flink::Kind, plan::Plan};

use super::archive;
use crate::{
    EngineError, Launch,
    hive::script,
    local::{launcher, private},
};

/// The class that runs a script, and what it is made of. Its source is `java/io/foggara/FlinkSql.java`.
const SQL: &str = "io.foggara.FlinkSql";
const SQL_CLASSES: [(&str, &[u8]); 2] = [
    ("io/foggara/FlinkSql.class", include_bytes!("../../java/io/foggara/FlinkSql.class")),
    ("io/foggara/FlinkSql$Wrong.class", include_bytes!("../../java/io/foggara/FlinkSql$Wrong.class")),
];
/// Flink's driver of programs in Python; it comes of its `opt` folder, whatever is uploaded.
const PYTHON: &str = "org.apache.flink.client.python.PythonDriver";
/// Calls the program with words that stand on no command line, and leaves behind why it failed.
const PYTHON_LAUNCHER: &str = "\
import base64, os, runpy, sys, traceback
words = sys.argv[1]
with open(words) as file:
    sys.argv = [base64.b64decode(line).decode() for line in file.read().split('\\n')]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
except Exception as error:
    traceback.print_exc()
    sys.stderr.flush()
    with open(words + '.fault', 'w', opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(''.join(traceback.format_exception_only(error)))
    sys.exit(1)
";

/// See the module.
pub struct Program {
    /// The jar.
    pub jar: Bytes,
    /// The class to call, unless the jar names it.
    pub class: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Further settings of Flink, which the job's own do not replace.
    pub settings: BTreeMap<String, String>,
    /// The jar holds a script, which may hold secrets: it is removed when the job was taken.
    pub is_script: bool,
    /// Where a program in Python leaves why it failed.
    pub fault: Option<PathBuf>,
}

/// Makes it. `python` is the Python that has `apache-flink` on the cluster, `prints` says whether users see what tasks print.
pub async fn of(launch: &Launch<'_>, python: Option<&Path>, prints: bool) -> Result<Program, EngineError> {
    let Some(Plan::Flink { main, libs, entry_class, args, .. }) = launch.plan else {
        return Err(EngineError::Refused("a Flink cluster runs Flink programs only".to_owned()));
    };
    let plain = Program {
        jar: Bytes::new(),
        class: entry_class.clone(),
        args: args.clone(),
        settings: BTreeMap::new(),
        is_script: false,
        fault: None,
    };
    match Kind::of(&main.to_string_lossy()) {
        Kind::Jar => Ok(Program { jar: Bytes::from(read(main).await?), ..plain }),
        Kind::Sql => {
            let args = if prints { vec![] } else { vec!["silent".to_owned()] };
            let jar = sql(main, libs).await?;
            Ok(Program { jar, class: Some(SQL.to_owned()), args, is_script: true, ..plain })
        }
        Kind::Python => {
            let python = python.ok_or_else(|| {
                EngineError::Refused(format!(
                    "{} is a program in Python, and the cluster names no Python that has apache-flink: the operator makes one by \
                     `python3 -m venv FOLDER && FOLDER/bin/pip install apache-flink==VERSION`, with the version of the cluster's \
                     Flink, and names FOLDER/bin/python as the setting flink.python",
                    name(main)
                ))
            })?;
            in_python(&launch.workspace, main, libs, args, python).map_err(EngineError::NotSent)
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

async fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    let refused = |error| EngineError::Refused(format!("the program cannot be read: {}: {error}", path.display()));
    tokio::fs::read(path).await.map_err(refused)
}

/// A script with what runs it. Flink takes jars below `lib` of a jar as the program's own.
async fn sql(main: &Path, libs: &[PathBuf]) -> Result<Bytes, EngineError> {
    let text = String::from_utf8(read(main).await?);
    let text = text.map_err(|_| EngineError::Refused(format!("{} is no text in UTF-8", name(main))))?;
    let statements = script::split(&text, script::Backslash::Plain);
    if statements.is_empty() {
        return Err(EngineError::Refused(format!("{} has no statement", name(main))));
    }
    // Comments before a statement are of no use there, and hide its first word.
    let lines: Vec<_> = statements.into_iter().map(|statement| STANDARD.encode(script::bare(statement))).collect();
    let mut entries = vec![("statements".to_owned(), lines.join("\n").into_bytes())];
    entries.extend(SQL_CLASSES.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    for (number, lib) in libs.iter().enumerate() {
        entries.push((format!("lib/{number}-{}", name(lib)), read(lib).await?));
    }
    Ok(Bytes::from(archive::jar(&entries).map_err(EngineError::Refused)?))
}

fn in_python(
    workspace: &Path,
    main: &Path,
    libs: &[PathBuf],
    words: &[String],
    python: &Path,
) -> Result<Program, String> {
    let starter = workspace.join(".flink.py");
    private(&starter, PYTHON_LAUNCHER.as_bytes())?;
    let file = launcher::words_file(workspace);
    private(&file, launcher::python_words(&main.display().to_string(), words).as_bytes())?;
    // The words are for main, the settings for functions in tasks: the driver does not hand its words on (measured).
    let python = python.display().to_string();
    let mut args = vec!["-pyclientexec".to_owned(), python.clone()];
    let mut settings = BTreeMap::from([("python.executable".to_owned(), python)]);
    if !libs.is_empty() {
        let paths: Vec<_> = libs.iter().map(|lib| lib.display().to_string()).collect();
        args.extend(["-pyfs".to_owned(), paths.join(",")]);
        settings.insert("python.files".to_owned(), paths.join(","));
    }
    args.extend(["-py".to_owned(), starter.display().to_string(), file.display().to_string()]);
    let mut fault = file.into_os_string();
    fault.push(".fault");
    // Something has to be uploaded.
    let jar = archive::jar(&[("python".to_owned(), Vec::new())])?;
    let class = Some(PYTHON.to_owned());
    Ok(Program { jar: jar.into(), class, args, settings, is_script: false, fault: Some(fault.into()) })
}
