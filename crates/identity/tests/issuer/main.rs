//! The embedded issuer on both databases.

mod access_keys;
mod accounts;
mod applications;
mod logins;
mod place;
mod tokens;

/// Each scenario on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($place:ident: Place) $body:block)*) => { $(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$doc])*
            async fn scenario($place: Place) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                scenario($crate::place::Place::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                scenario($crate::place::Place::postgres(stringify!($name)).await).await;
            }
        }
    )* };
}
pub(crate) use on_both;
