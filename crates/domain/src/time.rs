//! Points in time: microseconds since 1970 in UTC, the form in which the database keeps them. The only file that names the
//! time crate.

use std::{fmt, time::Duration};

use jiff::{civil::DateTime, fmt::strtime, tz::Offset};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// `YYYY-MM-DDTHH:MM:SS`, UTC without zone, fraction dropped: Sahara's form (sahara-v1.1.md section 2).
    pub fn sahara(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%S")
    }

    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`: Keystone's form (iam.md section 2).
    pub fn keystone(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%S.%6fZ")
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ` (RFC 3339): the form of our own API.
    pub fn rfc3339(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%S.%3fZ")
    }

    /// Reads `YYYY-MM-DDTHH:MM:SS[.fraction][Z]` as UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.strip_suffix('Z').unwrap_or(text);
        let civil: DateTime = plain.parse().ok()?;
        Some(Self(Offset::UTC.to_timestamp(civil).ok()?.as_microsecond()))
    }

    /// Later by a duration; the end of time when that cannot be written.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier`; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn written(self, format: &str) -> String {
        strtime::format(format, self.civil()).unwrap_or_default()
    }

    fn civil(self) -> DateTime {
        let timestamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Offset::UTC.to_datetime(timestamp)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keystone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_the_wire() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(at.sahara(), "2023-11-14T22:13:20");
        assert_eq!(at.keystone(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(at.rfc3339(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::parse(&at.keystone()), Some(at));
    }
}
