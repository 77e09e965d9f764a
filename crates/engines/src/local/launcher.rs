//! Programs whose arguments hold secrets: everybody on the host can read a command line, so that a small launcher reads the
//! arguments from a file of mode 0600 and calls the program. Its source is `java/io/foggara/Launch.java`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::command::private;

/// The launcher's class.
pub(crate) const CLASS: &str = "io.foggara.Launch";
/// The launcher for Java, as javac makes it of its source.
pub(crate) const JAVA: &[u8] = include_bytes!("../../java/io/foggara/Launch.class");
/// The launcher for Python: the program's path and its arguments are the lines of a file, in Base64.
pub(crate) const PYTHON: &str = "\
import base64, os, runpy, sys
with open(sys.argv[1]) as file:
    sys.argv = [base64.b64decode(line).decode() for line in file.read().split('\\n')]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name='__main__')
";

/// Where the arguments lie.
pub(crate) fn words_file(workspace: &Path) -> PathBuf {
    workspace.join(".words")
}

/// Puts the launcher for Java and the arguments into the workspace; gives the folder for the class path. Without a class the main
/// class of the jar is called.
pub(crate) fn put(
    workspace: &Path,
    class: Option<&str>,
    jar: Option<&Path>,
    words: &[String],
) -> Result<PathBuf, String> {
    let folder = put_classes(workspace, &[("Launch.class", JAVA)])?;
    let jar = jar.map(|jar| jar.display().to_string()).unwrap_or_default();
    private(&words_file(workspace), java_words(class, &jar, words).as_bytes())?;
    Ok(folder)
}

/// Puts classes of the package `io.foggara` into the workspace; gives the folder for the class path.
pub(super) fn put_classes(workspace: &Path, classes: &[(&str, &[u8])]) -> Result<PathBuf, String> {
    let folder = workspace.join(".launcher");
    let package = folder.join("io/foggara");
    let write = |(name, bytes): &(&str, &[u8])| fs::write(package.join(name), bytes);
    let made = fs::create_dir_all(&package).and_then(|()| classes.iter().try_for_each(write));
    made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// Puts the launcher for Python and the arguments into the workspace; gives the launcher's path.
pub(crate) fn put_python(workspace: &Path, main: &Path, words: &[String]) -> Result<PathBuf, String> {
    let launcher = workspace.join(".launch.py");
    private(&launcher, PYTHON.as_bytes())?;
    private(&words_file(workspace), python_words(&main.display().to_string(), words).as_bytes())?;
    Ok(launcher)
}

/// What the launcher for Java reads. Without a class it calls the main class of the jar.
pub(crate) fn java_words(class: Option<&str>, jar: &str, words: &[String]) -> String {
    let mut lines = vec![class.unwrap_or_default().to_owned(), jar.to_owned()];
    lines.extend(words.iter().map(|word| STANDARD.encode(word)));
    lines.join("\n")
}

/// What the launcher for Python reads.
pub(crate) fn python_words(main: &str, words: &[String]) -> String {
    let lines: Vec<_> = std::iter::once(main).chain(words.iter().map(String::as_str)).collect();
    lines.iter().map(|word| STANDARD.encode(word)).collect::<Vec<_>>().join("\n")
}
