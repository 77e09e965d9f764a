//! `foggara-sql`: the embedded SQL engine, a program of its own. It runs one script and ends; a job of the server starts it.

mod answer;
mod catalogue;
mod dialect;
mod fault;
mod functions;
mod kind;
mod lateral;
mod memory;
mod operators;
mod parse;
mod places;
mod results;
mod rewrite;
mod run;
mod script;
mod session;
mod settings;
mod show;
mod staging;
mod statements;
mod store;
mod tables;
mod textfile;
mod write;

use std::{ffi::OsString, path::Path};

const USAGE: &str = "usage: foggara-sql run --request FILE | foggara-sql results --folder DIR | foggara-sql --version";

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the answers of a command line")]
fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap_or("")).collect();
    let code = match words.as_slice() {
        ["--version"] => {
            println!("foggara-sql {}", env!("CARGO_PKG_VERSION"));
            0
        }
        ["run", "--request", _] => run::run(Path::new(&arguments[2])),
        ["results", "--folder", _] => match results::stream(Path::new(&arguments[2])) {
            Ok(()) => 0,
            Err(fault) => {
                eprintln!("{fault}");
                1
            }
        },
        _ => {
            eprintln!("{USAGE}");
            2
        }
    };
    // Threads that still compute are not waited for.
    std::process::exit(code);
}
