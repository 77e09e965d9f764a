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

/// Whether the caller may change an object. `is_protected` is false where the change itself lifts the protection, or is of
/// the kind that protection lets through.
pub fn may_update(class: &str, owner: &ProjectId, caller: &Caller, is_protected: bool, id: &str) -> Result<()> {
    refuse(owner, caller, is_protected, |why| {
        Error::refused(Code::UpdateFailed, format!("{class} with id '{id}' could not be updated {why}"))
    })
}

/// Whether the caller may cancel an execution.
pub fn may_cancel(owner: &ProjectId, caller: &Caller, is_protected: bool, id: &str) -> Result<()> {
    refuse(owner, caller, is_protected, |why| {
        Error::refused(Code::CancelingFailed, format!("Job execution with id '{id}' cannot be canceled {why}"))
    })
}

fn refuse(owner: &ProjectId, caller: &Caller, is_protected: bool, error: impl Fn(&str) -> Error) -> Result<()> {
    if *owner != caller.project {
        return Err(error(FOREIGN));
    }
    if is_protected { Err(error(PROTECTED)) } else { Ok(()) }
}
