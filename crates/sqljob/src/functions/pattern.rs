//! Patterns of dates as Java's `SimpleDateFormat` and `DateTimeFormatter` write them; a letter without a match is refused.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::fault::{Fault, Outcome};

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Field(char, usize),
}

/// A pattern that was read.
#[derive(Debug, Clone)]
pub struct Pattern(Vec<Part>);

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Reads a pattern.
///
/// # Errors
/// A letter that has no match here; the message names it.
pub fn read(text: &str) -> Outcome<Pattern> {
    let mut parts: Vec<Part> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        if ch == '\'' {
            let mut literal = String::new();
            if chars.peek() == Some(&'\'') {
                chars.next();
                literal.push('\'');
            } else {
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            literal.push('\'');
                        }
                        Some('\'') => break,
                        Some(ch) => literal.push(ch),
                        None => return Err(Fault::new(format!("the pattern {text:?} has a quote that does not end"))),
                    }
                }
            }
            parts.push(Part::Literal(literal));
        } else if ch.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.peek() == Some(&ch) {
                chars.next();
                count += 1;
            }
            let known = match ch {
                'y' => count <= 4,
                'M' | 'E' => count <= 4,
                'd' | 'H' | 'h' | 'm' | 's' => count <= 2,
                'D' => count <= 3,
                'S' => count <= 9,
                'a' => count == 1,
                _ => false,
            };
            if !known {
                return Err(Fault::new(format!(
                    "the letters {:?} of the pattern {text:?} are not understood here",
                    ch.to_string().repeat(count)
                ))
                .hint("known are y M d H h m s S a E D and quoted text"));
            }
            parts.push(Part::Field(ch, count));
        } else if ['[', ']', '{', '}', '#'].contains(&ch) {
            return Err(Fault::new(format!("the sign {ch} of the pattern {text:?} is not understood here"))
                .hint("it means different things in Hive and Spark; put it in quotes"));
        } else {
            parts.push(Part::Literal(ch.to_string()));
        }
    }
    Ok(Pattern(parts))
}

impl Pattern {
    /// Writes a time.
    pub fn write(&self, time: NaiveDateTime) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out += text,
                Part::Field('y', 2) => out += &format!("{:02}", time.year().rem_euclid(100)),
                Part::Field('y', width) => out += &format!("{:0width$}", time.year(), width = *width),
                Part::Field('M', 3) => out += &MONTHS[time.month0() as usize][..3],
                Part::Field('M', 4) => out += MONTHS[time.month0() as usize],
                Part::Field('E', 4) => out += DAYS[time.weekday().num_days_from_monday() as usize],
                Part::Field('E', _) => out += &DAYS[time.weekday().num_days_from_monday() as usize][..3],
                Part::Field('a', _) => out += if time.hour() < 12 { "AM" } else { "PM" },
                Part::Field('S', width) => out += &format!("{:09}", time.nanosecond() % 1_000_000_000)[..*width],
                Part::Field(letter, width) => {
                    let value = match letter {
                        'M' => time.month(),
                        'd' => time.day(),
                        'D' => time.ordinal(),
                        'H' => time.hour(),
                        'h' => time.hour12().1,
                        'm' => time.minute(),
                        _ => time.second(),
                    };
                    out += &format!("{value:0width$}", width = *width);
                }
            }
        }
        out
    }

    /// Reads a time; none when the text is of another form.
    pub fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text;
        let (mut year, mut month, mut day, mut ordinal) = (1970_i32, 1_u32, 1_u32, None::<u32>);
        let (mut hour, mut half, mut minute, mut second, mut nano) = (0_u32, None::<bool>, 0_u32, 0_u32, 0_u32);
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Field('M', 3..) | Part::Field('E', _) => {
                    let (names, full): (&[&str], bool) = match part {
                        Part::Field('M', width) => (&MONTHS, *width == 4),
                        Part::Field(_, width) => (&DAYS, *width == 4),
                        Part::Literal(_) => return None,
                    };
                    let found = names.iter().position(|name| {
                        let name = if full { name } else { &name[..3] };
                        rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                    })?;
                    rest = &rest[if full { names[found].len() } else { 3 }..];
                    if matches!(part, Part::Field('M', _)) {
                        month = u32::try_from(found).ok()? + 1;
                    }
                }
                Part::Field('a', _) => {
                    half = match rest.get(..2)?.to_ascii_uppercase().as_str() {
                        "AM" => Some(false),
                        "PM" => Some(true),
                        _ => return None,
                    };
                    rest = &rest[2..];
                }
                Part::Field(letter, width) => {
                    // Fields that touch each other have a fixed width.
                    let touching = matches!(self.0.get(index + 1), Some(Part::Field(..)));
                    let most = match letter {
                        _ if touching => *width,
                        'y' if *width != 2 => 9,
                        'S' => 9,
                        'D' => 3,
                        _ => 2.max(*width),
                    };
                    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
                    if length == 0 || (touching && length < *width) {
                        return None;
                    }
                    let digits = &rest[..length];
                    let value: u32 = digits.parse().ok()?;
                    rest = &rest[length..];
                    match letter {
                        'y' if *width == 2 => year = 2000 + i32::try_from(value).ok()?,
                        'y' => year = i32::try_from(value).ok()?,
                        'M' => month = value,
                        'd' => day = value,
                        'D' => ordinal = Some(value),
                        'H' | 'h' => hour = value,
                        'm' => minute = value,
                        's' => second = value,
                        'S' => nano = format!("{digits:0<9}").parse().ok()?,
                        _ => return None,
                    }
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if let Some(afternoon) = half {
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        }
        let date = match ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => NaiveDate::from_ymd_opt(year, month, day)?,
        };
        Some(date.and_time(NaiveTime::from_hms_nano_opt(hour, minute, second, nano)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_and_read() {
        let time = NaiveDate::from_ymd_opt(2024, 3, 5).unwrap().and_hms_milli_opt(14, 7, 9, 250).unwrap();
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-05 14:07:09.250"),
            ("yyyyMMddHHmmss", "20240305140709"),
            ("d/M/yy", "5/3/24"),
            ("EEE, dd MMM yyyy", "Tue, 05 Mar 2024"),
            ("hh:mm a", "02:07 PM"),
            ("yyyy'T'DDD", "2024T065"),
        ] {
            let read = read(pattern).unwrap();
            assert_eq!(read.write(time), text);
            assert_eq!(read.write(read.parse(text).unwrap()), text);
        }
    }

    #[test]
    fn unknown_letters_are_named() {
        for pattern in ["YYYY-MM-dd", "yyyy-MM-dd z", "w", "u"] {
            assert!(read(pattern).is_err(), "{pattern}");
        }
        assert!(read("yyyy z").unwrap_err().to_string().contains("\"z\""));
    }
}
