//! The routes of v1.1 (sahara-v1.1.md section 3) and those that v1.0 shares (section 9).

use crate::route::Route;

/// All of them.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
