//! Shell: the first main is run in the workspace, params are its environment, args its arguments.

use super::{Staged, text};
use crate::{Result, plan::Plan};

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    Ok(Plan::Program {
        main: staged.main()?.path.clone(),
        args: staged.args.clone(),
        env: staged.params.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
    })
}
