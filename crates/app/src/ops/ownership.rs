//! Who may change an object: its own project, and nobody while it is protected (sahara-v1.1.md section 2.1). The owner is
//! checked before the protection.

use foggara_domain::{Caller, Code, Error, ProjectId, Result};

const FOREIGN: &str = "because it wasn't created in this tenant";
const PROTECTED: &str = "because it's marked as protected";

/// Whether the caller may delete an object. `class` is the original's name of the model (`DataSource`, `JobExecution`, ...).
pub fn may_delete(class: &str, owner: &ProjectId, caller: &Caller, is_protected: bool, id: &str) -> Result<()> {
    refuse(owner, caller, is_protected, |why| {
        Error::refused(Code::DeletionFailed, format!("{class} with id '{id}' could not be deleted {why}"))
    })
}

/// What a change has to do with the protection of its object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protection {
    /// The object is protected.
    pub is_protected: bool,
    /// The change lifts the protection; then anything else may change too.
    pub lifted: bool,
    /// The change has no effect but on `is_public`.
    pub only_public: bool,
}

/// Whether the caller may change an object.
pub fn may_update(class: &str, owner: &ProjectId, caller: &Caller, protection: Protection, id: &str) -> Result<()> {
    let held = protection.is_protected && !protection.lifted && !protection.only_public;
    refuse(owner, caller, held, |why| {
        Error::refused(Code::UpdateFailed, format!("{class} with id '{id}' could not be updated {why}"))
    })
}

/// Whether the caller may cancel an execution.
pub fn may_cancel(owner: &ProjectId, caller: &Caller, is_protected: bool, id: &str) -> Result<()> {
    refuse(owner, caller, is_protected, |why| {
        // The original writes the two refusals of a cancel differently.
        let what = if why == FOREIGN { "Job execution" } else { "Job Execution" };
        Error::refused(Code::CancelingFailed, format!("{what} with id '{id}' cannot be canceled {why}"))
    })
}

fn refuse(owner: &ProjectId, caller: &Caller, is_protected: bool, error: impl Fn(&str) -> Error) -> Result<()> {
    if *owner != caller.project {
        return Err(error(FOREIGN));
    }
    if is_protected { Err(error(PROTECTED)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(project: &str) -> Caller {
        Caller {
            user: "u".into(),
            user_name: "u".to_owned(),
            project: project.into(),
            project_name: project.to_owned(),
            roles: Vec::new(),
        }
    }

    fn told(answer: Result<()>) -> String {
        match answer {
            Ok(()) => "let through".to_owned(),
            Err(Error::Refused { code, message }) => format!("{} {message}", code.name()),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn deletes() {
        let owner = ProjectId::from("p");
        let ask = |who: &str, held: bool| told(may_delete("Job", &owner, &caller(who), held, "7"));
        assert_eq!(ask("p", false), "let through");
        assert_eq!(
            ask("p", true),
            "DELETION_FAILED Job with id '7' could not be deleted because it's marked as protected"
        );
        for held in [false, true] {
            assert_eq!(
                ask("q", held),
                "DELETION_FAILED Job with id '7' could not be deleted because it wasn't created in this tenant",
                "the owner is asked for first"
            );
        }
    }

    #[test]
    fn changes() {
        let owner = ProjectId::from("p");
        let ask = |who: &str, protection| told(may_update("JobBinary", &owner, &caller(who), protection, "7"));
        let held = Protection { is_protected: true, ..Protection::default() };
        assert_eq!(ask("p", Protection::default()), "let through");
        assert_eq!(
            ask("p", held),
            "UPDATE_FAILED JobBinary with id '7' could not be updated because it's marked as protected"
        );
        assert_eq!(ask("p", Protection { lifted: true, ..held }), "let through");
        assert_eq!(ask("p", Protection { only_public: true, ..held }), "let through");
        assert_eq!(
            ask("q", Protection { lifted: true, ..held }),
            "UPDATE_FAILED JobBinary with id '7' could not be updated because it wasn't created in this tenant",
            "nobody lifts another project's protection"
        );
    }

    #[test]
    fn cancels() {
        let owner = ProjectId::from("p");
        let ask = |who: &str, held: bool| told(may_cancel(&owner, &caller(who), held, "7"));
        assert_eq!(ask("p", false), "let through");
        assert_eq!(
            ask("p", true),
            "CANCELING_FAILED Job Execution with id '7' cannot be canceled because it's marked as protected"
        );
        assert_eq!(
            ask("q", true),
            "CANCELING_FAILED Job execution with id '7' cannot be canceled because it wasn't created in this tenant"
        );
    }
}
