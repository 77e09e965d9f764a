//! The catalogue of a project: databases and tables that outlive the job.

pub mod definition;
pub mod folder;
pub mod provider;

pub use definition::{Column, Format, Kind, Table, TextOptions, View};
pub use folder::Catalogue;
