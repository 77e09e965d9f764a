//! Spark: a jar with its class, or a Python file, for spark-submit.

use std::collections::BTreeMap;

use super::{Staged, StagedFile, has_extension, invalid, paths};
use crate::{Result, plan::Plan};

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    // MRS clients name the application among the libs (spec/README.md conflict 5).
    let mut files: Vec<&StagedFile> = staged.mains.iter().chain(&staged.libs).collect();
    if files.is_empty() {
        return invalid("the job template has neither mains nor libs");
    }
    let main = files.remove(0);
    let python = main.name.ends_with(".py");
    let of = |extensions: &[&str]| paths(files.iter().copied().filter(|file| has_extension(&file.path, extensions)));
    let mut conf = conf(staged.own_configs());
    if let Some(class_path) = staged.config("edp.spark.driver.classpath") {
        conf.insert("spark.driver.extraClassPath".to_owned(), class_path);
    }
    Ok(Plan::Spark {
        main: main.path.clone(),
        main_class: if python { None } else { staged.config("edp.java.main_class") },
        args: staged.args.clone(),
        secret_args: false,
        conf,
        py_files: of(&["py", "zip", "egg"]),
        files: paths(files.iter().copied().filter(|file| !has_extension(&file.path, &["jar", "py", "zip", "egg"]))),
        jars: of(&["jar"]),
    })
}

/// Spark takes only keys that begin with `spark.`; Hadoop's settings go through `spark.hadoop.`.
fn conf(configs: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let key = |key: String| if key.starts_with("spark.") { key } else { format!("spark.hadoop.{key}") };
    configs.into_iter().map(|(name, value)| (key(name), value)).collect()
}
