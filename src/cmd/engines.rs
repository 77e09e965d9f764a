//! `foggara engines`: what this host can run, and getting what it lacks.

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use foggara_domain::plan::PlanKind;
use foggara_engines::{
    Ability, Engine,
    local::{Local, LocalSettings, install},
};

use super::{
    Exit, data_dir, parts, print,
    serve::{ServeArgs, settings},
};

/// Flags of `engines`.
#[derive(Args, Debug)]
pub struct EnginesArgs {
    /// Settings file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Data directory of the server
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// What the local engine runs
    List,
    /// Install an engine below the data directory
    Install {
        /// Which
        #[arg(value_parser = ["spark", "flink"])]
        engine: String,
    },
    /// The same as list, with exit code 1 when the settings name what is not there, or no job type can run
    Doctor,
}

/// The job types by what they become on `local`.
pub const TYPES: [(&str, PlanKind); 10] = [
    ("Shell", PlanKind::Program),
    ("MapReduce.Streaming", PlanKind::Streaming),
    ("Java", PlanKind::Java),
    ("Spark", PlanKind::Spark),
    ("MapReduce (jar)", PlanKind::HadoopJar),
    ("MapReduce (classes)", PlanKind::MapReduce),
    ("Pig", PlanKind::Pig),
    ("Hive, Spark SQL", PlanKind::Sql),
    ("Presto", PlanKind::Presto),
    ("DistCp", PlanKind::DistCp),
];

/// A line per job type: what it is, and what is missing. A directory that is no server's yet is left as it is.
pub fn abilities(mut settings: LocalSettings) -> Result<Vec<(&'static str, Option<String>)>> {
    let begun = ["attempts", "engines", "foggara.db"].iter().any(|name| settings.data_dir.join(name).exists());
    let scratch = (!begun).then(|| std::env::temp_dir().join(format!("foggara-engines-{}", std::process::id())));
    if let Some(scratch) = &scratch {
        settings.data_dir.clone_from(scratch);
    }
    let local = Local::new(settings)?;
    if let Some(scratch) = scratch {
        std::fs::remove_dir_all(scratch)?;
    }
    let able = |kind| match local.ability(kind) {
        Ability::Yes => None,
        Ability::Lacks(what) => Some(what),
        Ability::Never => Some("this engine does not run it".to_owned()),
    };
    Ok(TYPES.into_iter().map(|(name, kind)| (name, able(kind))).collect())
}

fn install(engine: &str, settings: &LocalSettings) -> Result<()> {
    let mut told = Ok(());
    let mut tell = |line: &str| {
        if told.is_ok() {
            told = print(&format!("{line}\n"));
        }
    };
    let how = |was_there: bool| if was_there { "is there already" } else { "installed" };
    let done = match engine {
        "flink" => install::flink(settings, &mut tell)
            .map(|(home, was_there)| format!("Flink {}: {}\n", how(was_there), home.display())),
        _ => install::spark(settings, &mut tell).map(|done| {
            let java = if done.with_java { ", with a Java of its own" } else { "" };
            format!("Spark {}: {}{java}\n", how(done.was_there), done.spark_home.display())
        }),
    };
    told?;
    print(&done.map_err(|error| anyhow!(error))?)
}

/// `foggara engines`
pub fn run(args: &EnginesArgs) -> Result<Exit> {
    let (config, dir) =
        settings(&ServeArgs { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServeArgs::default() })?;
    if let Action::Install { engine } = &args.action {
        install(engine, &parts::local_settings(&config, &data_dir::make(&dir)?)?)?;
        return Ok(Exit::Done);
    }
    let settings = parts::local_settings(&config, &dir)?;
    let broken = Local::broken(&settings);
    let mut ready = false;
    for (name, lacks) in abilities(settings)? {
        ready |= lacks.is_none();
        print(&format!("{name:20} {}\n", lacks.unwrap_or_else(|| "ready".to_owned())))?;
    }
    if !matches!(args.action, Action::Doctor) {
        return Ok(Exit::Done);
    }
    // What nobody asked for may be missing; what the operator configured may not.
    for line in &broken {
        print(&format!("{:20} {line}\n", "settings"))?;
    }
    Ok(if ready && broken.is_empty() { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use foggara_engines::table::{self, BEGIN, END};

    use super::parts;

    #[test]
    fn the_table_of_job_types_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines.md");
        let dir = tempfile::tempdir().expect("a folder");
        // As `main` does; another test may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plugins = parts::plugins(&crate::config::Config::default(), dir.path(), "test").expect("plugins");
        let found = fs::read_to_string(path).expect("docs/engines.md");
        let (head, rest) = found.split_once(BEGIN).expect("a beginning of the table");
        let (_, tail) = rest.split_once(END).expect("an end of the table");
        let wanted = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", table::of(&plugins));
        if env::var_os("FOGGARA_WRITE_DOCS").is_some() {
            fs::write(path, &wanted).expect("written");
            return;
        }
        assert!(
            found == wanted,
            "docs/engines.md is not up to date: FOGGARA_WRITE_DOCS=1 cargo test -p foggara the_table_of_job_types writes it"
        );
    }
}
