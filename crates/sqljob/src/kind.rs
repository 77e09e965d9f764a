//! Column types: Hive's words and the Arrow types behind them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use crate::fault::{Fault, Outcome};

/// Time stamps have microseconds, as in Spark.
pub const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Types inside of types, at most.
const NESTED: usize = 50;

/// Reads a type as Hive, Spark or Presto write it.
///
/// # Errors
/// A word that is no type, or one that has no match here.
pub fn parse(text: &str) -> Outcome<DataType> {
    let plain: String = text.chars().filter(|ch| !ch.is_whitespace()).flat_map(char::to_lowercase).collect();
    if plain.matches('<').count() > NESTED {
        return Err(Fault::new("a column type is nested too deeply"));
    }
    let mut rest = plain.as_str();
    let kind = one(&mut rest)?;
    if rest.is_empty() { Ok(kind) } else { Err(unknown(text)) }
}

/// Characters of a VARCHAR(n) or CHAR(n).
pub fn length(text: &str) -> Option<u32> {
    let plain: String = text.chars().filter(|ch| !ch.is_whitespace()).flat_map(char::to_lowercase).collect();
    let rest = ["varchar(", "char(", "character("].iter().find_map(|word| plain.strip_prefix(word))?;
    rest.strip_suffix(')')?.parse().ok()
}

fn unknown(text: &str) -> Fault {
    Fault::new(format!("{text} is not a column type that is known here")).hint(
        "known are TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), BOOLEAN, STRING, VARCHAR(n), CHAR(n), DATE, TIMESTAMP, \
         BINARY, ARRAY<..>, MAP<..,..> and STRUCT<name:type,..>",
    )
}

/// Takes one type off the front.
fn one(rest: &mut &str) -> Outcome<DataType> {
    let all = *rest;
    let end = all.find(|ch: char| !ch.is_alphanumeric() && ch != '_').unwrap_or(all.len());
    let word = &all[..end];
    *rest = &all[end..];
    Ok(match word {
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "short" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "float" | "real" => DataType::Float32,
        "double" | "doubleprecision" => DataType::Float64,
        "boolean" | "bool" => DataType::Boolean,
        "string" | "text" => DataType::Utf8,
        "date" => DataType::Date32,
        "timestamp" => {
            if rest.starts_with('(') {
                arguments(rest)?;
            }
            TIMESTAMP
        }
        "binary" | "varbinary" => DataType::Binary,
        "void" => DataType::Null,
        // The length is not enforced; docs/sql.md says so.
        "varchar" | "char" | "character" => {
            if rest.starts_with('(') {
                arguments(rest)?;
            }
            DataType::Utf8
        }
        "decimal" | "numeric" | "dec" => {
            let sizes = if rest.starts_with('(') { arguments(rest)? } else { Vec::new() };
            let precision = sizes.first().copied().unwrap_or(10);
            let scale = sizes.get(1).copied().unwrap_or(0);
            if precision == 0 || precision > 38 || scale > precision {
                return Err(Fault::new(format!(
                    "DECIMAL({precision},{scale}): the precision is 1 to 38 and not below the scale"
                )));
            }
            DataType::Decimal128(u8::try_from(precision).unwrap_or(38), i8::try_from(scale).unwrap_or(0))
        }
        "array" => {
            expect(rest, '<', all)?;
            let item = one(rest)?;
            expect(rest, '>', all)?;
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
        "map" => {
            expect(rest, '<', all)?;
            let key = one(rest)?;
            expect(rest, ',', all)?;
            let value = one(rest)?;
            expect(rest, '>', all)?;
            let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
        }
        "struct" => {
            expect(rest, '<', all)?;
            let mut fields = Vec::new();
            loop {
                let end = rest.find(':').ok_or_else(|| unknown(all))?;
                let name = rest[..end].trim_matches('`').to_owned();
                *rest = &rest[end + 1..];
                fields.push(Field::new(name, one(rest)?, true));
                if !rest.starts_with(',') {
                    break;
                }
                *rest = &rest[1..];
            }
            expect(rest, '>', all)?;
            DataType::Struct(Fields::from(fields))
        }
        _ => return Err(unknown(all)),
    })
}

fn expect(rest: &mut &str, ch: char, all: &str) -> Outcome<()> {
    *rest = rest.strip_prefix(ch).ok_or_else(|| unknown(all))?;
    Ok(())
}

/// Numbers in parentheses.
fn arguments(rest: &mut &str) -> Outcome<Vec<u32>> {
    let end = rest.find(')').ok_or_else(|| unknown(rest))?;
    let numbers: Result<Vec<u32>, _> = rest[1..end].split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|_| unknown(rest))?;
    *rest = &rest[end + 1..];
    Ok(numbers)
}

/// The type in Hive's words.
pub fn show(kind: &DataType) -> String {
    match kind {
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "int".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("array<{}>", show(field.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map<{},{}>", show(fields[0].data_type()), show(fields[1].data_type()))
            }
            _ => "map<string,string>".into(),
        },
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields
                .iter()
                .map(|field| format!("{}:{}", field.name().to_lowercase(), show(field.data_type())))
                .collect();
            format!("struct<{}>", parts.join(","))
        }
        // A column of only NULL: Spark and Hive keep it as text.
        _ => "string".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_shown() {
        for text in [
            "int",
            "decimal(12,2)",
            "map<string,array<bigint>>",
            "struct<a:int,b:array<struct<c:double>>>",
            "timestamp",
        ] {
            assert_eq!(show(&parse(text).unwrap()), text);
        }
        assert_eq!(show(&parse("Decimal").unwrap()), "decimal(10,0)");
        assert!(parse("decimal(50,2)").is_err());
        assert!(parse("array<int").is_err());
        assert!(parse("uniontype<int>").is_err());
    }
}
