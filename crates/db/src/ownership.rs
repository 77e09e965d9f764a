//! Which server works for which cluster and place, and the fence that keeps a server out that lost one (lifecycle.md
//! "Owners").

use foggara_domain::{ClusterId, Result};

use crate::{Conn, pools::Kind, sql};

/// A place and who works there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The place.
    pub place: String,
    /// The server; nothing when it was handed back.
    pub server: Option<String>,
    /// The server's host.
    pub host: Option<String>,
    /// The server's counter.
    pub renewals: i64,
    /// Counts the changes of owner.
    pub epoch: i64,
}

/// Counts a server's counter up; makes the server known the first time.
pub async fn renew(conn: &mut Conn, server: &str, host: &str) -> Result<()> {
    let query = sql("INSERT INTO server (id, host, renewals) VALUES ($1, $2, 1) \
         ON CONFLICT (id) DO UPDATE SET renewals = server.renewals + 1");
    conn.run(query.bind(server).bind(host)).await?;
    // Servers of this host that own nothing are gone: the data directory has one server at a time.
    let stale = sql("DELETE FROM server WHERE host = $2 AND id <> $1 \
         AND NOT EXISTS (SELECT 1 FROM ownership o WHERE o.server_id = server.id)");
    conn.run(stale.bind(server).bind(host)).await?;
    Ok(())
}

const OWNERS: &str = "SELECT o.cluster_id, o.place, o.server_id, s.host, COALESCE(s.renewals, 0) AS renewals, o.epoch \
     FROM ownership o LEFT JOIN server s ON s.id = o.server_id";

/// All places that ever had an owner.
pub async fn owners(conn: &mut Conn) -> Result<Vec<Owner>> {
    conn.all(sql(OWNERS)).await?.iter().map(read).collect()
}

/// The server that works for a cluster at a place (at any, when no place is given).
pub async fn owner(conn: &mut Conn, cluster: &ClusterId, place: Option<&str>) -> Result<Option<String>> {
    let all = owners(conn).await?;
    let mut here = all.into_iter().filter(|owner| owner.cluster == *cluster);
    Ok(here.find(|owner| place.is_none_or(|place| owner.place == place)).and_then(|owner| owner.server))
}

fn read(row: &crate::Row) -> Result<Owner> {
    Ok(Owner {
        cluster: row.text("cluster_id")?.into(),
        place: row.text("place")?,
        server: row.text_or_null("server_id")?,
        host: row.text_or_null("host")?,
        renewals: row.int("renewals")?,
        epoch: row.int("epoch")?,
    })
}

/// Takes a place that is still at the epoch that was seen (0: it never had an owner). The new epoch; nothing when another
/// server was quicker.
pub async fn claim(conn: &mut Conn, cluster: &ClusterId, place: &str, server: &str, seen: i64) -> Result<Option<i64>> {
    let epoch = seen + 1;
    let changed = if seen == 0 {
        let query = sql("INSERT INTO ownership (cluster_id, place, server_id, epoch) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING");
        conn.run(query.bind(cluster).bind(place).bind(server).bind(epoch)).await?
    } else {
        let query =
            sql("UPDATE ownership SET server_id = $3, epoch = $4 WHERE cluster_id = $1 AND place = $2 AND epoch = $5");
        conn.run(query.bind(cluster).bind(place).bind(server).bind(epoch).bind(seen)).await?
    };
    Ok((changed == 1).then_some(epoch))
}

/// Hands a place back. The epoch stays, so that it is never used twice.
pub async fn release(conn: &mut Conn, cluster: &ClusterId, place: &str, epoch: i64) -> Result<()> {
    let query = sql("UPDATE ownership SET server_id = NULL WHERE cluster_id = $1 AND place = $2 AND epoch = $3");
    conn.run(query.bind(cluster).bind(place).bind(epoch)).await?;
    Ok(())
}

/// Whether the epoch is still the present one. An owner's transaction begins with it: a takeover waits for the transaction,
/// or the transaction sees the takeover.
pub async fn fence(conn: &mut Conn, cluster: &ClusterId, place: &str, epoch: i64) -> Result<bool> {
    let lock = match conn.kind() {
        Kind::Sqlite => "",
        Kind::Postgres => " FOR SHARE",
    };
    let text = format!(
        "SELECT epoch FROM ownership WHERE cluster_id = $1 AND place = $2 AND epoch = $3 AND server_id IS NOT NULL{lock}"
    );
    Ok(conn.first(sql(text).bind(cluster).bind(place).bind(epoch)).await?.is_some())
}
