//! `docs/routes.md`: every route with its rule, as one table per surface, made from the table of routes.

use std::fmt::Write;

use crate::route::{Answer, Route, Surface};

/// The page.
pub fn page(routes: &[Route]) -> String {
    let mut text = String::from(
        "# Routes\n\nMade from the table of routes by a test of `foggara-api`; `foggara openapi` prints the same as OpenAPI 3.1.\n\n\
         Every path of `/v1.0`, `/v1.1` and `/v2` also exists with a project id before the rule (`/v1.1/{project_id}/jobs`) and \
         with `.json` at its end; HEAD works wherever GET does. A rule is what `policy.yaml` can override.\n",
    );
    for (surface, title) in [
        (Surface::Sahara, "Sahara"),
        (Surface::MrsV11, "MRS V1.1, beside Sahara's routes"),
        (Surface::MrsV2, "MRS V2"),
        (Surface::Own, "foggara's own"),
        (Surface::Identity, "Identity (embedded)"),
        (Surface::Ops, "Operations, open to everybody"),
    ] {
        let _ = write!(text, "\n## {title}\n\n| route | answers | rule | what |\n|---|---|---|---|\n");
        for route in routes.iter().filter(|route| route.surface == surface) {
            let answer = match route.answer {
                Answer::Json(status, what) => format!("{status} `{what}`"),
                Answer::Bytes => "200 bytes".to_owned(),
                Answer::Log => "200 bytes or events".to_owned(),
                Answer::Text => "200 text".to_owned(),
                Answer::Nothing => "204".to_owned(),
            };
            let rule = route.rule.map_or(String::new(), |rule| format!("`{rule}`"));
            let _ = writeln!(text, "| {} `{}` | {answer} | {rule} | {} |", route.method, route.path, route.summary);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routes.md");
        let wanted = super::page(&crate::route_list());
        if env::var_os("FOGGARA_WRITE_DOCS").is_some() {
            fs::write(path, &wanted).expect("written");
        }
        let found = fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/routes.md is not up to date: FOGGARA_WRITE_DOCS=1 cargo test -p foggara-api the_page_is_up_to_date writes it"
        );
    }
}
