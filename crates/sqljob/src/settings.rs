//! SET: variables for `${name}`, and settings of Hive and Spark. Those that only tune are kept without effect; those that change
//! what a query means are refused.

use std::collections::BTreeMap;

use crate::fault::{Fault, Outcome};

/// Settings of a script.
#[derive(Debug)]
pub struct Settings {
    /// `SET key=value`.
    pub values: BTreeMap<String, String>,
    /// `SET hivevar:key=value`.
    pub variables: BTreeMap<String, String>,
}

impl Settings {
    /// With those of the job.
    ///
    /// # Errors
    /// One that changes what a query means.
    pub fn new(values: BTreeMap<String, String>, variables: BTreeMap<String, String>) -> Outcome<Self> {
        for (key, value) in &values {
            check(key, value)?;
        }
        Ok(Self { values, variables })
    }

    /// SET.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn set(&mut self, key: &str, value: String) -> Outcome<()> {
        match key.split_once(':') {
            Some(("hivevar", key)) => self.variables.insert(key.to_owned(), value),
            other => {
                let key = other.filter(|(space, _)| *space == "hiveconf").map_or(key, |(_, key)| key);
                check(key, &value)?;
                self.values.insert(key.to_owned(), value)
            }
        };
        Ok(())
    }
}

/// Settings of which only one value has the meaning that queries have here.
const FIXED: [(&str, &[&str]); 12] = [
    ("spark.sql.ansi.enabled", &["false"]),
    ("spark.sql.casesensitive", &["false"]),
    ("spark.sql.session.timezone", &["utc", "etc/utc", "gmt", "z"]),
    ("hive.local.time.zone", &["utc", "etc/utc", "gmt", "z"]),
    ("spark.sql.legacy.timeparserpolicy", &["corrected", "exception"]),
    ("spark.sql.sources.partitionoverwritemode", &["static"]),
    ("hive.support.quoted.identifiers", &["column", "standard"]),
    ("hive.groupby.orderby.position.alias", &["true"]),
    ("hive.default.fileformat", &["textfile"]),
    ("hive.default.nulls.last", &["false"]),
    ("spark.sql.storeassignmentpolicy", &["legacy", "ansi"]),
    ("spark.sql.legacy.sizeofnull", &["true"]),
];

fn check(key: &str, value: &str) -> Outcome<()> {
    let (lower, given) = (key.to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    match FIXED.iter().find(|(fixed, _)| *fixed == lower) {
        Some((_, allowed)) if !allowed.contains(&given.as_str()) => {
            Err(Fault::new(format!("{key}={value} does not run here: it would change what queries mean"))
                .hint(format!("leave it out; queries mean what they do with {}", allowed[0])))
        }
        _ => Ok(()),
    }
}
