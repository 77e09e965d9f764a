//! Facts about the installation that are made once: the prefix of its tags, the generation of its events.

use foggara_domain::Result;

use crate::{Conn, Db, sql};

/// The short random text that all tags of this installation begin with; made at the first call.
pub async fn installation(db: &Db) -> Result<String> {
    let fresh: String = uuid_like();
    db.write_part(move |conn| {
        let fresh = fresh.clone();
        Box::pin(async move { get_or_put(conn, "installation", &fresh).await })
    })
    .await
}

fn uuid_like() -> String {
    use rand::RngExt;
    let mut random = rand::rng();
    (0..6).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

async fn get_or_put(conn: &mut Conn, key: &str, fresh: &str) -> Result<String> {
    let put = sql("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    conn.run(put.bind(key).bind(fresh)).await?;
    let row = conn.first(sql("SELECT value FROM meta WHERE key = $1").bind(key)).await?;
    row.map_or_else(|| Ok(fresh.to_owned()), |row| row.text("value"))
}
