//! Whether the parts that an answer needs can be had at present (`/readyz`).

use crate::App;

/// A part and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which part: `database`, `engine local`, ...
    pub name: String,
    /// Whether requests that need it can be answered.
    pub ready: bool,
    /// Why, in a line for a person.
    pub reason: String,
}

/// Looks at the database and at the engines of this server.
pub async fn check(app: &App) -> Vec<Part> {
    let kind = format!("{:?}", app.db().kind());
    let database = match app.db().ping().await {
        Ok(()) => Part { name: "database".to_owned(), ready: true, reason: format!("{kind} answers") },
        Err(error) => Part { name: "database".to_owned(), ready: false, reason: error.to_string() },
    };
    let mut parts = vec![database];
    for engine in app.engines().iter() {
        let cap = engine.max_running().map_or("any number of jobs".to_owned(), |cap| format!("at most {cap} jobs"));
        let reason = format!("runs {cap} at once");
        parts.push(Part { name: format!("engine {}", engine.plugin()), ready: true, reason });
    }
    if parts.len() == 1 {
        let reason = "no engine is configured: executions would wait for ever".to_owned();
        parts.push(Part { name: "engines".to_owned(), ready: false, reason });
    }
    parts
}
