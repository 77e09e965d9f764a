//! CAST as Hive and Spark mean it: what cannot be read becomes NULL, numbers are cut towards zero.

use std::{str::FromStr, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array, PrimitiveArray, StringArray},
        compute::{CastOptions, cast_with_options},
        datatypes::{
            DataType, Date32Type, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type,
            Int32Type, Int64Type, TimestampMicrosecondType,
        },
        util::display::FormatOptions,
    },
    common::ScalarValue,
    error::Result,
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::time::{parse_date, parse_timestamp};
use crate::{
    fault::Fault,
    kind::{self, TIMESTAMP},
    show,
};

/// The functions of this module.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let signature = Signature::user_defined(Volatility::Immutable);
    vec![
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Cast, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Text, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::TextOrList, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Number, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Stamp, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Clock, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Digits, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Whole, signature: signature.clone() })),
        Arc::new(ScalarUDF::new_from_impl(Cast { mode: Mode::Words, signature })),
    ]
}

/// `hive_cast(value, 'type')`, `hive_text(value)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    mode: Mode,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Mode {
    /// To the type in the second argument.
    Cast,
    /// An argument that has to be text.
    Text,
    /// An argument that has to be text or a list of it.
    TextOrList,
    /// An argument that has to be a number: text becomes DOUBLE.
    Number,
    /// A time stamp; text must have the one form that `unix_timestamp` reads.
    Stamp,
    /// A time stamp, or text with a time alone.
    Clock,
    /// A rounded number: a decimal keeps as many digits behind the point as the second argument says.
    Digits,
    /// A number without a fraction, rounded half up, as Presto casts it.
    Whole,
    /// Text, as Presto casts to it.
    Words,
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        match self.mode {
            Mode::Cast => "hive_cast",
            Mode::Text => "hive_text",
            Mode::TextOrList => "hive_text_or_list",
            Mode::Number => "hive_number",
            Mode::Stamp => "hive_stamp",
            Mode::Clock => "hive_clock",
            Mode::Digits => "hive_digits",
            Mode::Whole => "hive_whole",
            Mode::Words => "hive_words",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        Ok(kinds.to_vec())
    }

    fn return_type(&self, _kinds: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let from = args.arg_fields[0].data_type();
        let kind = match self.mode {
            Mode::Cast => match args.scalar_arguments.get(1) {
                Some(Some(ScalarValue::Utf8(Some(text)))) => kind::parse(text).map_err(Fault::carried)?,
                _ => return Err(Fault::new("CAST needs a type").carried()),
            },
            Mode::Number => match from {
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => DataType::Float64,
                other => other.clone(),
            },
            Mode::Stamp | Mode::Clock => TIMESTAMP,
            Mode::Whole => match from {
                DataType::Decimal128(precision, scale) => {
                    let whole = i16::from(*precision) - i16::from(*scale) + 1;
                    DataType::Decimal128(u8::try_from(whole.clamp(1, 38)).unwrap_or(38), 0)
                }
                other => other.clone(),
            },
            Mode::Words
                if from.is_floating() || from.is_nested() || from.is_temporal() && *from != DataType::Date32 =>
            {
                return Err(Fault::new(format!("CAST of {} to VARCHAR does not run here", kind::show(from)))
                    .hint("Presto writes such values in a form of its own; cast to DECIMAL or DATE first")
                    .carried());
            }
            Mode::Words => DataType::Utf8,
            Mode::Digits => match (from, args.scalar_arguments.get(1)) {
                (DataType::Decimal128(precision, scale), Some(Some(ScalarValue::Int64(Some(digits))))) => {
                    let kept = i8::try_from((*digits).clamp(0, 38)).unwrap_or(0);
                    // One digit more in front: 9.5 becomes 10.
                    let whole = i16::from(*precision) - i16::from(*scale) + 1;
                    let kept = kept.min(*scale);
                    DataType::Decimal128(u8::try_from((whole + i16::from(kept)).clamp(1, 38)).unwrap_or(38), kept)
                }
                (other, _) => other.clone(),
            },
            _ if matches!(from, DataType::Binary) => {
                return Err(Fault::new("an argument of the type binary where text is wanted")
                    .hint("CAST(x AS STRING)")
                    .carried());
            }
            Mode::TextOrList if matches!(from, DataType::List(_)) => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
            _ if from.is_nested() => {
                return Err(Fault::new(format!("an argument of the type {} where text is wanted", kind::show(from)))
                    .hint("this function takes text only here")
                    .carried());
            }
            _ => DataType::Utf8,
        };
        let day = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Date64);
        if (day(from) && kind.is_numeric()) || (from.is_numeric() && day(&kind)) {
            return Err(Fault::new(format!("{} cannot be cast to {}", kind::show(from), kind::show(&kind)))
                .hint("datediff and date_add count days")
                .carried());
        }
        if from.is_nested() != kind.is_nested() && kind != DataType::Utf8 && *from != DataType::Null {
            return Err(Fault::new(format!("{} cannot be cast to {}", kind::show(from), kind::show(&kind))).carried());
        }
        Ok(Arc::new(Field::new(self.name(), kind, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = args.return_field.data_type();
        let convert = |array: &ArrayRef| -> Result<ArrayRef> {
            match self.mode {
                Mode::Stamp if *array.data_type() == DataType::Utf8 => stamps(array.as_string::<i32>(), strict),
                Mode::Clock if *array.data_type() == DataType::Utf8 => stamps(array.as_string::<i32>(), clock),
                Mode::Whole if *array.data_type() == DataType::Float64 => {
                    let numbers: PrimitiveArray<Float64Type> = array.as_primitive::<Float64Type>().unary(f64::round);
                    Ok(Arc::new(numbers))
                }
                Mode::Whole if *array.data_type() == DataType::Float32 => {
                    let numbers: PrimitiveArray<Float32Type> = array.as_primitive::<Float32Type>().unary(f32::round);
                    Ok(Arc::new(numbers))
                }
                _ => convert(array, kind),
            }
        };
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(convert(array)?)),
            ColumnarValue::Scalar(value) => {
                let array = convert(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
        }
    }
}

fn stamps(texts: &StringArray, read: impl Fn(&str) -> Option<i64>) -> Result<ArrayRef> {
    let values: PrimitiveArray<TimestampMicrosecondType> =
        texts.iter().map(|text| text.and_then(|text| read(text.trim()))).collect();
    Ok(Arc::new(values))
}

/// `2024-03-05 10:20:30` and nothing else.
fn strict(text: &str) -> Option<i64> {
    let clock = text.split_once(' ')?.1;
    (clock.matches(':').count() == 2 && clock.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'))
        .then(|| parse_timestamp(text))?
}

/// A time stamp, or `10:20:30` of any day.
fn clock(text: &str) -> Option<i64> {
    parse_timestamp(text).or_else(|| text.contains(':').then(|| parse_timestamp(&format!("1970-01-01 {text}")))?)
}

/// Converts a column.
///
/// # Errors
/// Types between which there is no way.
pub fn convert(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if array.data_type() == kind {
        return Ok(Arc::clone(array));
    }
    if *kind == DataType::Utf8 {
        return Ok(Arc::new(show::column(array)?));
    }
    if matches!(array.data_type(), DataType::Utf8View | DataType::LargeUtf8) {
        return convert(&datafusion::arrow::compute::cast(array, &DataType::Utf8)?, kind);
    }
    if *array.data_type() == DataType::Utf8 && !kind.is_nested() {
        return from_text(array.as_string::<i32>(), kind);
    }
    let options = CastOptions { safe: true, format_options: FormatOptions::default() };
    match (array.data_type(), kind) {
        // 2.5 as DECIMAL(1,0) is 3, and a number that does not fit into a decimal is NULL: so does the kernel.
        (from, to) if from.is_floating() && to.is_integer() => {
            let numbers = cast_with_options(array, &DataType::Float64, &options)?;
            Ok(from_float(numbers.as_primitive::<Float64Type>(), to))
        }
        (from, to) if from.is_signed_integer() && to.is_signed_integer() => {
            let numbers = cast_with_options(array, &DataType::Int64, &options)?;
            Ok(narrow(numbers.as_primitive::<Int64Type>(), to))
        }
        (DataType::Timestamp(..), to) if to.is_numeric() => {
            let micros = cast_with_options(array, &TIMESTAMP, &options)?;
            let seconds: PrimitiveArray<Float64Type> =
                micros.as_primitive::<TimestampMicrosecondType>().unary(|micros| micros as f64 / 1e6);
            if to.is_integer() {
                let whole: PrimitiveArray<Int64Type> =
                    micros.as_primitive::<TimestampMicrosecondType>().unary(|micros| micros.div_euclid(1_000_000));
                return Ok(cast_with_options(&whole, to, &options)?);
            }
            Ok(cast_with_options(&seconds, to, &options)?)
        }
        (from, DataType::Timestamp(..)) if from.is_numeric() => {
            let seconds = cast_with_options(array, &DataType::Float64, &options)?;
            let micros: PrimitiveArray<TimestampMicrosecondType> =
                seconds.as_primitive::<Float64Type>().unary(|seconds| (seconds * 1e6) as i64);
            Ok(Arc::new(micros))
        }
        (DataType::Decimal128(..), to) if to.is_integer() => {
            // The kernel rounds; Hive and Spark cut.
            let scale = match array.data_type() {
                DataType::Decimal128(_, scale) => *scale,
                _ => 0,
            };
            let divisor = 10_i128.pow(u32::try_from(scale.max(0)).unwrap_or(0));
            let whole: Decimal128Array = array.as_primitive::<Decimal128Type>().unary(|value| value / divisor);
            let whole: PrimitiveArray<Int64Type> = whole.unary(|value| value as i64);
            Ok(narrow(&whole, to))
        }
        _ => Ok(cast_with_options(array, kind, &options)?),
    }
}

/// Java's cast of a fraction: cut towards zero, the nearest number when it does not fit, 0 for NaN; bytes and shorts by way of an
/// int.
#[allow(clippy::cast_possible_truncation, reason = "Rust cuts as Java does")]
fn from_float(numbers: &PrimitiveArray<Float64Type>, kind: &DataType) -> ArrayRef {
    match kind {
        DataType::Int8 => Arc::new(numbers.unary::<_, Int8Type>(|number| number as i32 as i8)),
        DataType::Int16 => Arc::new(numbers.unary::<_, Int16Type>(|number| number as i32 as i16)),
        DataType::Int32 => Arc::new(numbers.unary::<_, Int32Type>(|number| number as i32)),
        _ => Arc::new(numbers.unary::<_, Int64Type>(|number| number as i64)),
    }
}

/// Java's cast of a whole number: the low bits.
#[allow(clippy::cast_possible_truncation, reason = "Rust cuts as Java does")]
fn narrow(numbers: &PrimitiveArray<Int64Type>, kind: &DataType) -> ArrayRef {
    match kind {
        DataType::Int8 => Arc::new(numbers.unary::<_, Int8Type>(|number| number as i8)),
        DataType::Int16 => Arc::new(numbers.unary::<_, Int16Type>(|number| number as i16)),
        DataType::Int32 => Arc::new(numbers.unary::<_, Int32Type>(|number| number as i32)),
        _ => Arc::new(numbers.clone()),
    }
}

/// Reads text; spaces around a value do not count.
fn from_text(texts: &StringArray, kind: &DataType) -> Result<ArrayRef> {
    fn all<T: ArrowPrimitiveType>(texts: &StringArray, read: impl Fn(&str) -> Option<T::Native>) -> ArrayRef {
        let values: PrimitiveArray<T> = texts.iter().map(|text| text.and_then(|text| read(text.trim()))).collect();
        Arc::new(values)
    }
    Ok(match kind {
        DataType::Int8 => all::<Int8Type>(texts, |text| i8::try_from(whole(text)?).ok()),
        DataType::Int16 => all::<Int16Type>(texts, |text| i16::try_from(whole(text)?).ok()),
        DataType::Int32 => all::<Int32Type>(texts, |text| i32::try_from(whole(text)?).ok()),
        DataType::Int64 => all::<Int64Type>(texts, |text| i64::try_from(whole(text)?).ok()),
        DataType::Float32 => all::<Float32Type>(texts, real::<f32>),
        DataType::Float64 => all::<Float64Type>(texts, real::<f64>),
        DataType::Date32 => all::<Date32Type>(texts, parse_date),
        DataType::Timestamp(..) => all::<TimestampMicrosecondType>(texts, parse_timestamp),
        DataType::Decimal128(precision, scale) => {
            let values: Decimal128Array =
                texts.iter().map(|text| text.and_then(|text| decimal(text.trim(), *precision, *scale))).collect();
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Boolean => {
            let values: datafusion::arrow::array::BooleanArray = texts
                .iter()
                .map(|text| {
                    text.and_then(|text| match text.trim().to_ascii_lowercase().as_str() {
                        "true" | "t" | "yes" | "y" | "1" => Some(true),
                        "false" | "f" | "no" | "n" | "0" => Some(false),
                        _ => None,
                    })
                })
                .collect();
            Arc::new(values)
        }
        _ => {
            let options = CastOptions { safe: true, format_options: FormatOptions::default() };
            cast_with_options(texts, kind, &options)?
        }
    })
}

/// A whole number; digits behind a point are cut off.
fn whole(text: &str) -> Option<i128> {
    let (number, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.chars().all(|ch| ch.is_ascii_digit()) {
        return None;
    }
    if number.is_empty() || number == "-" || number == "+" {
        return (!fraction.is_empty()).then_some(0);
    }
    i128::from_str(number).ok()
}

fn real<T: FromStr>(text: &str) -> Option<T> {
    // Rust reads "nan" and "inf" in every case, as Spark does.
    let text = text
        .strip_suffix(['d', 'f', 'D', 'F'])
        .filter(|text| text.ends_with(|ch: char| ch.is_ascii_digit() || ch == '.'))
        .unwrap_or(text);
    text.parse().ok()
}

/// Digits into a decimal, rounded half up; NULL when it does not fit.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (number, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{number}{fraction}");
    if digits.is_empty() || !digits.chars().all(|ch| ch.is_ascii_digit()) {
        return None;
    }
    let shift = exponent.checked_add(i32::from(scale))?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let value = if shift >= 0 {
        let value: i128 = digits.parse().ok()?;
        value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?
    } else {
        let cut = usize::try_from(-shift).ok()?;
        if cut > digits.len() {
            0
        } else {
            let (kept, rest) = digits.split_at(digits.len() - cut);
            let kept: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
            kept + i128::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5'))
        }
    };
    let bound = 10_i128.checked_pow(u32::from(precision))?;
    (value < bound).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_hive_reads_it() {
        assert_eq!(whole("12.7"), Some(12));
        assert_eq!(whole("-12.7"), Some(-12));
        assert_eq!(whole("12a"), None);
        assert_eq!(whole(""), None);
        assert_eq!(decimal("2.345", 10, 2), Some(235));
        assert_eq!(decimal("-2.345", 10, 2), Some(-235));
        assert_eq!(decimal("1e3", 10, 0), Some(1000));
        assert_eq!(decimal("123", 2, 0), None);
        assert_eq!(real::<f64>("1.5"), Some(1.5));
        assert_eq!(real::<f64>("x"), None);
    }
}
