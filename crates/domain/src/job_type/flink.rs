//! Flink: a program that builds a flow: a jar, a script of SQL, or a program in Python.

use super::{Staged, has_extension, invalid};
use crate::{Result, plan::Plan};

/// How many tasks of each kind there are, unless the program says.
const PARALLELISM: &str = "parallelism.default";

pub(super) fn plan(staged: &Staged) -> Result<Plan> {
    let main = staged.main()?;
    let kind = Kind::of(&main.name);
    if staged.mains.len() > 1 {
        return invalid("a Flink job has one main: a jar, a script of SQL (.sql) or a program in Python (.py)");
    }
    if kind == Kind::Jar && !staged.libs.is_empty() {
        return invalid("a Flink job is one jar: its libraries have to be packed into it");
    }
    if kind == Kind::Sql && staged.libs.iter().any(|lib| !has_extension(lib.name.as_ref(), &["jar"])) {
        return invalid("the libs of a script of SQL are jars: what its functions and connectors need");
    }
    let entry_class = staged.config("edp.java.main_class");
    kind.check(&main.name, entry_class.as_deref(), &staged.args)?;
    let mut settings = staged.own_configs();
    let parallelism = settings.remove(PARALLELISM).map(|text| parallelism(PARALLELISM, &text)).transpose()?;
    Ok(Plan::Flink {
        main: main.path.clone(),
        libs: staged.libs.iter().map(|lib| lib.path.clone()).collect(),
        entry_class,
        args: staged.args.clone(),
        parallelism,
        savepoint: None,
        allow_non_restored: false,
        settings,
    })
}

/// What a main is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A jar, and whatever has another name.
    Jar,
    /// A script of SQL.
    Sql,
    /// A program in Python.
    Python,
}

impl Kind {
    /// Of a file or url.
    pub fn of(name: &str) -> Self {
        if has_extension(name.as_ref(), &["py", "PY"]) {
            Self::Python
        } else if has_extension(name.as_ref(), &["sql", "SQL"]) {
            Self::Sql
        } else {
            Self::Jar
        }
    }

    /// Refuses what this kind of main cannot use.
    pub fn check(self, name: &str, class: Option<&str>, args: &[String]) -> Result<()> {
        if self != Self::Jar && class.is_some() {
            return invalid(format!("{name} has no main class: leave it out"));
        }
        if self == Self::Sql && !args.is_empty() {
            return invalid(format!("{name} is a script of SQL and takes no arguments"));
        }
        Ok(())
    }
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
            main: "/w/a.jar".into(),
            libs: Vec::new(),
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
    fn scripts_have_libs_and_no_class() {
        for (name, lib) in [("a.sql", "l.jar"), ("a.py", "l.zip")] {
            let mut given = staged(name, &[]);
            given.libs = staged(lib, &[]).mains;
            if name == "a.sql" {
                assert!(plan(&given).expect_err("refused").to_string().contains("takes no arguments"));
                given.args.clear();
            }
            let Plan::Flink { main, libs, .. } = plan(&given).expect("a plan") else { panic!("not Flink") };
            assert_eq!((main, libs), (format!("/w/{name}").into(), vec![format!("/w/{lib}").into()]));
            given.configs.insert("edp.java.main_class".to_owned(), json!("C"));
            assert!(plan(&given).expect_err("refused").to_string().contains("no main class"));
        }
    }

    #[test]
    fn what_the_rest_cannot_run_is_refused() {
        let why = |staged: &Staged| plan(staged).expect_err("refused").to_string();
        let mut text = staged("a.sql", &[]);
        text.libs = staged("l.py", &[]).mains;
        assert!(why(&text).contains("are jars"));
        assert!(why(&staged("a.jar", &[("parallelism.default", "0")])).contains("parallelism.default is '0'"));
        let mut libs = staged("a.jar", &[]);
        libs.libs = staged("l.jar", &[]).mains;
        assert!(why(&libs).contains("one jar"));
    }
}
