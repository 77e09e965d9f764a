//! Registered images (sahara-v1.1.md section 9). Our clusters are made of processes and need none; the registry is there because
//! clients keep theirs in it.

use crate::Timestamp;

/// An image that a project registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its id at the image service.
    pub id: String,
    /// Its name there; its id where there is no image service.
    pub name: String,
    /// Who logs in on it; nothing before it is registered.
    pub username: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// What it is for, each once.
    pub tags: Vec<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}
