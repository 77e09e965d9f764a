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
