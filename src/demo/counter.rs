//! The hit counter: one `INCR` per visit (redis.io/docs/latest/commands/incr).

use hitrate_cache::{
    condition::Mood,
    redis::{Store, Trouble},
    trace::Wire,
};

use crate::{
    demo::keys,
    failpoints::{self, Failpoint},
};

/// What the counter's key holds may be no count.
static KEY: Mood<Trouble> = Mood::good("The counter's key (visits are not counted)");

/// Counts a visit and returns the number it got. INCR is atomic: no two
/// visits get the same, however many come at once.
pub async fn visit(store: &Store, wire: &Wire) -> Result<u64, Trouble> {
    let reply: Result<i64, Trouble> = match failpoints::is_active(Failpoint::CountByGetSet) {
        false => store.run(store.on("INCR", &keys::page_hits()), wire).await,
        true => by_get_and_set(store).await,
    };
    match reply.map(u64::try_from) {
        Ok(Ok(hits)) => {
            KEY.well();
            Ok(hits)
        }
        Ok(Err(_)) => Err(noted(Trouble::NoCount)),
        Err(Trouble::WrongType | Trouble::Other(_)) => Err(noted(Trouble::NoCount)),
        Err(trouble) => Err(trouble),
    }
}

/// Deliberately wrong: two visits may get the same number.
async fn by_get_and_set(store: &Store) -> Result<i64, Trouble> {
    let (key, wire) = (keys::page_hits(), Wire::off());
    let hits: Option<i64> = store.run(store.on("GET", &key), &wire).await?;
    let hits = hits.unwrap_or_default() + 1;
    store.run::<()>(store.on("SET", &key).arg(hits), &wire).await?;
    Ok(hits)
}

fn noted(trouble: Trouble) -> Trouble {
    KEY.bad(&trouble);
    trouble
}

/// Writes without changing anything, to see whether Redis takes writes again.
pub async fn touch(store: &Store) -> Result<(), Trouble> {
    let touch = store.on("INCRBY", &keys::page_hits()).arg(0);
    store.run::<i64>(touch, &Wire::off()).await.map(|_| ())
}
