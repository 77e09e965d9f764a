//! Values as Hive and spark-sql print them.

use std::{fmt::Write, sync::Arc};

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray, StringBuilder},
        compute::cast,
        datatypes::{
            DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
            TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        },
        util::display::{ArrayFormatter, FormatOptions},
    },
    error::Result,
};

use crate::kind::TIMESTAMP;

/// A column as text; NULL stays NULL.
///
/// # Errors
/// A type that cannot be written.
pub fn column(array: &ArrayRef) -> Result<StringArray> {
    let array = simple(array)?;
    if let DataType::Utf8 = array.data_type() {
        return Ok(array.as_string::<i32>().clone());
    }
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            value(&array, row, false, &mut text)?;
            builder.append_value(&text);
        }
    }
    Ok(builder.finish())
}

/// Fewer types: views and large types become plain, all time stamps microseconds.
fn simple(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => cast(array, &DataType::Utf8)?,
        DataType::Dictionary(_, kind) => simple(&cast(array, kind)?)?,
        DataType::Timestamp(unit, zone) if *unit != TimeUnit::Microsecond || zone.is_some() => {
            cast(&cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, &TIMESTAMP)?
        }
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => cast(array, &DataType::Binary)?,
        DataType::Date64 => cast(array, &DataType::Date32)?,
        _ => Arc::clone(array),
    })
}

/// One value; inside of a list, a map or a struct as JSON.
fn value(array: &ArrayRef, row: usize, inside: bool, out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    macro_rules! plain {
        ($kind:ty) => {{
            write!(out, "{}", array.as_primitive::<$kind>().value(row)).ok();
        }};
    }
    match array.data_type() {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)).unwrap_or(()),
        DataType::Int8 => plain!(Int8Type),
        DataType::Int16 => plain!(Int16Type),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::UInt8 => plain!(UInt8Type),
        DataType::UInt16 => plain!(UInt16Type),
        DataType::UInt32 => plain!(UInt32Type),
        DataType::UInt64 => plain!(UInt64Type),
        DataType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            double(f64::from(number), &format!("{number:e}"), out);
        }
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            double(number, &format!("{number:e}"), out);
        }
        DataType::Decimal128(..) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Date32 => quoted(&date(array.as_primitive::<Date32Type>().value(row)), inside, out),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            quoted(&timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)), inside, out);
        }
        DataType::Utf8 => quoted(array.as_string::<i32>().value(row), inside, out),
        DataType::Binary => quoted(&String::from_utf8_lossy(array.as_binary::<i32>().value(row)), inside, out),
        DataType::List(_) => {
            let items = simple(&array.as_list::<i32>().value(row))?;
            out.push('[');
            for item in 0..items.len() {
                if item > 0 {
                    out.push(',');
                }
                value(&items, item, true, out)?;
            }
            out.push(']');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (simple(entries.column(0))?, simple(entries.column(1))?);
            out.push('{');
            for item in 0..entries.len() {
                if item > 0 {
                    out.push(',');
                }
                value(&keys, item, true, out)?;
                out.push(':');
                value(&values, item, true, out)?;
            }
            out.push('}');
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            out.push('{');
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quoted(field.name(), true, out);
                out.push(':');
                value(&simple(parts.column(index))?, row, true, out)?;
            }
            out.push('}');
        }
        _ => {
            let text = ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).to_string();
            quoted(&text, inside, out);
        }
    }
    Ok(())
}

fn quoted(text: &str, inside: bool, out: &mut String) {
    if inside {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push_str(text);
    }
}

/// A number as Java writes it: `1.0`, `1.0E10`. `digits` is the shortest form with an exponent, as Rust writes it.
fn double(number: f64, digits: &str, out: &mut String) {
    if number.is_nan() {
        out.push_str("NaN");
        return;
    }
    if number.is_infinite() {
        out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    if number == 0.0 {
        out.push_str(if number.is_sign_negative() { "-0.0" } else { "0.0" });
        return;
    }
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let plain = mantissa.replace('.', "");
    out.push_str(sign);
    if (-3..7).contains(&exponent) {
        if exponent < 0 {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            write!(out, "0.{}{plain}", "0".repeat(zeros)).ok();
        } else {
            let whole = usize::try_from(exponent + 1).unwrap_or(1);
            if plain.len() <= whole {
                write!(out, "{plain}{}.0", "0".repeat(whole - plain.len())).ok();
            } else {
                write!(out, "{}.{}", &plain[..whole], &plain[whole..]).ok();
            }
        }
    } else {
        let rest = if plain.len() > 1 { &plain[1..] } else { "0" };
        write!(out, "{}.{rest}E{exponent}", &plain[..1]).ok();
    }
}

/// Days since 1970.
fn date(days: i32) -> String {
    let start = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap_or_default();
    let days64 = u64::from(days.unsigned_abs());
    let date =
        if days >= 0 { start.checked_add_days(Days::new(days64)) } else { start.checked_sub_days(Days::new(days64)) };
    date.map_or_else(|| days.to_string(), |date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
}

/// Microseconds since 1970; the fraction without zeros at its end.
pub fn timestamp(micros: i64) -> String {
    let Some(time) = DateTime::from_timestamp_micros(micros) else { return micros.to_string() };
    let time = time.naive_utc();
    let mut text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    let fraction = micros.rem_euclid(1_000_000);
    if fraction > 0 {
        text += format!(".{fraction:06}").trim_end_matches('0');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java(number: f64) -> String {
        let mut out = String::new();
        double(number, &format!("{number:e}"), &mut out);
        out
    }

    /// Expected values: `Double.toString` of the Java documentation.
    #[test]
    fn doubles_are_written_as_java_does() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.9, "1.23456789E7"),
            (0.001, "0.001"),
            (0.000_123, "1.23E-4"),
            (-1e10, "-1.0E10"),
        ] {
            assert_eq!(java(number), text);
        }
    }

    #[test]
    fn times_lose_the_zeros_at_their_end() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00");
        assert_eq!(timestamp(1_500_000), "1970-01-01 00:00:01.5");
        assert_eq!(date(-1), "1969-12-31");
    }
}
