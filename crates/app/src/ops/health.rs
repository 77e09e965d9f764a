//! Whether the parts that an answer needs can be had at present (`/readyz`).

use crate::App;

/// A part and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which part: `database`, `plugin local`, ...
    pub name: String,
    /// Whether requests that need it can be answered.
    pub ready: bool,
    /// Why, in a line for a person.
    pub reason: String,
}

/// Looks at the database and at the plugins of this server.
pub async fn check(app: &App) -> Vec<Part> {
    let kind = format!("{:?}", app.db().kind());
    let database = match app.db().ping().await {
        Ok(()) => Part { name: "database".to_owned(), ready: true, reason: format!("{kind} answers") },
        Err(error) => Part { name: "database".to_owned(), ready: false, reason: error.to_string() },
    };
    let mut parts = vec![database];
    for plugin in app.plugins().iter() {
        let reason = "clusters of it can be made".to_owned();
        parts.push(Part { name: format!("plugin {}", plugin.name()), ready: true, reason });
    }
    if parts.len() == 1 {
        let reason = "no plugin is configured: executions would wait for ever".to_owned();
        parts.push(Part { name: "plugins".to_owned(), ready: false, reason });
    }
    parts
}
