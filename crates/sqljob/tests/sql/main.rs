//! foggara-sql as a program: request files in, rows, answers and reasons out.

mod bench;
mod catalogue;
mod files;
mod forms;
mod functions;
mod limits;
mod refusals;
