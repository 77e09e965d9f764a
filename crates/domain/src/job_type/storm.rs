//! Storm: a jar with a class that submits a topology under the name that is its first argument, and Pyleus: a jar that its own
//! tool built, with the topology inside.

use std::path::PathBuf;

use super::{Staged, paths};
use crate::{Result, plan::Plan};

pub(super) fn topology(staged: &Staged) -> Result<Plan> {
    plan(staged, staged.config("edp.java.main_class"))
}

pub(super) fn pyleus(staged: &Staged) -> Result<Plan> {
    plan(staged, None)
}

fn plan(staged: &Staged, main_class: Option<String>) -> Result<Plan> {
    let jar: PathBuf = staged.main()?.path.clone();
    Ok(Plan::Storm {
        jar,
        libs: paths(staged.mains.iter().skip(1).chain(&staged.libs)),
        main_class,
        args: staged.args.clone(),
        settings: staged.own_configs(),
    })
}
