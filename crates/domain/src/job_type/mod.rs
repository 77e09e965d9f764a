//! Job types: what each needs, which settings it takes, and how it becomes a plan (sahara-v1.1.md section 7.1).
//!
//! The nine types of Sahara come first and in its order; after them the types that only MRS clients send (spec/README.md
//! conflict 5).

pub mod configs;
pub mod distcp;
pub mod flink;
pub mod hints;
mod java;
mod map_reduce;
mod pig;
mod shell;
mod spark;
mod sql;
mod storm;
mod streaming;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    Code, DataSourceId, Error, Result,
    data_source::DataSource,
    interface,
    job_template::{InterfaceArgument, JobTemplate},
    plan::{Plan, PlanKind},
};

/// A job type.
pub struct JobType {
    /// Name on the wire.
    pub name: &'static str,
    mains: Mains,
    libs_required: bool,
    /// Which mapping types an interface may use.
    pub mapping_types: &'static [&'static str],
    needs: &'static [Need],
    /// What kind of plan it becomes.
    pub plan_kind: PlanKind,
    plan: fn(&Staged) -> Result<Plan>,
    /// Whether it is one of Sahara's nine.
    pub is_sahara: bool,
    hints: hints::Hints,
}

/// What a template's `mains` must be.
enum Mains {
    /// At least one; the text is the refusal without the type's name.
    Required(&'static str),
    /// At least one main or one lib.
    OrLibs(&'static str),
    /// None.
    Unused,
    /// Any.
    Free,
}

/// What an execution must bring.
enum Need {
    Sources,
    MainClass,
    /// A main class, unless the main file is Python (decision 5).
    MainClassUnlessPython,
    /// Said to be a topology's name, but what the original looks for is the main class.
    TopologyName,
    Streaming,
}

const ARGS: &str = "args";
const CONFIGS: &str = "configs";
const PARAMS: &str = "params";
const SCRIPT: &str = "flow requires main script";
const APPLICATION: &str = "job requires main application jar";

/// All job types; the nine of Sahara in the order of its enum.
pub static ALL: [JobType; 14] = [
    JobType {
        name: "Hive",
        mains: Mains::Required(SCRIPT),
        libs_required: false,
        mapping_types: &[CONFIGS, PARAMS],
        needs: &[Need::Sources],
        plan_kind: PlanKind::Sql,
        plan: sql::hive,
        is_sahara: true,
        hints: hints::Hints::Hive,
    },
    JobType {
        name: "Java",
        mains: Mains::Unused,
        libs_required: true,
        mapping_types: &[CONFIGS, ARGS],
        needs: &[Need::MainClass],
        plan_kind: PlanKind::Java,
        plan: java::plan,
        is_sahara: true,
        hints: hints::Hints::ConfigsArgs,
    },
    JobType {
        name: "MapReduce",
        mains: Mains::Unused,
        libs_required: true,
        mapping_types: &[CONFIGS],
        needs: &[Need::Sources],
        plan_kind: PlanKind::MapReduce,
        plan: map_reduce::plan,
        is_sahara: true,
        hints: hints::Hints::MapReduce,
    },
    JobType {
        name: "MapReduce.Streaming",
        mains: Mains::Unused,
        libs_required: false,
        mapping_types: &[CONFIGS],
        needs: &[Need::Sources, Need::Streaming],
        plan_kind: PlanKind::Streaming,
        plan: streaming::plan,
        is_sahara: true,
        hints: hints::Hints::MapReduce,
    },
    JobType {
        name: "Pig",
        mains: Mains::Required(SCRIPT),
        libs_required: false,
        mapping_types: &[CONFIGS, PARAMS, ARGS],
        needs: &[Need::Sources],
        plan_kind: PlanKind::Pig,
        plan: pig::plan,
        is_sahara: true,
        hints: hints::Hints::Pig,
    },
    JobType {
        name: "Shell",
        mains: Mains::Required(SCRIPT),
        libs_required: false,
        mapping_types: &[CONFIGS, PARAMS, ARGS],
        needs: &[],
        plan_kind: PlanKind::Program,
        plan: shell::plan,
        is_sahara: true,
        hints: hints::Hints::ConfigsParamsArgs,
    },
    JobType {
        name: "Spark",
        mains: Mains::OrLibs(APPLICATION),
        libs_required: false,
        mapping_types: &[CONFIGS, ARGS],
        needs: &[Need::MainClassUnlessPython],
        plan_kind: PlanKind::Spark,
        plan: spark::plan,
        is_sahara: true,
        hints: hints::Hints::ConfigsArgs,
    },
    JobType {
        name: "Storm",
        mains: Mains::Required(APPLICATION),
        libs_required: false,
        mapping_types: &[ARGS],
        needs: &[Need::MainClass],
        plan_kind: PlanKind::Storm,
        plan: storm::topology,
        is_sahara: true,
        hints: hints::Hints::ConfigsArgs,
    },
    JobType {
        name: "Storm.Pyleus",
        mains: Mains::Required(APPLICATION),
        libs_required: false,
        mapping_types: &[],
        needs: &[Need::TopologyName],
        plan_kind: PlanKind::Storm,
        plan: storm::pyleus,
        is_sahara: true,
        hints: hints::Hints::ConfigsArgs,
    },
    mrs_only("SparkScript", Mains::Required(SCRIPT), PlanKind::Sql, sql::spark_script),
    mrs_only("SparkSql", Mains::Free, PlanKind::Sql, sql::spark_sql),
    mrs_only("DistCp", Mains::Free, PlanKind::DistCp, dist_cp),
    mrs_only("hql", Mains::Free, PlanKind::Sql, sql::hql),
    mrs_only("Flink", Mains::Required(APPLICATION), PlanKind::Flink, flink::plan),
];

const fn mrs_only(name: &'static str, mains: Mains, plan_kind: PlanKind, plan: fn(&Staged) -> Result<Plan>) -> JobType {
    JobType {
        name,
        mains,
        libs_required: false,
        mapping_types: &[CONFIGS, PARAMS, ARGS],
        needs: &[],
        plan_kind,
        plan,
        is_sahara: false,
        hints: hints::Hints::ConfigsArgs,
    }
}

/// The words of a copy are the args.
fn dist_cp(staged: &Staged) -> Result<Plan> {
    Ok(distcp::of_project(distcp::plan(&staged.args, &staged.configs)?, &staged.project))
}

/// The job type of a name.
pub fn find(name: &str) -> Option<&'static JobType> {
    ALL.iter().find(|job_type| job_type.name == name)
}

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::refused(Code::InvalidData, text))
}

impl JobType {
    /// `GET /jobs/config-hints/{type}` (section 7.3).
    pub fn config_hints(&self) -> Value {
        hints::of(self.hints)
    }

    /// Checks which mains and libs a new template names (section 7.2). Whether they exist is asked next, before its interface
    /// is looked at.
    pub fn check_binaries<Id: PartialEq>(&self, mains: &[Id], libs: &[Id]) -> Result<()> {
        match self.mains {
            Mains::Required(text) if mains.is_empty() => return invalid(format!("{} {text}", self.name)),
            Mains::OrLibs(text) if mains.is_empty() && libs.is_empty() => {
                return invalid(format!("{} {text}", self.name));
            }
            Mains::Unused if self.libs_required && libs.is_empty() => {
                return invalid(format!("{} flow requires libs", self.name));
            }
            Mains::Unused if !mains.is_empty() => return invalid(format!("{} flow does not use mains", self.name)),
            _ => {}
        }
        if mains.iter().any(|main| libs.contains(main)) {
            return invalid("'mains' and 'libs' overlap");
        }
        Ok(())
    }

    /// Checks the interface of a new template. Gives the data sources that its defaults name.
    pub fn check_interface(&self, interface: &[InterfaceArgument]) -> Result<Vec<DataSourceId>> {
        interface::check(self.name, self.mapping_types, interface)
    }

    /// Checks what an execution brings, after its interface was merged (section 8.1). Data sources are looked up by the
    /// caller; an unknown one was refused before.
    pub fn check_needs(
        &self,
        job: &JobTemplate,
        merged: &Map<String, Value>,
        input: Option<&DataSource>,
        output: Option<&DataSource>,
    ) -> Result<()> {
        if let (Some(input), Some(output)) = (input, output)
            && input.kind == output.kind
            && input.url == output.url
        {
            return invalid(format!(
                "Provided input and output DataSources reference the same location: {}",
                input.url
            ));
        }
        let config = |key: &str| merged.get(CONFIGS).and_then(|configs| configs.get(key)).and_then(Value::as_str);
        let has = |key: &str| config(key).is_some_and(|value| !value.is_empty());
        let main_class = |called: &str| {
            if has("edp.java.main_class") {
                Ok(())
            } else {
                invalid(format!("{} job must specify {called}", self.name))
            }
        };
        for need in self.needs {
            match need {
                // Checked by check_sources before the sources were looked up.
                Need::Sources => {}
                Need::MainClassUnlessPython if is_python(job) => {}
                Need::MainClass | Need::MainClassUnlessPython => main_class("edp.java.main_class")?,
                Need::TopologyName => main_class("topology_name")?,
                Need::Streaming if has("edp.streaming.mapper") && has("edp.streaming.reducer") => {}
                Need::Streaming => {
                    return invalid(format!("{} job must specify streaming mapper and reducer", self.name));
                }
            }
        }
        configs::refuse_identity_keys(merged)
    }

    /// Whether input and output are there where the type needs both.
    pub fn check_sources(&self, has_input: bool, has_output: bool) -> Result<()> {
        let both = has_input && has_output;
        if self.uses_sources() && !both {
            return invalid(format!("{} job requires 'input_id' and 'output_id'", self.name));
        }
        Ok(())
    }

    /// Whether its plan takes input and output as they are given beside its words.
    pub fn uses_sources(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::Sources))
    }

    /// Makes a plan of what was staged. A refusal ends the execution as FAILED with its text.
    pub fn plan(&self, staged: &Staged) -> Result<Plan> {
        (self.plan)(staged)
    }
}

/// Whether the application is a Python file: the name of its binary ends in `.py`.
fn is_python(job: &JobTemplate) -> bool {
    job.mains.first().or(job.libs.first()).is_some_and(|main| main.name.ends_with(".py"))
}

/// A file that was fetched for an execution; it bears the name of its job binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// Name of the job binary.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Everything that a plan is made of.
#[derive(Clone, Debug, Default)]
pub struct Staged {
    /// The main files, in order.
    pub mains: Vec<StagedFile>,
    /// The libraries, in order.
    pub libs: Vec<StagedFile>,
    /// Configs with secrets filled in and references resolved; `edp.*` still among them.
    pub configs: BTreeMap<String, Value>,
    /// Params, resolved.
    pub params: BTreeMap<String, Value>,
    /// Args, resolved.
    pub args: Vec<String>,
    /// Input as the job sees it: a path of this host, or a url where its engine opens those itself.
    pub input: Option<String>,
    /// Output as the job sees it.
    pub output: Option<String>,
    /// The project, whose catalogue SQL uses.
    pub project: String,
}

impl Staged {
    /// A config as text.
    fn config(&self, key: &str) -> Option<String> {
        self.configs.get(key).map(text).filter(|value| !value.is_empty())
    }

    /// The configs that the job itself sees: without `edp.*` and `oozie.*`.
    fn own_configs(&self) -> BTreeMap<String, String> {
        let own = self.configs.iter().filter(|(key, _)| !key.starts_with("edp.") && !key.starts_with("oozie."));
        own.map(|(key, value)| (key.clone(), text(value))).collect()
    }

    fn main(&self) -> Result<&StagedFile> {
        match self.mains.first() {
            Some(main) => Ok(main),
            None => invalid("the job template has no main file"),
        }
    }
}

/// A simple value as a job sees it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn paths<'a>(files: impl IntoIterator<Item = &'a StagedFile>) -> Vec<PathBuf> {
    files.into_iter().map(|file| file.path.clone()).collect()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|found| found.to_str()).is_some_and(|found| extensions.contains(&found))
}

/// Splits a command into words as a shell would, without running one.
fn words(key: &str, command: &str) -> Result<Vec<String>> {
    match shlex::split(command) {
        Some(words) if !words.is_empty() => Ok(words),
        _ => invalid(format!("{key} is not a command: a quote is not closed, or it is empty")),
    }
}

#[cfg(test)]
mod tests;
