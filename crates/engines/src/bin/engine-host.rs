//! The program that the contract suite gives to the local engine: the hidden subcommands and nothing else.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    foggara_engines::local::run_hidden(&args).unwrap_or(ExitCode::from(2))
}
