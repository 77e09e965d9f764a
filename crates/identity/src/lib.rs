//! Who is calling: the authenticator seam, the embedded issuer and the policy table.
//!
//! The data API knows only [`Authenticator`]. The embedded [`Issuer`] is one; a client of an outside Keystone can be
//! another, without a change in `api` or `app`. What a caller may do is decided by [`policy`] alone.

pub mod admin;
pub mod aksk;
mod authenticator;
pub mod catalogue;
pub mod issuer;
pub mod keystone;
pub mod policy;

pub use authenticator::{Authenticator, Credential, Error, Identified, Named, Role, Scope};
pub use issuer::Issuer;
