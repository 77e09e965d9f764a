//! Pig: a script, which sees params and the data sources as `$INPUT` and `$OUTPUT`.

use super::{Staged, paths, text};
use crate::{Result, plan::Plan};

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let mut params: std::collections::BTreeMap<_, _> =
        staged.params.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    for (name, place) in [("INPUT", &staged.input), ("OUTPUT", &staged.output)] {
        if let Some(place) = place {
            params.entry(name.to_owned()).or_insert_with(|| place.clone());
        }
    }
    Ok(Plan::Pig {
        script: staged.main()?.path.clone(),
        libs: paths(staged.mains.iter().skip(1).chain(&staged.libs)),
        params,
        args: staged.args.clone(),
        properties: staged.own_configs(),
    })
}
