//! MapReduce: the classes of mapper and reducer stand among the configs, their jars are the libs.

use super::{Staged, invalid, paths};
use crate::{Result, plan::Plan};

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let (Some(input), Some(output)) = (&staged.input, &staged.output) else {
        return invalid("MapReduce needs an input and an output");
    };
    let properties = staged.own_configs();
    let names = ["mapred.mapper.class", "mapreduce.job.map.class", "mapreduce.map.class"];
    if !names.iter().any(|name| properties.get(*name).is_some_and(|class| !class.trim().is_empty())) {
        return invalid(
            "configs: the class of the mapper is missing: mapred.mapper.class (old API) or mapreduce.job.map.class (new API)",
        );
    }
    Ok(Plan::MapReduce { jars: paths(&staged.libs), input: input.clone(), output: output.clone(), properties })
}
