//! Waiting for a condition, never for time.

use std::time::Duration;

use anyhow::{Result, bail};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` gives something; an error after `within`, with what was waited for.
pub async fn until<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("not within {} s: {what}", within.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}
