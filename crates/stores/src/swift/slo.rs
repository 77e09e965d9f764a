//! Static large objects: a manifest, and the segments that it names.

use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::client::{Ask, Dialog, header};
use crate::StoreError;

/// Ends the names of containers that hold nothing but segments: ours, those of Swift's own client and of its S3 API.
const OF_SEGMENTS: [&str; 2] = ["_segments", "+segments"];

/// A segment as a manifest names it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Segment {
    /// `/container/object`
    name: String,
    /// Whether it is a manifest itself.
    #[serde(default)]
    sub_slo: bool,
}

impl Segment {
    /// One that was just written.
    pub fn of(container: &str, object: &str) -> Self {
        Self { name: format!("/{container}/{object}"), sub_slo: false }
    }

    fn place(&self) -> Option<(&str, &str)> {
        self.name.trim_start_matches('/').split_once('/')
    }

    /// Whether its name begins so.
    pub fn is_below(&self, container: &str, prefix: &str) -> bool {
        self.place().is_some_and(|(place, name)| place == container && name.starts_with(prefix))
    }

    /// Whether it is nobody's object but a manifest's.
    fn is_only_that(&self) -> bool {
        let (Some((container, _)), name) = (self.place(), OF_SEGMENTS) else { return false };
        name.iter().any(|end| container.ends_with(end))
    }
}

/// The container that ours go to.
pub(super) fn container_of(container: &str) -> String {
    format!("{container}{}", OF_SEGMENTS[0])
}

/// The segments that would lose their purpose with the object of the dialog's url; nothing when it is not there or no manifest.
/// Objects that somebody put together from a container of data stay: they are somebody's data.
pub(super) async fn segments(dialog: &Dialog) -> Result<Vec<Segment>, StoreError> {
    let answer = dialog.ask(dialog.about(Method::HEAD)).await?;
    let is_manifest =
        header(answer.headers(), "x-static-large-object").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    match answer.status() {
        status if status.is_success() && is_manifest => {}
        status if status.is_success() || status == StatusCode::NOT_FOUND => return Ok(Vec::new()),
        _ => return Err(dialog.unexpected(&answer, "a question about an object")),
    }
    let answer = dialog.ask(dialog.about(Method::GET).query("multipart-manifest", "get")).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(Vec::new());
    }
    if !answer.status().is_success() {
        return Err(dialog.unexpected(&answer, "a question about a manifest"));
    }
    let segments: Vec<Segment> = answer.json().await.map_err(|_| {
        StoreError::Unreachable(format!("{}: Swift's manifest broke off or cannot be read", dialog.target.name()))
    })?;
    Ok(segments.into_iter().filter(Segment::is_only_that).collect())
}

/// Removes segments. One that is gone already is fine.
pub(super) async fn remove(dialog: &Dialog, segments: &[Segment]) -> Result<(), StoreError> {
    for segment in segments {
        let Some((container, object)) = segment.place() else { continue };
        let mut ask = Ask::new(Method::DELETE, container, object);
        if segment.sub_slo {
            ask = ask.query("multipart-manifest", "delete");
        }
        let answer = dialog.ask(ask).await?;
        check_removed(dialog, &answer)?;
    }
    Ok(())
}

/// Whether an object is gone now.
pub(super) fn check_removed(dialog: &Dialog, answer: &Response) -> Result<(), StoreError> {
    match answer.status() {
        status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
        _ => Err(dialog.unexpected(answer, "a removal")),
    }
}
