//! From a plan to a command line and an environment, for programs and Java.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use foggara_domain::plan::Plan;

use super::{LocalSettings, attempt::create, distcp, find, hadoop, pig, spark, sql, streaming};
use crate::hive;

/// What to run and with which environment.
pub(crate) struct Command {
    /// The program with its absolute path, and its arguments.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// What is of no use when the job did not finish it.
    pub litter: Option<PathBuf>,
    /// Which of several engines was taken, in words for a person.
    pub note: Option<&'static str>,
}

/// Makes the command of a plan. The error is the reason with which the launch is refused. `fault` is where a process of ours can
/// say why it failed.
pub(super) fn of(
    plan: &Plan,
    settings: &LocalSettings,
    workspace: &Path,
    logs: &Path,
    tag: &str,
    fault: &Path,
) -> Result<Command, String> {
    let mut command = match plan {
        Plan::Program { main, args, env } => {
            let mut argv = program(main)?;
            argv.extend(args.iter().cloned());
            Command { argv, env: env.clone(), litter: None, note: None }
        }
        Plan::Java { class_path, main_class, java_opts, args, properties } => {
            java(settings, workspace, class_path, main_class, java_opts, args, properties)?
        }
        Plan::Spark { .. } => spark::command(plan, settings, workspace, tag)?,
        Plan::HadoopJar { jar, args, secret_args, properties } => {
            hadoop::jar_command(settings, workspace, jar, args, *secret_args, properties, fault)?
        }
        Plan::MapReduce { jars, input, output, properties } => {
            let job = hadoop::by_class(jars, &hadoop::url(input), &hadoop::url(output), properties);
            hadoop::class_command(settings, workspace, jars, &job, fault)?
        }
        Plan::Pig { .. } => pig::command(plan, settings, workspace)?,
        Plan::Sql { .. } => match &settings.hive {
            Some(hive) => hive::command(plan, hive, settings, workspace, logs, fault)?,
            None => sql::command(plan, settings, workspace, logs, tag, fault)?,
        },
        Plan::Streaming { env, output, .. } => {
            let unfinished = streaming::unfinished(Path::new(output), tag)?;
            let task = streaming::Task { plan: plan.clone(), unfinished: unfinished.clone(), fault: fault.to_owned() };
            let file = workspace.join(".streaming.json");
            let text = serde_json::to_vec(&task).map_err(|error| error.to_string())?;
            private(&file, &text)?;
            let program = settings.program.display().to_string();
            Command {
                argv: vec![program, "streaming".to_owned(), "--task".to_owned(), file.display().to_string()],
                env: env.clone(),
                litter: Some(unfinished),
                note: None,
            }
        }
        Plan::DistCp { .. } => distcp::command(plan, settings, workspace, fault)?,
        Plan::Storm { .. } | Plan::Flink { .. } => {
            return Err("jobs of this type do not run as processes of this host".to_owned());
        }
    };
    finish(&mut command, workspace)?;
    Ok(command)
}

/// Adds what every job finds in its environment, and refuses what the kernel would not take.
pub(super) fn finish(command: &mut Command, workspace: &Path) -> Result<(), String> {
    for (key, value) in surroundings(workspace) {
        command.env.entry(key.to_owned()).or_insert(value);
    }
    check(command)
}

/// What every job finds in its environment; nothing of the server's own (decision 23).
fn surroundings(workspace: &Path) -> [(&'static str, String); 4] {
    [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOME", workspace.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TZ", std::env::var("TZ").unwrap_or_else(|_| "UTC".to_owned())),
    ]
}

/// The kernel takes no zero bytes, and a name in the environment no `=`.
fn check(command: &Command) -> Result<(), String> {
    if let Some(argument) = command.argv.iter().find(|argument| argument.contains('\0')) {
        return Err(format!("an argument holds a zero byte: {argument:?}"));
    }
    for (key, value) in &command.env {
        if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("{key:?} cannot stand in the environment of a job"));
        }
    }
    Ok(())
}

/// A file of mode 0600.
pub(crate) fn private(path: &Path, text: &[u8]) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
    create(path).and_then(|mut file| file.write_all(text)).map_err(failed)
}

/// A script runs by its shebang, a binary as it is, anything else by /bin/sh.
fn program(main: &Path) -> Result<Vec<String>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", main.display());
    let mut head = [0u8; 256];
    let length = fs::File::open(main).and_then(|mut file| file.read(&mut head)).map_err(failed)?;
    let head = &head[..length];
    if !head.starts_with(b"#!") && !head.starts_with(b"\x7fELF") {
        return Ok(vec!["/bin/sh".to_owned(), main.display().to_string()]);
    }
    if head.starts_with(b"#!") {
        let line = head[2..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next().unwrap_or_default().to_owned();
        let name = main.file_name().unwrap_or_default().to_string_lossy();
        if line.ends_with('\r') {
            return Err(format!(
                "the lines of {name} end as on Windows (CR LF): the kernel cannot run '{interpreter}\\r'"
            ));
        }
        if !Path::new(&interpreter).exists() {
            return Err(format!(
                "the interpreter '{interpreter}' in the first line of {name} does not exist on this host"
            ));
        }
    }
    fs::set_permissions(main, Permissions::from_mode(0o700)).map_err(failed)?;
    Ok(vec![main.display().to_string()])
}

fn java(
    settings: &LocalSettings,
    workspace: &Path,
    class_path: &[PathBuf],
    main_class: &str,
    java_opts: &[String],
    args: &[String],
    properties: &BTreeMap<String, String>,
) -> Result<Command, String> {
    let java = find::java(settings).ok_or_else(|| find::JAVA_MISSING.to_owned())?;
    private(&workspace.join("job.properties"), spark::properties(properties).as_bytes())?;
    let mut argv = vec![java.display().to_string()];
    argv.extend(java_opts.iter().cloned());
    let class_path: Vec<String> = class_path.iter().map(|path| path.display().to_string()).collect();
    if let Some(path) = class_path.iter().find(|path| path.contains(':')) {
        return Err(format!("{path}: a library's name may hold no colon for Java"));
    }
    argv.extend(["-cp".to_owned(), class_path.join(":"), main_class.to_owned()]);
    argv.extend(args.iter().cloned());
    let home = find::java_home(&java).map(|home| ("JAVA_HOME".to_owned(), home.display().to_string()));
    Ok(Command { argv, env: home.into_iter().collect(), litter: None, note: None })
}
