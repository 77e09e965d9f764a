//! `foggara engines`: what this host can run, and getting what it lacks.

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use foggara_domain::plan::PlanKind;
use foggara_engines::{
    Ability, Engine,
    local::{Local, install},
};

use super::{
    Exit, data_dir, parts, print,
    serve::{ServeArgs, settings},
};

/// Flags of `engines`.
#[derive(Args, Debug)]
pub struct EnginesArgs {
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
        #[arg(value_parser = ["spark"])]
        engine: String,
    },
    /// The same as list, with exit code 1 when something is missing
    Doctor,
}

/// The job types of Sahara by what they become on `local`.
pub const TYPES: [(&str, PlanKind); 4] = [
    ("Shell", PlanKind::Program),
    ("MapReduce.Streaming", PlanKind::Streaming),
    ("Java", PlanKind::Java),
    ("Spark", PlanKind::Spark),
];

/// A line per job type: what it is, and what is missing.
pub fn abilities(local: &Local) -> Vec<(&'static str, Option<String>)> {
    let able = |kind| match local.ability(kind) {
        Ability::Yes => None,
        Ability::Lacks(what) => Some(what),
        Ability::Never => Some("this engine does not run it".to_owned()),
    };
    TYPES.into_iter().map(|(name, kind)| (name, able(kind))).collect()
}

/// `foggara engines`
pub fn run(args: &EnginesArgs) -> Result<Exit> {
    let (config, dir) = settings(&ServeArgs { data_dir: args.data_dir.clone(), ..ServeArgs::default() })?;
    let dir = data_dir::make(&dir)?;
    let settings = parts::local_settings(&config, &dir)?;
    if let Action::Install { .. } = args.action {
        let mut told = Ok(());
        let done = install::spark(&settings, &mut |line| {
            if told.is_ok() {
                told = print(&format!("{line}\n"));
            }
        });
        told?;
        let done = done.map_err(|error| anyhow!(error))?;
        let how = if done.was_there { "is there already" } else { "installed" };
        let java = if done.with_java { ", with a Java of its own" } else { "" };
        print(&format!("Spark {how}: {}{java}\n", done.spark_home.display()))?;
        return Ok(Exit::Done);
    }
    let mut missing = false;
    for (name, lacks) in abilities(&Local::new(settings)?) {
        missing |= lacks.is_some();
        print(&format!("{name:20} {}\n", lacks.unwrap_or_else(|| "ready".to_owned())))?;
    }
    Ok(if missing && matches!(args.action, Action::Doctor) { Exit::Failed } else { Exit::Done })
}
