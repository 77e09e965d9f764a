//! The client of an outside Keystone, against one that can be slow, silent, broken and wrong.

mod catalogue;
mod cloud;
mod failures;
mod fake;
mod real;
mod session;
mod trusts;
mod validation;
