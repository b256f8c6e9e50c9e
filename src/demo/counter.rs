//! The hit counter: one `INCR` per visit (redis.io/docs/latest/commands/incr).

use hitrate_cache::{
    condition::Condition,
    redis::{RedisError, Store},
    trace::Trace,
};

use crate::{
    demo::keys,
    failpoints::{self, Failpoint},
};

/// What the counter's key holds may be no count.
static KEY: Condition<RedisError> =
    Condition::healthy("The counter's key (visits are not counted)");

/// Counts a visit and returns the number it got. INCR is atomic: no two
/// visits get the same, however many come at once.
pub async fn visit(store: &Store, trace: &Trace) -> Result<u64, RedisError> {
    let reply: Result<i64, RedisError> = match failpoints::is_active(Failpoint::CountByGetSet) {
        false => store.run(store.on("INCR", &keys::page_hits()), trace).await,
        true => by_get_and_set(store).await,
    };
    match reply.map(u64::try_from) {
        Ok(Ok(hits)) => {
            KEY.recovered();
            Ok(hits)
        }
        Ok(Err(_)) => Err(noted(RedisError::NoCount)),
        Err(RedisError::WrongType | RedisError::Other(_)) => Err(noted(RedisError::NoCount)),
        Err(error) => Err(error),
    }
}

/// Deliberately wrong: two visits may get the same number.
async fn by_get_and_set(store: &Store) -> Result<i64, RedisError> {
    let (key, trace) = (keys::page_hits(), Trace::disabled());
    let hits: Option<i64> = store.run(store.on("GET", &key), &trace).await?;
    let hits = hits.unwrap_or_default() + 1;
    store.run::<()>(store.on("SET", &key).arg(hits), &trace).await?;
    Ok(hits)
}

fn noted(error: RedisError) -> RedisError {
    KEY.failing(&error);
    error
}

/// Writes without changing anything, to see whether Redis takes writes again.
pub async fn touch(store: &Store) -> Result<(), RedisError> {
    let touch = store.on("INCRBY", &keys::page_hits()).arg(0);
    store.run::<i64>(touch, &Trace::disabled()).await.map(|_| ())
}
