//! Submits a job: its jar, and the run that Flink refuses to do twice.

use std::{collections::BTreeMap, fs, time::Duration};

use foggara_domain::{Tag, plan::Plan};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Flink,
    ids::job_id,
    program::{self, Program},
    refusal::{self, Refusal},
};
use crate::{EngineError, Launch, Launched, remote::rest::Answer};

/// Parameter of jobs that holds their tag.
pub const TAG: &str = "foggara.tag";
/// Setting for parameters, which Flink shows as a job's user-config.
const PARAMETERS: &str = "pipeline.global-job-parameters";
/// Setting for a job's name, unless the program gives one.
const NAME: &str = "pipeline.name";
/// How long the program's main may take to hand its job over.
const RUN: Duration = Duration::from_secs(240);

#[derive(Deserialize)]
struct Submitted {
    jobid: String,
}

impl Flink {
    /// See [`crate::remote::Service::submit`].
    pub(super) async fn submit_job(&self, launch: &Launch<'_>) -> Result<Launched, EngineError> {
        let program = program::of(launch, self.settings.python.as_deref(), self.settings.shows_stdout).await?;
        let incarnation = self.life().await?;
        let body = body(launch, &program);
        self.ids.remember(launch.tag).map_err(EngineError::NotSent)?;
        if self.settings.shows_stdout {
            self.spools.begin(&self.rest, launch.tag).await?;
        }
        let answer = self.upload_and_run(&program, &body).await?;
        if self.settings.shows_stdout {
            self.spools.main_printed(&self.rest, launch.tag).await;
        }
        let launched = |reference: String, note| Launched { reference, incarnation: incarnation.clone(), note };
        if answer.status.is_success() {
            let submitted: Submitted = answer.json()?;
            return Ok(launched(submitted.jobid, None));
        }
        let id = job_id(launch.tag);
        let refusal = match (refusal::read(&answer), program.fault.and_then(|file| fs::read_to_string(file).ok())) {
            // All that Flink knows of a program in Python is the number that it ended with.
            (Refusal::Program(_), Some(fault)) if refusal::repeated(&fault) => Refusal::Repeated,
            (Refusal::Program(why), Some(fault)) => Refusal::Program(refusal::root_cause(&fault).unwrap_or(why)),
            (refusal, _) => refusal,
        };
        if refusal == Refusal::Repeated {
            return Ok(launched(id, None));
        }
        // A program may fail after it handed its job over, and then the job runs.
        let there = self.rest.send(Method::GET, &format!("/jobs/{id}"), |request| request).await?;
        if there.found()?.is_some() {
            let note = match refusal {
                Refusal::Program(why) => Some(format!("the program's main failed after it submitted the job: {why}")),
                _ => None,
            };
            return Ok(launched(id, note));
        }
        match refusal {
            Refusal::Program(why) => Err(EngineError::Refused(why)),
            _ => Err(answer.unexpected()),
        }
    }

    /// The run, with its jar uploaded where it is not there.
    async fn upload_and_run(&self, program: &Program, body: &Value) -> Result<Answer, EngineError> {
        let mut jar = self.jars.ensure(&self.rest, &program.jar).await?;
        let mut answer = self.run(&jar, body).await?;
        if !answer.status.is_success() && refusal::read(&answer) == Refusal::NoJar {
            jar = self.jars.ensure(&self.rest, &program.jar).await?;
            answer = self.run(&jar, body).await?;
        }
        if program.is_script {
            self.jars.remove(&self.rest, &jar).await;
        }
        Ok(answer)
    }

    async fn run(&self, jar: &str, body: &Value) -> Result<Answer, EngineError> {
        let path = format!("/jars/{jar}/run");
        self.rest.send(Method::POST, &path, |request| request.timeout(RUN).json(body)).await
    }
}

/// What is asked of Flink. Our identity comes last, so that no setting of the job's replaces it.
fn body(launch: &Launch<'_>, program: &Program) -> Value {
    let Some(Plan::Flink { parallelism, savepoint, allow_non_restored, settings, .. }) = launch.plan else {
        return Value::Null;
    };
    let mut body = Map::new();
    body.insert("jobId".to_owned(), json!(job_id(launch.tag)));
    body.insert("programArgsList".to_owned(), json!(program.args));
    body.extend(program.class.as_ref().map(|class| ("entryClass".to_owned(), json!(class))));
    body.extend(parallelism.map(|many| ("parallelism".to_owned(), json!(many))));
    if let Some(path) = savepoint {
        body.insert("savepointPath".to_owned(), json!(path));
        body.insert("allowNonRestoredState".to_owned(), json!(allow_non_restored));
    }
    body.insert("flinkConfiguration".to_owned(), json!(configuration(settings, &program.settings, launch.tag)));
    Value::Object(body)
}

fn configuration(
    settings: &BTreeMap<String, String>,
    of_program: &BTreeMap<String, String>,
    tag: &Tag,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([(NAME.to_owned(), tag.to_string())]);
    all.extend(settings.clone());
    all.extend(of_program.clone());
    all.insert(PARAMETERS.to_owned(), format!("{TAG}:{tag}"));
    all
}
