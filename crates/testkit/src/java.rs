//! JVMs of tests.

use std::{env, path::PathBuf};

/// Options for JVMs of Spark that live for seconds: they compile little, and take classes from the archive that scripts/setup-spark.sh
/// has put into the Spark at `SPARK_HOME`. With another Spark there is none, and with another class path it is passed over in silence.
pub fn brief() -> String {
    let options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable";
    let archive = env::var_os("SPARK_HOME").map(|home| PathBuf::from(home).join("classes.jsa"));
    match archive.filter(|archive| archive.is_file()) {
        Some(archive) => format!("{options} -XX:SharedArchiveFile={}", archive.display()),
        None => options.to_owned(),
    }
}
