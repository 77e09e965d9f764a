//! Running a script: its statements in order, the limits, the end.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use foggara_domain::sql::{SqlAnswer, SqlRequest, SqlStatement};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    answer,
    fault::{self, Fault, Outcome},
    parse, script,
    session::Session,
    settings::Settings,
    staging,
    statements::{self, Given, Sink},
};

/// Exit code after SIGTERM, as shells count it.
const TERMINATED: i32 = 143;

/// Runs the script of a request file; tells the exit code.
pub fn run(request: &Path) -> i32 {
    let request = match read(request) {
        Ok(request) => Arc::new(request),
        Err(fault) => {
            say(&fault.to_string());
            return 1;
        }
    };
    static FAULT: OnceLock<()> = OnceLock::new();
    watch(&request, &FAULT);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build();
    let done = match runtime {
        Ok(runtime) => {
            let request = Arc::clone(&request);
            let done = runtime.block_on(async move { tokio::spawn(async move { statements(&request).await }).await });
            // What still runs on other threads is not waited for.
            runtime.shutdown_background();
            done.unwrap_or_else(|error| {
                Err(Fault::new(format!("the engine failed inside: {error}"))
                    .hint("this is a fault of the engine, not of the script"))
            })
        }
        Err(error) => Err(Fault::new(format!("cannot start threads: {error}"))),
    };
    fs::remove_dir_all(request.workspace.join(".spill")).ok();
    match done {
        Ok(()) => 0,
        Err(fault) => {
            if FAULT.set(()).is_err() {
                // The watch ends the program.
                std::thread::sleep(Duration::from_secs(5));
                return 1;
            }
            report(&request, &fault);
            1
        }
    }
}

fn read(path: &Path) -> Outcome<SqlRequest> {
    let text = fs::read(path).map_err(|error| Fault::io("read the request", path, &error))?;
    // The error of the library may hold a piece of the text, and with it a secret: only the place is said.
    serde_json::from_slice(&text).map_err(|error| {
        Fault::new(format!(
            "the request {} is not understood at line {}, column {}",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

#[allow(clippy::print_stderr, reason = "progress and reasons are for the log of the job")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// Writes the reason, whole at each moment.
fn report(request: &SqlRequest, fault: &Fault) {
    let line = fault.to_string();
    say(&line);
    let temporary = request.fault.with_extension("new");
    let written = fs::write(&temporary, format!("{line}\n")).and_then(|()| fs::rename(&temporary, &request.fault));
    if let Err(error) = written {
        say(&format!("cannot write {}: {error}", request.fault.display()));
    }
}

/// A thread of its own for signals and the time limit: an operator may hold all threads of the engine.
fn watch(request: &Arc<SqlRequest>, reported: &'static OnceLock<()>) {
    let request = Arc::clone(request);
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            ready.send(()).ok();
            let limit = async {
                match request.time_limit_seconds {
                    0 => std::future::pending().await,
                    seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
                }
            };
            let code = tokio::select! {
                _ = terminate.recv() => TERMINATED,
                _ = interrupt.recv() => TERMINATED,
                () = limit => {
                    if reported.set(()).is_err() {
                        return;
                    }
                    let fault = Fault::new(format!("over the time limit of {} seconds", request.time_limit_seconds));
                    report(&request, &fault.hint("raise the limit, or read less"));
                    1
                }
            };
            staging::clean();
            fs::remove_dir_all(request.workspace.join(".spill")).ok();
            std::process::exit(code);
        });
    });
    // Not before the signal would be seen.
    wait.recv_timeout(Duration::from_secs(5)).ok();
}

async fn statements(request: &SqlRequest) -> Outcome<()> {
    fault::set_memory(request.memory_bytes);
    answer::prepare(&request.results)?;
    fs::remove_file(&request.fault).ok();
    let pieces = script::split(request.script.strip_prefix('\u{feff}').unwrap_or(&request.script), request.dialect)?;
    if pieces.is_empty() {
        return Err(Fault::new("the script holds no statement"));
    }
    if pieces.len() > 1 && statements::one_only(request.dialect) {
        return Err(Fault::new("more than one statement")
            .at(pieces[1].start)
            .hint("this interface runs one statement at a time"));
    }
    let session = Session::new(request)?;
    staging::sweep_warehouse(&request.warehouse);
    let mut settings = Settings::new(request.settings.clone(), request.variables.clone())?;
    let mut answer = SqlAnswer { total: pieces.len(), statements: Vec::new() };
    answer::write(&request.results, &answer)?;
    for (index, piece) in pieces.iter().enumerate() {
        let begun = Instant::now();
        let piece = script::substitute(piece, &settings.variables, &settings.values)?;
        let kind = parse::kind(&piece);
        let sink = Sink { folder: &request.results, index, limit: request.result_rows };
        let order = parse::parse(&piece, request.dialect).map_err(|fault| fault.at(piece.start))?;
        let given =
            statements::run(&session, order, &mut settings, &sink).await.map_err(|fault| fault.at(piece.start))?;
        let seconds = begun.elapsed().as_secs_f64();
        answer.statements.push(match given {
            Given::Nothing => {
                SqlStatement { kind: kind.clone(), columns: None, rows: 0, truncated: false, file: None, seconds }
            }
            Given::Rows(rows) => rows.finish(kind.clone(), seconds)?,
        });
        answer::write(&request.results, &answer)?;
        let cut = answer.statements.last().is_some_and(|statement| statement.truncated);
        let more = if cut { format!(", cut after {} rows", request.result_rows) } else { String::new() };
        say(&format!("statement {} of {}: {kind}, {seconds:.1} s{more}", index + 1, pieces.len()));
    }
    Ok(())
}
