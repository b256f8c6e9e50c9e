//! Sessions that expire: one Redis key each, with a TTL.

use std::time::Duration;

use hitrate_cache::{
    redis::{Client, Key, RedisError, typed},
    time::now_ms,
    trace::Trace,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{demo::keys, token::Token};

/// Maximum TTL of a session, in seconds: one day.
pub const TTL_MAX: u32 = 86_400;
/// Default TTL of a session, in seconds; the tutorial's value.
pub const TTL_DEFAULT: u32 = 10;
/// Maximum length of a username, in characters.
pub const USERNAME_MAX: usize = 64;

/// A session as stored in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Name of the user.
    pub username: String,
    /// Kind of expiry.
    pub expiry: Expiry,
    /// TTL in seconds.
    pub ttl: u32,
    /// Time of the start, in milliseconds since 1970 (UTC).
    pub started_ms: u64,
}

/// Expiry of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    /// A fixed time after the start.
    Absolute,
    /// A fixed time after the last use.
    Sliding,
}

/// A session that has not expired.
#[derive(Debug, Clone)]
pub struct Live {
    /// The session as stored.
    pub session: Session,
    /// Remaining TTL.
    pub left: Duration,
    /// Full key, including the prefix. It contains a digest of the session id, not the id.
    pub key: String,
}

/// Starts a session under a new token, and ends the session of the old token, if any.
pub async fn start(
    store: &Client,
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

/// The session of this token, unless it has expired. Finding a sliding session renews it.
pub async fn find(
    store: &Client,
    token: &Token,
    trace: &Trace,
) -> Result<Option<Live>, RedisError> {
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
            // Redis refuses writes: the session is not renewed, but still valid.
            Err(error) if error.is_refusal() => left,
            renewed => renewed?,
        },
    };
    let live = Live { session, left: Duration::from_millis(left), key: store.full_key(&key) };
    Ok((left > 0).then_some(live))
}

/// Renews a session and returns the remaining TTL in milliseconds; 0 if the session
/// expired before the renewal.
async fn renew(
    store: &Client,
    key: &Key<Session>,
    ttl: u32,
    trace: &Trace,
) -> Result<u64, RedisError> {
    let renewal = [store.on("EXPIRE", key).arg(ttl), store.on("PTTL", key)];
    let [renewed, left] = store.run_all(renewal, trace).await?;
    renewed?;
    Ok(u64::try_from(typed::<i64>(left?)?).unwrap_or_default())
}

/// Ends a session; false if there was none.
pub async fn end(store: &Client, token: &Token, trace: &Trace) -> Result<bool, RedisError> {
    let removed: u64 = store.run(store.on("UNLINK", &key_of(token)), trace).await?;
    Ok(removed > 0)
}

/// Key of a session. It contains a digest of the token, so that a page can show it.
fn key_of(token: &Token) -> Key<Session> {
    keys::session(&token.digest(16))
}
