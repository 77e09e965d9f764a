//! MapReduce.Streaming: a mapper and a reducer command (decision 24).

use super::{Staged, invalid, words};
use crate::{Result, plan::Plan};

/// More reducers than this is a mistake on one host.
const MOST_REDUCERS: u32 = 1000;

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let command = |key: &str| words(key, &staged.config(key).unwrap_or_default());
    let (Some(input), Some(output)) = (&staged.input, &staged.output) else {
        return invalid(
            "input and output must be files of this host on this cluster: file:///path, hdfs:///path or /path",
        );
    };
    let reducers = staged.config("mapreduce.job.reduces").or_else(|| staged.config("mapred.reduce.tasks"));
    let reducers = match reducers.map(|text| text.trim().parse::<u32>()) {
        None => 1,
        Some(Ok(many)) if many <= MOST_REDUCERS => many,
        Some(_) => return invalid(format!("mapreduce.job.reduces must be a number from 0 to {MOST_REDUCERS}")),
    };
    // As in Hadoop, the job's settings are in the environment of its commands, with underscores for dots.
    let properties = staged.own_configs();
    let mut settings = properties.clone();
    settings.retain(|key, _| !super::configs::is_credential(key));
    settings.insert("mapred.input.dir".to_owned(), input.clone());
    settings.insert("mapred.output.dir".to_owned(), output.clone());
    Ok(Plan::Streaming {
        mapper: command("edp.streaming.mapper")?,
        reducer: command("edp.streaming.reducer")?,
        input: input.clone(),
        output: output.clone(),
        reducers,
        properties,
        env: settings.into_iter().map(|(key, value)| (key.replace(['.', '-'], "_"), value)).collect(),
    })
}
