//! Java: a class with `main` on a class path of the libraries.

use super::{Staged, paths, words};
use crate::{Result, plan::Plan};

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let java_opts = match staged.config("edp.java.java_opts") {
        Some(options) => words("edp.java.java_opts", &options)?,
        None => Vec::new(),
    };
    // `edp.java.adapt_for_oozie` only makes an exit code reach oozie; here the exit code is the process's own.
    Ok(Plan::Java {
        class_path: paths(staged.mains.iter().chain(&staged.libs)),
        main_class: staged.config("edp.java.main_class").unwrap_or_default(),
        java_opts,
        args: staged.args.clone(),
        properties: staged.own_configs(),
    })
}
