//! HTTP: routes, bodies and errors of every surface

pub mod identity_v3;
