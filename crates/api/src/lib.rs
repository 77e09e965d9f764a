//! HTTP: routes, bodies and errors of every surface
