//! Wakes between servers: a NOTIFY after commit, coalesced, on connections of their own. A wake may be lost; everybody polls
//! too. Within one process the application has a wake of its own, so SQLite needs nothing here.

use std::{convert::Infallible, sync::Arc, time::Duration};

use foggara_domain::Result;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::Notify;

use crate::Db;

const CHANNEL: &str = "foggara_wake";

/// How long wakes gather before one is sent.
const GATHER: Duration = Duration::from_millis(5);

/// How long to wait before listening again after the connection broke.
const AGAIN: Duration = Duration::from_secs(1);

/// Sends wakes to the other servers.
#[derive(Clone)]
pub struct Wakes(Option<Arc<Notify>>);

impl Wakes {
    /// Tells the other servers that something was committed.
    pub fn send(&self) {
        if let Some(wanted) = &self.0 {
            wanted.notify_one();
        }
    }
}

impl Db {
    /// The sender of wakes; it needs a runtime.
    pub fn wakes(&self) -> Wakes {
        let Some(pool) = self.postgres().cloned() else { return Wakes(None) };
        let wanted = Arc::new(Notify::new());
        let rings = Arc::clone(&wanted);
        tokio::spawn(async move {
            loop {
                rings.notified().await;
                tokio::time::sleep(GATHER).await;
                let sent = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&pool).await;
                if let Err(error) = sent {
                    tracing::debug!("a wake was not sent, the others poll: {error}");
                }
            }
        });
        Wakes(Some(wanted))
    }

    /// Calls `woken` for each wake of another server, for ever, also after a while in which the database was away. Returns
    /// at once on SQLite.
    pub async fn listen(&self, woken: impl Fn()) -> Result<()> {
        let Some(pool) = self.postgres() else { return Ok(()) };
        loop {
            let Err(error) = hear(pool, &woken).await;
            tracing::debug!("listening for wakes broke off, polling goes on: {error}");
            tokio::time::sleep(AGAIN).await;
            // What was sent in between was not heard.
            woken();
        }
    }
}

/// Listens until the connection breaks.
async fn hear(pool: &PgPool, woken: &impl Fn()) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        woken();
    }
}
