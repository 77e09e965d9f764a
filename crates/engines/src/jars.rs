//! A jar that is none is named before anything is launched: an engine would say that a class is missing, or nothing.

use std::{fs, io::Read};

use foggara_domain::plan::Plan;

/// Looks at the jars among a plan's files. One that is not on this host is the engine's to find. The error is for the user.
pub(crate) fn check(plan: &Plan) -> Result<(), String> {
    let jars =
        plan.files().into_iter().filter(|file| file.extension().is_some_and(|end| end.eq_ignore_ascii_case("jar")));
    for jar in jars {
        let mut head = [0; 2];
        let Ok(mut file) = fs::File::open(jar) else { continue };
        if file.read_exact(&mut head).is_err() || head != *b"PK" {
            let name = jar.file_name().unwrap_or_default().to_string_lossy();
            return Err(format!(
                "{name} is no jar: it does not begin as a zip archive does. Was something else uploaded?"
            ));
        }
    }
    Ok(())
}
