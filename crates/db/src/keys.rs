//! The keys of the embedded issuer's tokens, shared by all servers of a database.
//!
//! One key is primary and makes tokens, one is staged: every server knows it before it becomes primary. A key that was
//! primary stays as secondary until its last token has ended. They are sealed in their rows: whoever reads the database
//! without the keyring can make no token.

use foggara_domain::{Code, Error, Result, Secret, Timestamp};

use crate::{Conn, Row, sql};

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The next primary key; already good for reading.
    Staged,
    /// Makes tokens.
    Primary,
    /// Only reads tokens that were made before.
    Secondary,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// A key of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenKey {
    /// Opaque id.
    pub id: String,
    /// What it is used for.
    pub state: State,
    /// The key itself.
    pub secret: Secret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a secondary key has no living token left.
    pub valid_until: Option<Timestamp>,
}

/// Where a key is sealed.
fn place(id: &str) -> String {
    format!("iam_token_key.sealed.{id}")
}

fn key_from(conn: &Conn, row: &Row) -> Result<TokenKey> {
    let id = row.text("id")?;
    let sealed = row.bytes_or_null("sealed")?.unwrap_or_default();
    let state = match row.text("state")?.as_str() {
        "staged" => State::Staged,
        "primary" => State::Primary,
        "secondary" => State::Secondary,
        other => return Err(Error::Internal(format!("token key with the unknown state '{other}'"))),
    };
    Ok(TokenKey {
        secret: Secret::new(conn.seal_keys().open(&place(&id), &sealed)?),
        id,
        state,
        created_at: row.time("created_at")?,
        valid_until: row.time_or_null("valid_until")?,
    })
}

/// All keys.
pub async fn token_keys(conn: &mut Conn) -> Result<Vec<TokenKey>> {
    let all = sql("SELECT id, state, sealed, created_at, valid_until FROM iam_token_key ORDER BY created_at, id");
    let rows = conn.all(all).await?;
    rows.iter().map(|row| key_from(conn, row)).collect()
}

/// Stores a key, unless there is one of its state already (staged and primary exist once); tells whether it did.
pub async fn insert_token_key(conn: &mut Conn, key: &TokenKey) -> Result<bool> {
    let sealed = conn.seal_keys().seal(&place(&key.id), key.secret.reveal())?;
    let insert = sql("INSERT INTO iam_token_key (id, state, sealed, created_at, valid_until) \
                      VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
    .bind(&key.id)
    .bind(key.state.name())
    .bind(sealed)
    .bind(key.created_at)
    .bind(key.valid_until);
    Ok(conn.run(insert).await? == 1)
}

/// Rotates: primary becomes secondary until `valid_until`, staged becomes primary, `staged` is the new staged key, and
/// secondary keys whose time is over are forgotten. To be called inside of one transaction.
///
/// # Errors
/// Refused when another server rotates at the same moment; nothing has changed then.
pub async fn rotate_token_keys(
    conn: &mut Conn,
    staged: &TokenKey,
    now: Timestamp,
    valid_until: Timestamp,
) -> Result<()> {
    let retire = sql("UPDATE iam_token_key SET state = 'secondary', valid_until = $1 WHERE state = 'primary'");
    let promote = sql("UPDATE iam_token_key SET state = 'primary' WHERE state = 'staged'");
    let retired = conn.run(retire.bind(valid_until)).await?;
    let promoted = match conn.run(promote).await {
        // The other program's new primary key was committed between the two statements.
        Err(Error::Refused { code: Code::DbDuplicateEntry, .. }) => 0,
        promoted => promoted?,
    };
    if (retired, promoted) != (1, 1) {
        return Err(Error::refused(
            Code::InvalidData,
            "The token keys are being rotated by another program; try again",
        ));
    }
    conn.run(sql("DELETE FROM iam_token_key WHERE state = 'secondary' AND valid_until <= $1").bind(now)).await?;
    if insert_token_key(conn, staged).await? {
        return Ok(());
    }
    Err(Error::Internal("there are two staged token keys".to_owned()))
}
