//! The table of `docs/engines.md`: which kind of job runs on clusters of which plugin, how that is proven, and why not.

use std::fmt::Write;

use foggara_domain::{direct::Kind, job_type, plan::PlanKind};

use crate::{Ability, Plugin, Plugins, Proof};

/// What stands in the page before the table.
pub const BEGIN: &str = "<!-- The table is made by a test of src/cmd/engines.rs. -->";
/// What stands behind it.
pub const END: &str = "<!-- End of the table. -->";

/// The table: a row per job type, a column per plugin.
pub fn of(plugins: &Plugins) -> String {
    let mut text = String::from("| job type |");
    for plugin in plugins.iter() {
        let _ = write!(text, " `{}` |", plugin.name());
    }
    let _ = write!(text, "\n|---|{}\n", "---|".repeat(plugins.iter().count()));
    let sahara = job_type::ALL.iter().filter(|job_type| job_type.is_sahara);
    let sahara = sahara.map(|job_type| (format!("Sahara {}", job_type.name), job_type.plan_kind));
    let mrs = Kind::all().map(|kind| (format!("MRS {}", kind.v2_name()), kind.plan_kind()));
    for (name, kind) in sahara.chain(mrs) {
        let _ = write!(text, "| {name} |");
        for plugin in plugins.iter() {
            let _ = write!(text, " {} |", cell(plugin.as_ref(), kind));
        }
        text.push('\n');
    }
    text
}

/// What a host lacks for it does not count here: `foggara doctor` tells that.
fn cell(plugin: &dyn Plugin, kind: PlanKind) -> String {
    match (plugin.ability(kind), plugin.proof(kind)) {
        (Ability::Never, _) => format!("refused: {}", plugin.refusal(kind)),
        (_, Proof::Real) => "runs".to_owned(),
        (_, Proof::Fake) => "fake".to_owned(),
    }
}
