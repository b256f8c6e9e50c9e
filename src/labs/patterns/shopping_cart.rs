//! A cart: a hash of product and quantity, counted up where it is.

use std::{collections::BTreeMap, sync::Arc};

use hitrate_cache::redis::{RedisError, Script, typed};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "shopping-cart",
    title: "Shopping cart",
    what_for: "What someone picked, on whatever device, until they pay or forget.",
    lead: "A cart is a hash: product and quantity. Redis itself adds to a quantity, so two tabs of one customer don’t undo each other. Each change gives the cart another day.",
    keys: &[key(
        "cart:{user_id}",
        "a hash: product number, quantity",
        "86,400 s after the last change",
    )],
    commands: &[
        command("HINCRBY cart:1001 7 2", "O(1)", "two more of product 7, in one step"),
        command("EXPIRE cart:1001 86400", "O(1)", "another day, in the same round trip"),
        command("HDEL cart:1001 7", "O(1)", "takes a product out"),
        command("HGETALL cart:1001", "O(n)", "the whole cart"),
    ],
    try_this: "Put something in, take some of it out again, and look at the hash.",
    acts: &[
        Action {
            id: "add",
            label: "Put in",
            about: "HINCRBY and EXPIRE in one round trip",
            fields: &[
                args::user("1001"),
                args::number("product", "Product", (1, 100), "7"),
                QUANTITY,
            ],
            run: |play| Box::pin(add(play)),
        },
        Action {
            id: "take",
            label: "Take out",
            about: "A script: HINCRBY, and HDEL when none is left",
            fields: &[
                args::user("1001"),
                args::number("product", "Product", (1, 100), "7"),
                QUANTITY,
            ],
            run: |play| Box::pin(take(play)),
        },
        Action {
            id: "empty",
            label: "Empty the cart",
            about: "UNLINK",
            fields: &[args::user("1001")],
            run: |play| Box::pin(empty(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the cart as JSON, add to a quantity, SET all of it.",
        why: "Two requests that add at the same time read the same cart; the second SET overwrites what the first added. The more come at once, the more is lost: nearly everything, under load.",
        right: "A hash with HINCRBY: Redis adds, and its commands run one after the other. The pipeline of HINCRBY and EXPIRE saves a round trip but is no transaction; where a cart without an end would matter, wrap both in MULTI and EXEC, or in a script.",
    },
    trial: Trial {
        about: "All actors add to one cart at once: each puts in one piece at a time, of five products in turn.",
        counts: "pieces in the cart",
        lost: "updates lost",
        over: "too many",
        fields: &[args::actors("50"), args::number("adds", "Pieces each", (1, 20), "5")],
        variants: &[
            Variant {
                name: "GET, modify, SET",
                is_right: false,
                code: "GET cart:1001\n(add 1 in the JSON)\nSET cart:1001 '{…}' EX 86400",
                run: |trial_run| Box::pin(modify(trial_run)),
            },
            Variant {
                name: "HINCRBY, EXPIRE",
                is_right: true,
                code: "HINCRBY cart:1001 {product} 1\nEXPIRE cart:1001 86400",
                run: |trial_run| Box::pin(count(trial_run)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

const QUANTITY: args::Field = args::number("quantity", "Quantity", (1, 99), "1");
/// Seconds a cart is kept after its last change: a day.
const TTL: u64 = 86_400;
/// Products of a trial.
const PRODUCTS: u64 = 5;

/// `KEYS[1]` the cart; product, quantity, TTL in seconds. Replies what is left.
static TAKE: Script = Script::new(include_str!("scripts/cart_take.lua"));

fn name(play: &ActionContext) -> String {
    format!("cart:{}", play.args().number("user_id"))
}

async fn add(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (play.store(), play.key(&name(play)));
    let (product, quantity) = (play.args().number("product"), play.args().number("quantity"));
    let add = store.on("HINCRBY", &key).arg(product).arg(quantity);
    let replies = play.ask(vec![add, store.on("EXPIRE", &key).arg(TTL)]).await?;
    let held: i64 = replies.into_iter().next().map_or(Ok(0), typed)?;
    Ok(vec![format!("Put in {quantity} of product {product}: {held} in the cart.")])
}

async fn take(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (product, quantity) = (play.args().number("product"), play.args().number("quantity"));
    let take = play.store().script(&TAKE, &play.key(&name(play)));
    let left: i64 = play.one(take.arg(product).arg(quantity).arg(TTL)).await?;
    Ok(vec![match left {
        ..0 => format!("There is no product {product} in the cart."),
        0 => format!("Took out the last of product {product}."),
        left => format!("Took out {quantity} of product {product}: {left} left."),
    }])
}

async fn empty(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let there: bool = play.one(play.store().on("UNLINK", &play.peek(&name(play)))).await?;
    let said = if there { "The cart is empty." } else { "The cart was empty already." };
    Ok(vec![said.to_owned()])
}

async fn modify(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("cart:1001"));
            for add in 0..trial_run.number("adds") {
                let held: Option<String> = trial_run.run(n, store.on("GET", &key)).await?;
                let mut cart = parsed(held.as_deref());
                *cart.entry(product(n + add)).or_default() += 1;
                let json = serde_json::to_string(&cart).unwrap_or_default();
                trial_run.run::<()>(n, store.on("SET", &key).arg(json).arg("EX").arg(TTL)).await?;
            }
            Ok(())
        })
        .await?;
    let held: Option<String> =
        trial_run.run(0, trial_run.store(0).on("GET", &trial_run.key("cart:1001"))).await?;
    Ok(counted(trial_run, parsed(held.as_deref()).into_values()))
}

async fn count(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("cart:1001"));
            for add in 0..trial_run.number("adds") {
                let one = store.on("HINCRBY", &key).arg(product(n + add)).arg(1);
                trial_run.run_all(n, vec![one, store.on("EXPIRE", &key).arg(TTL)]).await?;
            }
            Ok(())
        })
        .await?;
    let quantities: Vec<u64> =
        trial_run.run(0, trial_run.store(0).on("HVALS", &trial_run.key("cart:1001"))).await?;
    Ok(counted(trial_run, quantities.into_iter()))
}

fn product(n: u64) -> String {
    (n % PRODUCTS + 1).to_string()
}

fn counted(trial_run: &TrialRun, quantities: impl Iterator<Item = u64>) -> Count {
    Count::new(trial_run.actors() * trial_run.number("adds"), quantities.sum())
}

fn parsed(json: Option<&str>) -> BTreeMap<String, u64> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
