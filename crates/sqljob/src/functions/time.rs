//! Dates and times. All times are UTC.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Date32Array, Int64Array, StringArray, StringBuilder, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
    },
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    pattern::{self, Pattern},
    scalar::Scalar,
};
use crate::fault::Fault;

const STAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The functions of this module. Those of one argument are CASTs and are put in their place before planning.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Scalar::udf("hive_date_format", &[STAMP, DataType::Utf8], 2, DataType::Utf8, date_format),
        Scalar::udf("hive_from_unixtime", &[DataType::Int64, DataType::Utf8], 2, DataType::Utf8, from_unixtime),
        Scalar::udf("hive_seconds", &[STAMP], 1, DataType::Int64, seconds),
        Scalar::udf("hive_parse_seconds", &[DataType::Utf8, DataType::Utf8], 2, DataType::Int64, parse_seconds),
        Scalar::udf("hive_parse_time", &[DataType::Utf8, DataType::Utf8], 2, STAMP, parse_time),
        Scalar::udf("hive_parse_day", &[DataType::Utf8, DataType::Utf8], 2, DataType::Date32, parse_day),
    ]
}

/// Days since 1970 of `2024-3-5`, also with a time behind it.
pub fn parse_date(text: &str) -> Option<i32> {
    let end = text.find([' ', 'T']).unwrap_or(text.len());
    let date = day(&text[..end])?;
    i32::try_from(date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days()).ok()
}

/// Year, month, day; month and day may be left out, as Spark allows.
fn day(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month = parts.next().map_or(Some(1), |part| part.parse().ok())?;
    let day = parts.next().map_or(Some(1), |part| part.parse().ok())?;
    if parts.next().is_some() { None } else { NaiveDate::from_ymd_opt(year, month, day) }
}

/// Microseconds since 1970 of `2024-03-05 10:20:30.5`, also without a time, with `T`, `Z` or an offset.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let Some(end) = text.find([' ', 'T']) else {
        return Some(day(text)?.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    };
    let date = day(&text[..end])?;
    let mut rest = text[end + 1..].trim();
    let mut offset = 0_i64;
    if let Some(before) = rest.strip_suffix('Z') {
        rest = before;
    } else if let Some(at) = rest.find(['+', '-']) {
        let (hours, minutes) = rest[at + 1..].split_once(':').unwrap_or((&rest[at + 1..], "0"));
        let shift = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
        offset = if rest.as_bytes()[at] == b'-' { -shift } else { shift };
        rest = &rest[..at];
    }
    let (clock, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut parts = clock.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    let second = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    if parts.next().is_some() || !fraction.chars().all(|ch| ch.is_ascii_digit()) {
        return None;
    }
    let micros: u32 = format!("{:0<6}", fraction.get(..6.min(fraction.len()))?).parse().ok()?;
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    Some(date.and_time(time).and_utc().timestamp_micros() - offset * 1_000_000)
}

/// Remembers the pattern of the last row.
#[derive(Default)]
struct Last(Option<(String, Pattern)>);

impl Last {
    fn read(&mut self, text: &str) -> Result<&Pattern> {
        if self.0.as_ref().is_none_or(|(known, _)| known != text) {
            self.0 = Some((text.to_owned(), pattern::read(text).map_err(Fault::carried)?));
        }
        self.0.as_ref().map(|(_, pattern)| pattern).ok_or_else(|| Fault::new("no pattern").carried())
    }
}

fn written(patterns: &StringArray, time: impl Fn(usize) -> Option<NaiveDateTime>) -> Result<ArrayRef> {
    let mut last = Last::default();
    let mut out = StringBuilder::new();
    for row in 0..patterns.len() {
        match time(row) {
            Some(time) if patterns.is_valid(row) => out.append_value(last.read(patterns.value(row))?.write(time)),
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn date_format(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let times = columns[0].as_primitive::<TimestampMicrosecondType>();
    written(columns[1].as_string(), |row| {
        times
            .is_valid(row)
            .then(|| DateTime::from_timestamp_micros(times.value(row)).map(|time| time.naive_utc()))
            .flatten()
    })
}

fn from_unixtime(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let seconds = columns[0].as_primitive::<Int64Type>();
    written(columns[1].as_string(), |row| {
        seconds
            .is_valid(row)
            .then(|| DateTime::from_timestamp(seconds.value(row), 0).map(|time| time.naive_utc()))
            .flatten()
    })
}

fn seconds(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let seconds: Int64Array =
        columns[0].as_primitive::<TimestampMicrosecondType>().unary(|micros| micros.div_euclid(1_000_000));
    Ok(Arc::new(seconds))
}

fn parsed(columns: &[ArrayRef]) -> Result<Vec<Option<NaiveDateTime>>> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut last = Last::default();
    (0..texts.len())
        .map(|row| {
            if texts.is_null(row) || patterns.is_null(row) {
                return Ok(None);
            }
            Ok(last.read(patterns.value(row))?.parse(texts.value(row)))
        })
        .collect()
}

fn parse_seconds(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let times: Int64Array = parsed(columns)?.into_iter().map(|time| Some(time?.and_utc().timestamp())).collect();
    Ok(Arc::new(times))
}

fn parse_time(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let times: TimestampMicrosecondArray =
        parsed(columns)?.into_iter().map(|time| Some(time?.and_utc().timestamp_micros())).collect();
    Ok(Arc::new(times))
}

fn parse_day(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let start = NaiveDate::default();
    let days: Date32Array = parsed(columns)?
        .into_iter()
        .map(|time| i32::try_from(time?.date().signed_duration_since(start).num_days()).ok())
        .collect();
    Ok(Arc::new(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert_eq!(parse_date("1970-1-2 10:00:00"), Some(1));
        assert_eq!(parse_date("2024-02-30"), None);
        assert_eq!(parse_timestamp("1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(parse_timestamp("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_timestamp("junk"), None);
    }
}
