//! A catalogue: each product under its own key for an hour, and not all of them
//! for the same hour.

use std::{collections::BTreeMap, sync::Arc};

use hitrate_cache::redis::{RedisError, typed};
use rand::RngExt as _;
use serde_json::json;

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "product-catalogue",
    title: "Product catalogue",
    what_for: "What is read all the time and changed now and then.",
    lead: "A product is looked for in Redis first. On a miss it comes from the database and stays for about an hour; when its price changes, the copy is dropped. The TTL is drawn from ten per cent around the hour, so that what was filled together does not end together.",
    keys: &[
        key("product:{id}", "a string: the product as JSON", "3,600 s ± 10 % after it was filled"),
        key(
            "catalogue",
            "a hash that stands in for the database: product, price",
            "a day after the last change",
        ),
    ],
    commands: &[
        command("GET product:7", "O(1)", "the copy, or (nil)"),
        command("SET product:7 '{…}' EX 3482", "O(1)", "stores it for a drawn TTL"),
        command("UNLINK product:7", "O(1)", "drops the copy of what has changed"),
    ],
    try_this: "View a few products and compare their TTLs; then change a price and view again.",
    acts: &[
        Action {
            id: "view",
            label: "View",
            about: "GET; on a miss the database, and SET … EX",
            fields: &[PRODUCT],
            run: |play| Box::pin(view(play)),
        },
        Action {
            id: "reprice",
            label: "Change the price",
            about: "the database first, then UNLINK",
            fields: &[PRODUCT, args::number("price", "Price", (1, 9_999), "120")],
            run: |play| Box::pin(reprice(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "The same TTL for everything, filled by one run at night or after a restart.",
        why: "What was filled in the same second ends in the same second. For a moment every request is a miss, and the database meets all of them at once: again and again, once an hour.",
        right: "Draw the TTL from a range, here 3,600 s ± 10 %. The hit ratio is the same, and the loads spread over twelve minutes.",
    },
    trial: Trial {
        about: "Each actor fills one product, all at the same moment. Then every key is asked when it ends, and the second in which most of them end is looked for.",
        counts: "keys end in the busiest second",
        lost: "fewer",
        over: "more than if spread evenly",
        fields: &[args::actors("200")],
        variants: &[
            Variant {
                name: "The same TTL",
                is_right: false,
                code: "SET product:{id} '{…}' EX 3600",
                run: |trial_run| Box::pin(run(trial_run, false)),
            },
            Variant {
                name: "A drawn TTL",
                is_right: true,
                code: "SET product:{id} '{…}' EX {3240 to 3960}",
                run: |trial_run| Box::pin(run(trial_run, true)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

const PRODUCT: args::Field = args::number("product", "Product", (1, 1_000), "7");
/// The documents' TTL, in seconds.
const TTL: u64 = 3_600;
/// How far it may be off, in seconds.
const JITTER: u64 = TTL / 10;
/// The documents' price of every product.
const PRICE: u32 = 100;

fn drawn() -> u64 {
    rand::rng().random_range(TTL - JITTER..=TTL + JITTER)
}

async fn view(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, id) = (play.store(), play.args().number("product"));
    let key = play.key(&format!("product:{id}"));
    if let Some(product) = play.one::<Option<String>>(store.on("GET", &key)).await? {
        return Ok(vec![format!("CACHE HIT: Fetching product {id} from cache."), product]);
    }
    let price = store.on("HGET", &play.peek("catalogue")).arg(id);
    let price = play.one::<Option<u32>>(price).await?.unwrap_or(PRICE);
    let product = json!({ "id": id, "name": format!("Product {id}"), "price": price }).to_string();
    let ttl = drawn();
    play.one::<()>(store.on("SET", &key).arg(&product).arg("EX").arg(ttl)).await?;
    Ok(vec![
        format!("CACHE MISS: Product {id} not found in cache."),
        format!("{product} is stored for {ttl} s."),
    ])
}

async fn reprice(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, id) = (play.store(), play.args().number("product"));
    let price = play.args().number("price");
    let set = store.on("HSET", &play.key("catalogue")).arg(id).arg(price);
    play.ask(vec![set, play.keep("catalogue")]).await?;
    let unlink = store.on("UNLINK", &play.peek(&format!("product:{id}")));
    let dropped: bool = play.one(unlink).await?;
    let copy = if dropped { "its copy is dropped" } else { "it had no copy" };
    Ok(vec![format!("Product {id} costs {price} now, and {copy}.")])
}

async fn run(trial_run: &Arc<TrialRun>, draws: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let key = trial_run.key(&format!("product:{n}"));
            let ttl = if draws { drawn() } else { TTL };
            let set = trial_run.store(n).on("SET", &key).arg(n).arg("EX").arg(ttl);
            trial_run.run::<()>(n, set).await
        })
        .await?;
    let ask = |n| trial_run.store(0).on("PTTL", &trial_run.key(&format!("product:{n}")));
    let ttls = trial_run.run_all(0, (0..trial_run.actors()).map(ask).collect()).await?;
    let ttls: Vec<u64> = ttls.into_iter().map(typed).collect::<Result<_, _>>()?;
    let (busiest, seconds) = busiest(&ttls);
    let even = trial_run.actors().div_ceil(2 * JITTER);
    Ok(Count::new(even, busiest).known("seconds", "Seconds in which any of them ends", seconds))
}

/// How many end in the second in which most do, and in how many seconds any does.
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
    fn a_ttl_is_drawn_around_the_hour() {
        assert!((0..1_000).all(|_| (3_240..=3_960).contains(&drawn())));
    }
}
