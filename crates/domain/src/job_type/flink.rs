//! Flink: a jar with a program that builds a flow.

use super::{Staged, has_extension, invalid};
use crate::{Result, plan::Plan};

/// How many tasks of each kind there are, unless the program says.
const PARALLELISM: &str = "parallelism.default";

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let main = staged.main()?;
    refuse_python(&main.name)?;
    if staged.mains.len() > 1 || !staged.libs.is_empty() {
        return invalid("a Flink job is one jar: its libraries have to be packed into it");
    }
    let mut settings = staged.own_configs();
    let parallelism = settings.remove(PARALLELISM).map(|text| parallelism(PARALLELISM, &text)).transpose()?;
    Ok(Plan::Flink {
        jar: main.path.clone(),
        entry_class: staged.config("edp.java.main_class"),
        args: staged.args.clone(),
        parallelism,
        savepoint: None,
        allow_non_restored: false,
        settings,
    })
}

/// Refuses a program in Python: Flink's REST has no way to bring it to the JobManager.
pub fn refuse_python(name: &str) -> Result<()> {
    if has_extension(name.as_ref(), &["py", "PY"]) {
        return invalid(format!("{name} is a Python program: Flink's REST runs jars only"));
    }
    Ok(())
}

/// A parallelism; `place` is where it stands.
pub fn parallelism(place: &str, text: &str) -> Result<u32> {
    match text.trim().parse() {
        Ok(many) if many > 0 => Ok(many),
        _ => invalid(format!("{place} is '{text}'; it has to be a whole number greater than 0")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::job_type::StagedFile;

    fn staged(name: &str, configs: &[(&str, &str)]) -> Staged {
        Staged {
            mains: vec![StagedFile { name: name.to_owned(), path: format!("/w/{name}").into() }],
            configs: configs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect(),
            args: vec!["a b".to_owned()],
            ..Staged::default()
        }
    }

    #[test]
    fn a_jar_becomes_a_plan() {
        let given = [("edp.java.main_class", "C"), ("parallelism.default", "2"), ("pipeline.name", "n")];
        let wanted = Plan::Flink {
            jar: "/w/a.jar".into(),
            entry_class: Some("C".to_owned()),
            args: vec!["a b".to_owned()],
            parallelism: Some(2),
            savepoint: None,
            allow_non_restored: false,
            settings: BTreeMap::from([("pipeline.name".to_owned(), "n".to_owned())]),
        };
        assert_eq!(plan(&staged("a.jar", &given)).expect("a plan"), wanted);
    }

    #[test]
    fn what_the_rest_cannot_run_is_refused() {
        let why = |staged: &Staged| plan(staged).expect_err("refused").to_string();
        assert!(why(&staged("a.py", &[])).contains("runs jars only"));
        assert!(why(&staged("a.jar", &[("parallelism.default", "0")])).contains("parallelism.default is '0'"));
        let mut libs = staged("a.jar", &[]);
        libs.libs = staged("l.jar", &[]).mains;
        assert!(why(&libs).contains("one jar"));
    }
}
