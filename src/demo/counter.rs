//! The page counter: one `INCR` per visit (redis.io/docs/latest/commands/incr).

use hitrate_cache::{
    condition::Condition,
    redis::{Client, RedisError},
    trace::Trace,
};

use crate::{
    demo::keys,
    failpoints::{self, AppFailpoint},
};

/// Logs when the counter's key starts or stops holding something other than a count.
static KEY_CONDITION: Condition<RedisError> =
    Condition::healthy("The counter's key (visits are not counted)");

/// Counts a visit and returns the new total. INCR is atomic, so concurrent visits
/// never get the same number.
pub async fn visit(store: &Client, trace: &Trace) -> Result<u64, RedisError> {
    let reply: Result<i64, RedisError> = match failpoints::is_active(AppFailpoint::CountByGetSet) {
        false => store.run(store.on("INCR", &keys::page_hits()), trace).await,
        true => increment_by_get_set(store).await,
    };
    match reply.map(u64::try_from) {
        Ok(Ok(hits)) => {
            KEY_CONDITION.recovered();
            Ok(hits)
        }
        Ok(Err(_)) => Err(not_a_count()),
        Err(RedisError::WrongType | RedisError::Other(_)) => Err(not_a_count()),
        Err(error) => Err(error),
    }
}

/// Failpoint: concurrent visits may get the same number.
async fn increment_by_get_set(store: &Client) -> Result<i64, RedisError> {
    let (key, trace) = (keys::page_hits(), Trace::disabled());
    let hits: Option<i64> = store.run(store.on("GET", &key), &trace).await?;
    let hits = hits.unwrap_or_default() + 1;
    store.run::<()>(store.on("SET", &key).arg(hits), &trace).await?;
    Ok(hits)
}

fn not_a_count() -> RedisError {
    KEY_CONDITION.failing(&RedisError::NoCount);
    RedisError::NoCount
}

/// Writes without changing the count, to detect when Redis accepts writes again.
pub async fn touch(store: &Client) -> Result<(), RedisError> {
    let touch = store.on("INCRBY", &keys::page_hits()).arg(0);
    store.run::<i64>(touch, &Trace::disabled()).await.map(|_| ())
}
