//! One status in the words of each view (mrs-v1.1.md section 2, mrs-v2.md section 4).

/// Sahara's statuses with V1.1's `job_state` and `job_final_status` and V2's `job_state` and `job_result`.
const ROWS: [(&str, i64, i64, &str, &str); 12] = [
    ("PENDING", 1, 0, "NEW", "UNDEFINED"),
    ("READYTORUN", 1, 0, "SUBMITTED", "UNDEFINED"),
    ("PREP", 1, 0, "ACCEPTED", "UNDEFINED"),
    ("RUNNING", 2, 0, "RUNNING", "UNDEFINED"),
    ("TOBEKILLED", 2, 0, "RUNNING", "UNDEFINED"),
    ("TOBESUSPENDED", 2, 0, "RUNNING", "UNDEFINED"),
    ("SUSPENDED", 2, 0, "RUNNING", "UNDEFINED"),
    ("SUSPENDFAILED", 2, 0, "RUNNING", "UNDEFINED"),
    ("SUCCEEDED", 3, 2, "FINISHED", "SUCCEEDED"),
    ("FAILED", 4, 1, "FAILED", "FAILED"),
    ("DONEWITHERROR", 4, 1, "FAILED", "FAILED"),
    ("KILLED", -1, 3, "KILLED", "KILLED"),
];
/// Words that V2's filter knows and no job of ours is in.
const UNUSED: [&str; 1] = ["NEW_SAVING"];

fn row(status: &str) -> (&'static str, i64, i64, &'static str, &'static str) {
    // A word of an engine that is not in the table: it has a job.
    *ROWS.iter().find(|row| row.0 == status).unwrap_or(&("RUNNING", 2, 0, "RUNNING", "UNDEFINED"))
}

/// V1.1's `job_state` and `job_final_status`.
pub fn numbers(status: &str) -> (i64, i64) {
    let row = row(status);
    (row.1, row.2)
}

/// V2's `job_state` and `job_result`.
pub fn words(status: &str) -> (&'static str, &'static str) {
    let row = row(status);
    (row.3, row.4)
}

/// Sahara's statuses of a number of V1.1; nothing when V1.1 does not know it. 5 is known and never shown.
pub fn of_number(number: i64) -> Option<Vec<&'static str>> {
    let found: Vec<_> = ROWS.iter().filter(|row| row.1 == number).map(|row| row.0).collect();
    (!found.is_empty() || number == 5).then_some(found)
}

/// Sahara's statuses of V2's state and result; nothing when a word is unknown.
pub fn of_words(state: Option<&str>, result: Option<&str>) -> Option<Vec<&'static str>> {
    let known_state = |word: &str| UNUSED.contains(&word) || ROWS.iter().any(|row| row.3 == word);
    let known_result = |word: &str| ROWS.iter().any(|row| row.4 == word);
    if state.is_some_and(|word| !known_state(word)) || result.is_some_and(|word| !known_result(word)) {
        return None;
    }
    let fits = |row: &&(&str, i64, i64, &str, &str)| {
        state.is_none_or(|word| row.3 == word) && result.is_none_or(|word| row.4 == word)
    };
    Some(ROWS.iter().filter(fits).map(|row| row.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_finds_what_a_view_shows() {
        for (status, state, _, word, result) in ROWS {
            assert_eq!((numbers(status).0, words(status)), (state, (word, result)));
            assert!(of_number(state).is_some_and(|found| found.contains(&status)));
            assert!(of_words(Some(word), Some(result)).is_some_and(|found| found.contains(&status)));
        }
        assert_eq!(of_words(Some("FINISHED"), None), Some(vec!["SUCCEEDED"]));
        assert_eq!(of_words(Some("NEW_SAVING"), None), Some(vec![]));
        assert_eq!(of_words(Some("RUNNING"), Some("KILLED")), Some(vec![]));
        assert_eq!((of_words(Some("running"), None), of_number(9)), (None, None));
    }
}
