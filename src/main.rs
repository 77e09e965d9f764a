//! Reads the command line and starts one subcommand; nothing else.

mod cmd;
mod config;

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The processes of jobs need no runtime and no command line parser.
    if let Some(code) = foggara_engines::local::run_hidden(&args) {
        return code;
    }
    if let Some(code) = cmd::distcp::run_hidden(&args) {
        return code;
    }
    cmd::run()
}
