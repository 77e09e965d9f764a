//! Tests only: start the program, fake peers, a private PostgreSQL

pub mod postgres;
