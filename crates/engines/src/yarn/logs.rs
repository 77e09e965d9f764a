//! Logs of the master's container: of its NodeManager while that has them, of the history server once they are collected. Both
//! give a file from its beginning or its end, with a head that says how long it is; we want it from an offset on.

use serde_json::Value;

use crate::{
    EngineError, LogPiece,
    plugin::number,
    remote::rest::{Answer, Rest},
};

/// By how much a log may grow between two requests so that the second one still holds what is asked for.
const GROWTH: u64 = 64 * 1024;

/// The size of a file in a listing of `GET .../containers/{id}/logs`. What lies around `fileName` and `fileSize` differs between
/// versions and services; collected and uncollected parts of one file stand there one by one.
fn size_of(listing: &Value, name: &str) -> Option<u64> {
    match listing {
        Value::Array(parts) => parts.iter().filter_map(|part| size_of(part, name)).max(),
        Value::Object(members) if members.get("fileName").and_then(Value::as_str) == Some(name) => {
            members.get("fileSize").and_then(number)
        }
        Value::Object(members) => members.values().filter_map(|member| size_of(member, name)).max(),
        _ => None,
    }
}

/// A piece of a container's log. `root` is `/ws/v1/node` or `/ws/v1/history`. Nothing where that service does not have it.
pub(super) async fn piece(
    rest: &Rest,
    path: impl Fn(&str) -> String,
    root: &str,
    (container, name): (&str, &str),
    offset: u64,
    limit: usize,
) -> Result<Option<LogPiece>, EngineError> {
    let folder = format!("{root}/containers/{container}/logs");
    let Some(listing) = had(rest.look(&path(&folder)).await?)? else { return Ok(None) };
    let size = size_of(&listing.json()?, name);
    let Some(size) = size else { return Ok(None) };
    if size <= offset {
        return Ok(Some(LogPiece { bytes: Vec::new(), next_offset: offset, size }));
    }
    let (head, tail) = (offset.saturating_add(limit as u64), (size - offset).saturating_add(GROWTH));
    let asked = if head <= tail { head.to_string() } else { format!("-{tail}") };
    let Some(answer) = had(rest.look(&path(&format!("{folder}/{name}?size={asked}"))).await?)? else { return Ok(None) };
    let (length, content) = content(&answer.bytes, head.min(tail));
    // Where the content begins in the file.
    let begins = if head <= tail { 0 } else { length.saturating_sub(tail) };
    if begins > offset {
        return Err(EngineError::Unreachable(format!(
            "the log {name} of {container} grows too fast to be read: ask again"
        )));
    }
    let skip = usize::try_from(offset - begins).unwrap_or(usize::MAX).min(content.len());
    let bytes = content[skip..].iter().copied().take(limit).collect::<Vec<u8>>();
    let next_offset = offset + bytes.len() as u64;
    Ok(Some(LogPiece { bytes, next_offset, size: length.max(size) }))
}

/// Nothing where the service says that it does not have it: 404, or a redirect to whoever may have it, which we ask ourselves.
fn had(answer: Answer) -> Result<Option<Answer>, EngineError> {
    if answer.status.is_redirection() { Ok(None) } else { answer.found() }
}

/// The length of the file and what was sent of it, at most `asked` bytes. Around the content stand lines of YARN:
/// `LogType:`, `LogLength:`, `LogContents:` before it, `End of LogType:` behind it.
fn content(answer: &[u8], asked: u64) -> (u64, &[u8]) {
    const LENGTH: &[u8] = b"\nLogLength:";
    const CONTENT: &[u8] = b"\nLogContents:\n";
    let find = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).position(|window| window == needle);
    let whole = (answer.len() as u64, answer);
    let Some(at) = find(answer, CONTENT) else { return whole };
    let head = &answer[..=at];
    let Some(length) = find(head, LENGTH) else { return whole };
    let digits: String =
        head[length + LENGTH.len()..].iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
    let Ok(length) = digits.parse::<u64>() else { return whole };
    let content = &answer[at + CONTENT.len()..];
    // What comes after so many bytes is YARN's.
    let many = usize::try_from(length.min(asked)).unwrap_or(usize::MAX).min(content.len());
    (length, &content[..many])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_listings_of_all_versions() {
        let file = r#"{"fileName": "stdout", "fileSize": "12", "lastModifiedTime": "now"}"#;
        for text in [
            format!(r#"[{{"containerLogInfo": [{file}], "logAggregationType": "LOCAL"}}]"#),
            format!(
                r#"{{"containerLogsInfo": {{"containerLogInfo": [{{"fileName": "stderr", "fileSize": "3"}}, {file}]}}}}"#
            ),
            format!(r#"{{"containerLogsInfo": [{{"containerLogInfo": {file}}}]}}"#),
        ] {
            let listing = serde_json::from_str(&text).expect("JSON");
            assert_eq!(size_of(&listing, "stdout"), Some(12), "{text}");
        }
    }

    #[test]
    fn the_frame_is_taken_off() {
        let text = b"Container: container_1 on node:8041\nLogAggregationType: LOCAL\n=====\nLogType:stdout\n\
            LogLastModifiedTime:now\nLogLength:12\nLogContents:\nEnd of Log\nx\nEnd of LogType:stdout.This log file belongs to a \
            running container (container_1) and so may not be complete.\n*****\n\n";
        assert_eq!(content(text, 100), (12, &b"End of Log\nx"[..]));
        assert_eq!(content(text, 3), (12, &b"End"[..]));
        assert_eq!(content(b"plain", 100), (5, &b"plain"[..]));
    }
}
