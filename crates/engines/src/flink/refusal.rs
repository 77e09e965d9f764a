//! What Flink says when it does not take a job: stack traces, of which one line is for a person.

use reqwest::StatusCode;
use serde_json::Value;

use crate::remote::rest::Answer;

/// A job with this id was submitted before.
const REPEATED: [&str; 2] = ["DuplicateJobSubmissionException", "DuplicateApplicationSubmissionException"];
/// The jar went between the look and the run.
const NO_JAR: &str = ".jar does not exist";
/// With a 500 these come of the program, anything else of the service.
const OF_PROGRAM: [&str; 3] = ["ProgramInvocationException", "ProgramParametrizationException", "NoSuchMethodError"];
/// With a 400 these come of the service.
const OF_SERVICE: [&str; 3] = ["TimeoutException", "java.lang.OutOfMemoryError", "java.nio.file.NoSuchFileException"];

/// Why a job was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its id is there already.
    Repeated,
    /// Its jar is not.
    NoJar,
    /// The program is at fault; the line says how.
    Program(String),
    /// Nobody knows.
    Other,
}

/// Reads an answer that is no success.
pub fn read(answer: &Answer) -> Refusal {
    if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR) {
        return Refusal::Other;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&answer.bytes) else { return Refusal::Other };
    let text = String::from_utf8_lossy(&answer.bytes);
    let holds = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if repeated(&text) {
        return Refusal::Repeated;
    }
    if holds(&[NO_JAR]) {
        return Refusal::NoJar;
    }
    let lines = body.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let all = lines.collect::<Vec<_>>().join("\n");
    let cause = root_cause(&all).unwrap_or_else(|| answer.text());
    let of_program = match answer.status {
        StatusCode::BAD_REQUEST => !OF_SERVICE.iter().any(|word| cause.contains(word)),
        _ => holds(&OF_PROGRAM),
    };
    if of_program { Refusal::Program(cause) } else { Refusal::Other }
}

/// Whether Flink says that it had the job before.
pub fn repeated(text: &str) -> bool {
    REPEATED.iter().any(|word| text.contains(word))
}

/// The first line of the innermost cause of a stack trace.
pub fn root_cause(trace: &str) -> Option<String> {
    let told = |line: &&str| {
        !line.trim().is_empty() && !line.starts_with(['\t', '<']) && !line.starts_with("Internal server error")
    };
    let lines: Vec<&str> = trace.lines().filter(told).collect();
    let innermost = lines.iter().rev().find_map(|line| line.strip_prefix("Caused by: "));
    let line = innermost.or_else(|| lines.first().copied())?;
    // What the class of an exception of Flink's or our own adds is of no use to a person; that of a program's may be.
    let line = line.trim().trim_start_matches("java.util.concurrent.CompletionException: ");
    let of_flink = |class: &str| {
        ["org.apache.flink.", "io.foggara."].iter().any(|ours| class.starts_with(ours)) && !class.contains(' ')
    };
    Some(match line.split_once(": ") {
        Some((class, rest)) if of_flink(class) => rest.to_owned(),
        _ => line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, errors: &[&str]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            bytes: serde_json::json!({ "errors": errors }).to_string().into_bytes(),
            asked: "POST x".to_owned(),
            service: "the Flink JobManager",
        }
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let trace = "org.apache.flink.runtime.JobException: Recovery is suppressed\n\tat a.B.c(D.java:1)\nCaused by: \
                     org.apache.flink.E: x\n\t... 4 more\nCaused by: java.lang.RuntimeException: task\nhas failed\n\tat x";
        assert_eq!(root_cause(trace).as_deref(), Some("java.lang.RuntimeException: task"));
        assert_eq!(root_cause("org.apache.flink.E: No jobs\n\tat x").as_deref(), Some("No jobs"));
        assert_eq!(root_cause(""), None);
    }

    /// The texts are those of Flink 2.3.0.
    #[test]
    fn the_program_or_the_service() {
        let thrown = "org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.\n\tat a\n\
                      Caused by: java.lang.IllegalStateException: enough\n\tat b";
        assert_eq!(
            read(&answer(400, &[thrown])),
            Refusal::Program("java.lang.IllegalStateException: enough".to_owned())
        );
        let none =
            "org.apache.flink.runtime.rest.handler.RestHandlerException: No jobs included in application.\n\tat a";
        assert_eq!(read(&answer(400, &[none])), Refusal::Program("No jobs included in application.".to_owned()));
        let class = "<Exception on server side:\njava.util.concurrent.CompletionException: \
                     org.apache.flink.client.program.ProgramInvocationException: The program's entry point class 'Nix' was not \
                     found in the jar file.\n\tat a\nCaused by: java.lang.ClassNotFoundException: Nix\n\tat b\n\nEnd of \
                     exception on server side>";
        let told = Refusal::Program("java.lang.ClassNotFoundException: Nix".to_owned());
        assert_eq!(read(&answer(500, &["Internal server error.", class])), told);
        let twice = "Caused by: org.apache.flink.runtime.client.DuplicateApplicationSubmissionException: Application has \
                     already been submitted.";
        assert_eq!(read(&answer(400, &[twice])), Refusal::Repeated);
        let gone =
            "org.apache.flink.runtime.rest.handler.RestHandlerException: Jar file /u/a.jar does not exist\n\tat a";
        assert_eq!(read(&answer(500, &["Internal server error.", gone])), Refusal::NoJar);
        assert_eq!(read(&answer(500, &["Internal server error."])), Refusal::Other);
        assert_eq!(read(&answer(400, &["Caused by: java.util.concurrent.TimeoutException: x"])), Refusal::Other);
        assert_eq!(read(&answer(503, &[thrown])), Refusal::Other);
    }
}
