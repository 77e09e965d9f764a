//! Why a script failed: one line that says what, where, and what to do.

use std::{fmt, sync::OnceLock};

use datafusion::{
    error::DataFusionError,
    sql::sqlparser::{parser::ParserError, tokenizer::Location},
};

/// A failure in words for the owner of the script.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    what: String,
    /// Where in the script, counted from 1.
    place: Option<Location>,
    /// What to do.
    hint: Option<String>,
}

/// Result of everything here.
pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// A failure without a place.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), place: None, hint: None }
    }

    /// Says where; line 0 means unknown. The first place said stays.
    #[must_use]
    pub fn at(mut self, place: Location) -> Self {
        if place.line > 0 && self.place.is_none() {
            self.place = Some(place);
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where, instead of what was said before.
    #[must_use]
    pub fn moved(mut self, place: Location) -> Self {
        self.place = Some(place);
        self
    }

    /// For a failed operation on a file.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Carries the failure through DataFusion; [`From`] finds it again.
    pub fn carried(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.what.trim().trim_end_matches('.').to_owned();
        if let Some(place) = self.place {
            line += &format!(", line {}, column {}", place.line, place.column);
        }
        if let Some(hint) = &self.hint {
            line += &format!(". Hint: {hint}");
        }
        // The supervisor reads one line.
        f.write_str(&line.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl std::error::Error for Fault {}

impl From<ParserError> for Fault {
    /// The parser ends its message with `at Line: 1, Column: 8`.
    fn from(error: ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => return Self::new("the statement is nested too deeply"),
        };
        let (what, place) = split_place(&text);
        let fault = Self::new(format!("syntax error: {what}"));
        match place {
            Some(place) => fault.at(place),
            None => fault,
        }
    }
}

/// Takes the place off the end of a message of the parser.
fn split_place(text: &str) -> (String, Option<Location>) {
    let Some((what, rest)) = text.rsplit_once(" at Line: ") else { return (text.to_owned(), None) };
    let mut numbers = rest.split(", Column: ").map(|number| number.trim().parse::<u64>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (what.to_owned(), Some(Location { line, column })),
        _ => (text.to_owned(), None),
    }
}

/// Bytes that operators may take; for the reason of a failure.
static MEMORY: OnceLock<u64> = OnceLock::new();

/// Remembers the memory limit.
pub fn set_memory(bytes: u64) {
    MEMORY.set(bytes).ok();
}

impl From<DataFusionError> for Fault {
    fn from(error: DataFusionError) -> Self {
        if let DataFusionError::ResourcesExhausted(text) = error.find_root() {
            let bytes = MEMORY.get().copied().unwrap_or(0);
            return Self::new(format!("over the memory limit of {bytes} bytes: {}", text.lines().next().unwrap_or("")))
                .hint("raise the limit, or make the query smaller: joins keep one side in memory and do not spill");
        }
        convert(error, None)
    }
}

/// Looks through the wrappings of an error for a failure of ours, a place, or a reason that has better words.
fn convert(error: DataFusionError, place: Option<Location>) -> Fault {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Fault>() {
            Ok(fault) => match place {
                Some(place) => (*fault).at(place),
                None => *fault,
            },
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(inner) => convert(*inner, place),
                Err(inner) => located(Fault::new(inner.to_string()), place),
            },
        },
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let found = diagnostic.span.map(|span| Location { line: span.start.line, column: span.start.column });
            convert(*inner, place.or(found))
        }
        DataFusionError::Context(_, inner) => convert(*inner, place),
        DataFusionError::Shared(inner) => {
            let text = inner.to_string();
            match find_fault(&inner) {
                Some(fault) => {
                    located(Fault { what: fault.what.clone(), place: fault.place, hint: fault.hint.clone() }, place)
                }
                None => located(Fault::new(strip(&text)), place),
            }
        }
        DataFusionError::Collection(mut errors) if !errors.is_empty() => convert(errors.swap_remove(0), place),
        DataFusionError::SQL(error, _) => located(Fault::from(*error), place),
        DataFusionError::ObjectStore(error) => {
            let text =
                std::iter::successors(Some(&*error as &(dyn std::error::Error + 'static)), |error| error.source())
                    .find_map(|error| error.downcast_ref::<Fault>().map(ToString::to_string))
                    .unwrap_or_else(|| format!("storage: {error}"));
            located(Fault::new(text), place)
        }
        other => {
            let what = strip(&other.to_string());
            let missing = what.starts_with("table '") && what.ends_with("' not found");
            let fault = Fault::new(what);
            located(if missing { fault.hint("SHOW TABLES lists those that exist") } else { fault }, place)
        }
    }
}

/// A failure of ours below shared wrappings.
fn find_fault(error: &DataFusionError) -> Option<&Fault> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Some(fault);
        }
        next = error.source();
    }
    None
}

fn located(fault: Fault, place: Option<Location>) -> Fault {
    match place {
        Some(place) => fault.at(place),
        None => fault,
    }
}

/// Without the words with which DataFusion begins most messages.
fn strip(text: &str) -> String {
    let mut text = text;
    for word in [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "External error: ",
        "Arrow error: ",
        "Internal error: ",
        "Compute error: ",
        "type_coercion caused by ",
        "Optimizer rule 'type_coercion' failed",
    ] {
        text = text.strip_prefix(word).unwrap_or(text);
    }
    // The only catalogue has a name that no script says.
    text.split("This issue was likely caused by a bug").next().unwrap_or(text).replace("'project.", "'")
}
