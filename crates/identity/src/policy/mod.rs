//! Who may do what: one table from rule name to the kind of access (sahara-v1.1.md section 1.2, decision 16).
//!
//! The names are Sahara's, `data-processing:<collection>:<action>`. A rule that is not in the table allows nobody, so a
//! route with a misspelt rule fails its first test instead of standing open. An operator's policy.yaml says otherwise for the
//! rules that it names.

mod check;

use std::collections::BTreeMap;

use foggara_domain::{Caller, Error, Result};

use check::{Check, parse};

/// The role that may do everything that a policy knows.
pub const ADMIN: &str = "admin";
/// The role of an ordinary member of a project.
pub const MEMBER: &str = "member";
/// The role that, held alone, may only read.
pub const READER: &str = "reader";

/// What a rule asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Lists, gets, data, hints and exports: any role on the project.
    Read,
    /// Everything that changes something or asks an engine: any role on the project other than `reader` alone.
    Write,
    /// The role `admin`.
    Admin,
}

use Access::{Admin, Read, Write};

/// Every rule and what it asks.
pub const RULES: &[(&str, Access)] = &[
    ("data-processing:clusters:get_all", Read),
    ("data-processing:clusters:get", Read),
    ("data-processing:clusters:create", Write),
    ("data-processing:clusters:scale", Write),
    ("data-processing:clusters:modify", Write),
    ("data-processing:clusters:delete", Write),
    ("data-processing:cluster-templates:get_all", Read),
    ("data-processing:cluster-templates:get", Read),
    ("data-processing:cluster-templates:create", Write),
    ("data-processing:cluster-templates:modify", Write),
    ("data-processing:cluster-templates:delete", Write),
    ("data-processing:node-group-templates:get_all", Read),
    ("data-processing:node-group-templates:get", Read),
    ("data-processing:node-group-templates:create", Write),
    ("data-processing:node-group-templates:modify", Write),
    ("data-processing:node-group-templates:delete", Write),
    ("data-processing:plugins:get_all", Read),
    ("data-processing:plugins:get", Read),
    ("data-processing:plugins:get_version", Read),
    ("data-processing:plugins:convert_config", Write),
    ("data-processing:plugins:patch", Admin),
    ("data-processing:images:get_all", Read),
    ("data-processing:images:get", Read),
    ("data-processing:images:register", Write),
    ("data-processing:images:unregister", Write),
    ("data-processing:images:add_tags", Write),
    ("data-processing:images:remove_tags", Write),
    ("data-processing:data-sources:get_all", Read),
    ("data-processing:data-sources:get", Read),
    ("data-processing:data-sources:register", Write),
    ("data-processing:data-sources:modify", Write),
    ("data-processing:data-sources:delete", Write),
    ("data-processing:job-binaries:get_all", Read),
    ("data-processing:job-binaries:get", Read),
    ("data-processing:job-binaries:get_data", Read),
    ("data-processing:job-binaries:create", Write),
    ("data-processing:job-binaries:modify", Write),
    ("data-processing:job-binaries:delete", Write),
    ("data-processing:job-binary-internals:get_all", Read),
    ("data-processing:job-binary-internals:get", Read),
    ("data-processing:job-binary-internals:get_data", Read),
    ("data-processing:job-binary-internals:create", Write),
    ("data-processing:job-binary-internals:modify", Write),
    ("data-processing:job-binary-internals:delete", Write),
    ("data-processing:job-types:get_all", Read),
    ("data-processing:jobs:get_all", Read),
    ("data-processing:jobs:get", Read),
    ("data-processing:jobs:get_config_hints", Read),
    ("data-processing:jobs:create", Write),
    ("data-processing:jobs:modify", Write),
    ("data-processing:jobs:delete", Write),
    ("data-processing:jobs:execute", Write),
    ("data-processing:job-executions:get_all", Read),
    ("data-processing:job-executions:get", Read),
    ("data-processing:job-executions:refresh_status", Write),
    ("data-processing:job-executions:modify", Write),
    ("data-processing:job-executions:cancel", Write),
    ("data-processing:job-executions:delete", Write),
    ("data-processing:cluster:list", Read),
    ("data-processing:cluster:get", Read),
    ("data-processing:cluster:create", Write),
    ("data-processing:cluster:scale", Write),
    ("data-processing:cluster:update", Write),
    ("data-processing:cluster:delete", Write),
    ("data-processing:cluster-template:list", Read),
    ("data-processing:cluster-template:get", Read),
    ("data-processing:cluster-template:create", Write),
    ("data-processing:cluster-template:update", Write),
    ("data-processing:cluster-template:delete", Write),
    ("data-processing:node-group-template:list", Read),
    ("data-processing:node-group-template:get", Read),
    ("data-processing:node-group-template:create", Write),
    ("data-processing:node-group-template:update", Write),
    ("data-processing:node-group-template:delete", Write),
    ("data-processing:plugin:list", Read),
    ("data-processing:plugin:get", Read),
    ("data-processing:plugin:get-version", Read),
    ("data-processing:plugin:update", Admin),
    ("data-processing:image:list", Read),
    ("data-processing:image:get", Read),
    ("data-processing:image:register", Write),
    ("data-processing:image:unregister", Write),
    ("data-processing:image:get-tags", Read),
    ("data-processing:image:set-tags", Write),
    ("data-processing:image:remove-tags", Write),
    ("data-processing:data-source:list", Read),
    ("data-processing:data-source:get", Read),
    ("data-processing:data-source:register", Write),
    ("data-processing:data-source:update", Write),
    ("data-processing:data-source:delete", Write),
    ("data-processing:job-binary:list", Read),
    ("data-processing:job-binary:get", Read),
    ("data-processing:job-binary:get-data", Read),
    ("data-processing:job-binary:create", Write),
    ("data-processing:job-binary:update", Write),
    ("data-processing:job-binary:delete", Write),
    ("data-processing:job-template:list", Read),
    ("data-processing:job-template:get", Read),
    ("data-processing:job-template:get-config-hints", Read),
    ("data-processing:job-template:create", Write),
    ("data-processing:job-template:update", Write),
    ("data-processing:job-template:delete", Write),
    ("data-processing:job-type:list", Read),
    ("data-processing:job:list", Read),
    ("data-processing:job:get", Read),
    ("data-processing:job:execute", Write),
    ("data-processing:job:update", Write),
    ("data-processing:job:delete", Write),
];

/// What a rule asks; nothing when there is no such rule.
pub fn access(rule: &str) -> Option<Access> {
    RULES.iter().find(|(name, _)| *name == rule).map(|(_, access)| *access)
}

/// What every name of ours begins with; other names in a file are the operator's own, for `rule:`.
const OURS: &str = "data-processing:";

/// Who may do what: the table, and what an operator's file says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    overrides: BTreeMap<String, Check>,
}

impl Policy {
    /// Reads the text of a policy file: a YAML map from names to checks. The error names the line and what is wrong.
    pub fn read(text: &str) -> std::result::Result<Self, String> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return Ok(Self::default());
        }
        let rules: BTreeMap<String, serde_yaml_ng::Value> =
            serde_yaml_ng::from_str(text).map_err(|error| format!("it is not a map from rules to checks: {error}"))?;
        let at = |name: &str| {
            let line = text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(name));
            line.map_or_else(|| format!("'{name}'"), |line| format!("line {}: '{name}'", line + 1))
        };
        let mut overrides = BTreeMap::new();
        for (name, value) in &rules {
            if name.starts_with(OURS) && access(name).is_none() {
                return Err(format!("{}: there is no such rule{}", at(name), nearest(name)));
            }
            let text = match value {
                serde_yaml_ng::Value::String(text) => text.as_str(),
                serde_yaml_ng::Value::Null => "",
                _ => return Err(format!("{}: a check is a text, such as \"role:admin or role:member\"", at(name))),
            };
            let check = parse(text).map_err(|why| format!("{}: {why}", at(name)))?;
            overrides.insert(name.clone(), check);
        }
        for name in overrides.keys() {
            refers_well(name, &overrides, &mut Vec::new()).map_err(|why| format!("{}: {why}", at(name)))?;
        }
        Ok(Self { overrides })
    }

    /// Whether the caller may do what the rule names.
    ///
    /// # Errors
    /// [`Error::Forbidden`] in the words of the original.
    pub fn allowed(&self, rule: &str, caller: &Caller) -> Result<()> {
        let yes = match (self.overrides.get(rule), access(rule)) {
            (_, None) => false,
            (Some(check), _) => check.allows(caller, &self.overrides),
            (None, Some(Read)) => !caller.roles.is_empty(),
            (None, Some(Write)) => caller.roles.iter().any(|role| role != READER),
            (None, Some(Admin)) => caller.has_role(ADMIN),
        };
        if yes { Ok(()) } else { Err(Error::Forbidden(format!("{rule} is disallowed by policy"))) }
    }
}

/// What a rule refers to must be in the file, and not lead back to it.
fn refers_well(name: &str, rules: &BTreeMap<String, Check>, way: &mut Vec<String>) -> std::result::Result<(), String> {
    if way.iter().any(|known| known == name) {
        return Err(format!("it refers to itself by way of '{name}'"));
    }
    let check = rules.get(name).ok_or_else(|| format!("it refers to 'rule:{name}', which the file does not have"))?;
    way.push(name.to_owned());
    for next in check.refers_to() {
        refers_well(next, rules, way)?;
    }
    way.pop();
    Ok(())
}

/// The known rule with the same ending, for a hint.
fn nearest(name: &str) -> String {
    let score = |known: &str| {
        let same = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let end = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
        same + end
    };
    let best = RULES.iter().map(|(known, _)| *known).max_by_key(|known| score(known));
    best.map_or_else(String::new, |best| format!("; the nearest is '{best}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(roles: &[&str]) -> Caller {
        Caller {
            user: "u".into(),
            user_name: "u".into(),
            project: "p".into(),
            project_name: "p".into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        }
    }

    #[test]
    fn a_reader_alone_only_reads() {
        for (rule, access) in RULES {
            assert_eq!(Policy::default().allowed(rule, &caller(&["reader"])).is_ok(), *access == Read, "{rule}");
        }
        for rule in ["data-processing:job-executions:cancel", "data-processing:job-executions:refresh_status"] {
            assert_eq!(
                Policy::default().allowed(rule, &caller(&["reader"])),
                Err(Error::Forbidden(format!("{rule} is disallowed by policy")))
            );
        }
    }

    #[test]
    fn a_member_does_all_but_the_admins_part() {
        for roles in [&["member"][..], &["reader", "member"], &["operator"]] {
            for (rule, access) in RULES {
                assert_eq!(
                    Policy::default().allowed(rule, &caller(roles)).is_ok(),
                    *access != Admin,
                    "{rule} {roles:?}"
                );
            }
        }
        for (rule, _) in RULES {
            assert!(Policy::default().allowed(rule, &caller(&["admin"])).is_ok(), "{rule}");
        }
    }

    #[test]
    fn an_unknown_rule_and_a_caller_without_a_role_get_nothing() {
        assert!(Policy::default().allowed("data-processing:jobs:exceute", &caller(&["admin"])).is_err());
        assert!(RULES.iter().all(|(rule, _)| Policy::default().allowed(rule, &caller(&[])).is_err()));
    }

    #[test]
    fn each_rule_stands_once() {
        let mut names: Vec<_> = RULES.iter().map(|(rule, _)| rule).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }

    #[test]
    fn a_file_overrides_what_it_names() {
        let text = "# ours\nops: role:operator\n\"data-processing:jobs:execute\": rule:ops or role:admin\n\
                    \"data-processing:clusters:get_all\": \"!\"\n\"data-processing:plugins:patch\":\n";
        let policy = Policy::read(text).expect("a policy");
        assert!(policy.allowed("data-processing:jobs:execute", &caller(&["operator"])).is_ok());
        assert!(policy.allowed("data-processing:jobs:execute", &caller(&["member"])).is_err());
        assert!(policy.allowed("data-processing:clusters:get_all", &caller(&["admin"])).is_err());
        assert!(policy.allowed("data-processing:plugins:patch", &caller(&["member"])).is_ok());
        assert!(policy.allowed("data-processing:jobs:get", &caller(&["member"])).is_ok(), "not named: as ever");
        assert!(policy.allowed("ops", &caller(&["operator"])).is_err(), "an alias is no rule");
        assert!(Policy::read("# nothing\n\n").is_ok());
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line() {
        for (text, why) in [
            (
                "a: role:x\n\"data-processing:jobs:excute\": \"@\"\n",
                "line 2: 'data-processing:jobs:excute': there is no such rule; the nearest is 'data-processing:jobs:execute'",
            ),
            ("\n\na: rolle:x\n", "line 3: 'a': 'rolle:' is not known"),
            ("a: rule:b\n", "it refers to 'rule:b', which the file does not have"),
            ("a: rule:b\nb: not rule:a\n", "it refers to itself"),
            ("a: [role:x]\n", "line 1: 'a': a check is a text"),
            ("- a\n", "it is not a map"),
        ] {
            let error = Policy::read(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
