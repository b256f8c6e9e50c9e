//! A product catalogue: each product is cached under its own key for about an hour, with
//! jitter.

use std::{collections::BTreeMap, sync::Arc};

use hitrate_cache::redis::{RedisError, typed};
use rand::RngExt as _;
use serde_json::json;

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "product-catalogue",
    title: "Product catalogue",
    purpose: "Data that is read often and changed rarely.",
    lead: "Redis is checked first. On a miss, the product is loaded from the database and cached for about an hour; when its price changes, the copy is deleted. The TTL has a random jitter of ten percent, so that copies stored together don’t expire together.",
    keys: &[
        key("product:{id}", "a string: the product as JSON", "3,600 s ± 10 % after it was filled"),
        key(
            "catalogue",
            "a hash in place of the database: product, price",
            "a day after the last change",
        ),
    ],
    commands: &[
        command("GET product:7", "O(1)", "returns the copy, or (nil)"),
        command("SET product:7 '{…}' EX 3482", "O(1)", "stores it with a jittered TTL"),
        command("UNLINK product:7", "O(1)", "deletes the copy of a changed product"),
    ],
    try_this: "View a few products and compare their TTLs; then change a price and view again.",
    acts: &[
        Action {
            id: "view",
            label: "View",
            about: "GET; on a miss, load it and SET … EX",
            fields: &[PRODUCT],
            run: |context| Box::pin(view(context)),
        },
        Action {
            id: "reprice",
            label: "Change the price",
            about: "write to the database, then UNLINK",
            fields: &[PRODUCT, args::number("price", "Price", (1, 9_999), "120")],
            run: |context| Box::pin(reprice(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "The same TTL for all keys that are stored together, at night or after a restart.",
        why: "Keys stored in the same second expire in the same second. At that moment every request is a miss, and the database receives all of them at once, again every hour.",
        right: "Add random jitter to the TTL, here 3,600 s ± 10 %. The hit ratio stays the same, and the loads spread over twelve minutes.",
    },
    trial: Trial {
        about: "All actors store one product each at the same moment. Then the trial reads every TTL and finds the second in which most keys expire.",
        counts: "keys expire in the busiest second",
        lost: "fewer",
        over: "more than with an even spread",
        fields: &[args::actors("200")],
        variants: &[
            Variant {
                name: "Fixed TTL",
                is_right: false,
                code: "SET product:{id} '{…}' EX 3600",
                run: |trial_run| Box::pin(run(trial_run, false)),
            },
            Variant {
                name: "Jittered TTL",
                is_right: true,
                code: "SET product:{id} '{…}' EX {3240 to 3960}",
                run: |trial_run| Box::pin(run(trial_run, true)),
            },
        ],
    },
    statistics: None,
    status: None,
    is_live: false,
};

const PRODUCT: args::Field = args::number("product", "Product", (1, 1_000), "7");
/// The tutorial's TTL, in seconds.
const TTL: u64 = 3_600;
/// Maximum jitter, in seconds.
const JITTER: u64 = TTL / 10;
/// The tutorial's price of every product.
const PRICE: u32 = 100;

fn jittered_ttl() -> u64 {
    rand::rng().random_range(TTL - JITTER..=TTL + JITTER)
}

async fn view(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, id) = (context.store(), context.args().number("product"));
    let key = context.key(&format!("product:{id}"));
    if let Some(product) = context.run::<Option<String>>(store.on("GET", &key)).await? {
        return Ok(vec![format!("CACHE HIT: Fetching product {id} from cache."), product]);
    }
    let price = store.on("HGET", &context.read_key("catalogue")).arg(id);
    let price = context.run::<Option<u32>>(price).await?.unwrap_or(PRICE);
    let product = json!({ "id": id, "name": format!("Product {id}"), "price": price }).to_string();
    let ttl = jittered_ttl();
    context.run::<()>(store.on("SET", &key).arg(&product).arg("EX").arg(ttl)).await?;
    Ok(vec![
        format!("CACHE MISS: Product {id} not found in cache."),
        format!("{product} is stored for {ttl} s."),
    ])
}

async fn reprice(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, id) = (context.store(), context.args().number("product"));
    let price = context.args().number("price");
    let set = store.on("HSET", &context.key("catalogue")).arg(id).arg(price);
    context.pipeline(vec![set, context.renew("catalogue")]).await?;
    let unlink = store.on("UNLINK", &context.read_key(&format!("product:{id}")));
    let dropped: bool = context.run(unlink).await?;
    let copy = if dropped { "its copy was deleted" } else { "it had no copy" };
    Ok(vec![format!("Product {id} now costs {price}, and {copy}.")])
}

async fn run(trial_run: &Arc<TrialRun>, has_jitter: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let key = trial_run.key(&format!("product:{n}"));
            let ttl = if has_jitter { jittered_ttl() } else { TTL };
            let set = trial_run.store(n).on("SET", &key).arg(n).arg("EX").arg(ttl);
            trial_run.run::<()>(n, set).await
        })
        .await?;
    let ask = |n| trial_run.store(0).on("PTTL", &trial_run.key(&format!("product:{n}")));
    let ttls = trial_run.run_all(0, (0..trial_run.actors()).map(ask).collect()).await?;
    let ttls: Vec<u64> = ttls.into_iter().map(typed).collect::<Result<_, _>>()?;
    let (busiest, seconds) = busiest(&ttls);
    let even = trial_run.actors().div_ceil(2 * JITTER);
    Ok(Count::new(even, busiest).with_extra("seconds", "Seconds in which any key expires", seconds))
}

/// The number of keys that expire in the busiest second, and the number of seconds in
/// which any key expires.
fn busiest(ttls_ms: &[u64]) -> (u64, u64) {
    let mut ends = BTreeMap::<u64, u64>::new();
    for ms in ttls_ms {
        *ends.entry(ms.div_ceil(1_000)).or_default() += 1;
    }
    (ends.values().max().copied().unwrap_or_default(), ends.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_found() {
        assert_eq!(busiest(&[]), (0, 0));
        assert_eq!(busiest(&[3_600_000, 3_599_001, 3_599_000]), (2, 2));
    }

    #[test]
    fn ttls_are_within_the_jitter() {
        assert!((0..1_000).all(|_| (3_240..=3_960).contains(&jittered_ttl())));
    }
}
