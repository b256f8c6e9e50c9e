//! Sessions that end by themselves: one Redis key each, with a TTL.

use std::time::Duration;

use hitrate_cache::{
    Key,
    redis::{RedisError, Store, typed},
    time::now_ms,
    trace::Trace,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{demo::keys, token::Token};

/// The longest TTL of a session, in seconds: a day.
pub const TTL_MAX: u32 = 86_400;
/// The documents' TTL, in seconds.
pub const TTL_DEFAULT: u32 = 10;
/// The longest username, in characters.
pub const USERNAME_MAX: usize = 64;

/// What Redis holds for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose session it is.
    pub username: String,
    /// How its end is reckoned.
    pub expiry: Expiry,
    /// Seconds it was given.
    pub ttl: u32,
    /// When it was started, in milliseconds since 1970, UTC.
    pub started_ms: u64,
}

/// When a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    /// A fixed time after its start.
    Absolute,
    /// A fixed time after it was last used.
    Sliding,
}

/// A session that is alive.
#[derive(Debug, Clone)]
pub struct Live {
    /// What Redis holds.
    pub session: Session,
    /// Time left.
    pub left: Duration,
    /// Its key, prefix and all. Shows a digest of the id, never the id.
    pub key: String,
}

/// Starts a session under a new token; the old one, if any, ends at once.
pub async fn start(
    store: &Store,
    old: Option<&Token>,
    username: String,
    ttl: u32,
    expiry: Expiry,
    trace: &Trace,
) -> Result<(Token, Live), RedisError> {
    let token = Token::random();
    let key = key_of(&token);
    let session = Session { username, expiry, ttl, started_ms: now_ms() };
    let json = serde_json::to_vec(&session).expect("plain data with text keys is JSON");
    store.run::<()>(store.on("SET", &key).arg(json).arg("EX").arg(ttl), trace).await?;
    if let Some(old) = old {
        let _ = end(store, old, trace).await;
    }
    let left = Duration::from_secs(u64::from(ttl));
    Ok((token, Live { session, left, key: store.full_key(&key) }))
}

/// The session of this token, if it is alive. Using a sliding one renews it.
pub async fn find(store: &Store, token: &Token, trace: &Trace) -> Result<Option<Live>, RedisError> {
    let key = key_of(token);
    let [json, left] =
        store.run_all([store.on("GET", &key), store.on("PTTL", &key)], trace).await?;
    let json: Option<Vec<u8>> = match json.and_then(typed) {
        Err(RedisError::WrongType) => None,
        found => found?,
    };
    let Some(session) = json.and_then(|json| serde_json::from_slice::<Session>(&json).ok()) else {
        return Ok(None);
    };
    let left = u64::try_from(left.and_then(typed::<i64>)?).unwrap_or_default();
    let left = match session.expiry {
        Expiry::Absolute => left,
        Expiry::Sliding => match renew(store, &key, session.ttl, trace).await {
            // Not renewed, but alive: a Redis that takes no writes still tells.
            Err(error) if error.is_refusal() => left,
            renewed => renewed?,
        },
    };
    let live = Live { session, left: Duration::from_millis(left), key: store.full_key(&key) };
    Ok((left > 0).then_some(live))
}

/// Milliseconds left after the renewal; 0 when the session ended in between.
async fn renew(
    store: &Store,
    key: &Key<Session>,
    ttl: u32,
    trace: &Trace,
) -> Result<u64, RedisError> {
    let renewal = [store.on("EXPIRE", key).arg(ttl), store.on("PTTL", key)];
    let [renewed, left] = store.run_all(renewal, trace).await?;
    renewed?;
    Ok(u64::try_from(typed::<i64>(left?)?).unwrap_or_default())
}

/// Ends a session now.
pub async fn end(store: &Store, token: &Token, trace: &Trace) -> Result<bool, RedisError> {
    let removed: u64 = store.run(store.on("UNLINK", &key_of(token)), trace).await?;
    Ok(removed > 0)
}

/// A digest stands in for the token, so that a page can show the key.
fn key_of(token: &Token) -> Key<Session> {
    keys::session(&token.digest(16))
}
