//! The contract of the database, on SQLite and on PostgreSQL: the same functions, the same answers.
//!
//! PostgreSQL is a private server of the test run (see `foggara_testkit::postgres`); without it these tests fail.

mod contract {
    pub mod access_keys;
    pub mod clusters;
    pub mod events;
    pub mod executions;
    pub mod fixture;
    pub mod lists;
    pub mod migrations;
    pub mod ownership;
    pub mod resources;
    pub mod trouble;
    pub mod wakes;
    pub mod writes;
}
