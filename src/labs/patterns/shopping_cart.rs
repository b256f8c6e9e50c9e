//! A shopping cart: a hash of products and quantities, incremented on the server.

use std::{collections::BTreeMap, sync::Arc};

use hitrate_cache::redis::{RedisError, Script, typed};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "shopping-cart",
    title: "Shopping cart",
    purpose: "Selected products, on any device, until checkout or expiry.",
    lead: "A cart is a hash of products and quantities. Redis increments a quantity atomically, so two tabs of one customer don’t overwrite each other. Each change renews the TTL of one day.",
    keys: &[key(
        "cart:{user_id}",
        "a hash: product number, quantity",
        "86,400 s after the last change",
    )],
    commands: &[
        command("HINCRBY cart:1001 7 2", "O(1)", "adds two of product 7 atomically"),
        command("EXPIRE cart:1001 86400", "O(1)", "renews the TTL, in the same round trip"),
        command("HDEL cart:1001 7", "O(1)", "removes a product"),
        command("HGETALL cart:1001", "O(n)", "returns the whole cart"),
    ],
    try_this: "Add a product, remove some of it again, and look at the hash.",
    acts: &[
        Action {
            id: "add",
            label: "Add",
            about: "HINCRBY and EXPIRE in one round trip",
            fields: &[
                args::user("1001"),
                args::number("product", "Product", (1, 100), "7"),
                QUANTITY,
            ],
            run: |context| Box::pin(add(context)),
        },
        Action {
            id: "take",
            label: "Remove",
            about: "a script: HSET, or HDEL when none is left",
            fields: &[
                args::user("1001"),
                args::number("product", "Product", (1, 100), "7"),
                QUANTITY,
            ],
            run: |context| Box::pin(take(context)),
        },
        Action {
            id: "empty",
            label: "Empty the cart",
            about: "UNLINK",
            fields: &[args::user("1001")],
            run: |context| Box::pin(empty(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the cart as JSON, change a quantity, SET the whole cart.",
        why: "Two concurrent requests read the same cart, and the second SET overwrites the change of the first. The higher the concurrency, the more is lost: under load, nearly everything.",
        right: "Use a hash with HINCRBY: Redis increments the value, and runs commands one by one. The pipeline of HINCRBY and EXPIRE saves a round trip but is not a transaction; if a cart without a TTL would matter, use MULTI and EXEC, or a script.",
    },
    trial: Trial {
        about: "All actors add to one cart concurrently, one item at a time, of five products in turn.",
        counts: "items in the cart",
        lost: "updates lost",
        over: "too many",
        fields: &[args::actors("50"), args::number("adds", "Items each", (1, 20), "5")],
        variants: &[
            Variant {
                name: "GET, modify, SET",
                is_right: false,
                code: "GET cart:1001\n(add 1 in the JSON)\nSET cart:1001 '{…}' EX 86400",
                run: |trial_run| Box::pin(read_modify_write(trial_run)),
            },
            Variant {
                name: "HINCRBY, EXPIRE",
                is_right: true,
                code: "HINCRBY cart:1001 {product} 1\nEXPIRE cart:1001 86400",
                run: |trial_run| Box::pin(increment(trial_run)),
            },
        ],
    },
    statistics: None,
    status: None,
    is_live: false,
};

const QUANTITY: args::Field = args::number("quantity", "Quantity", (1, 99), "1");
/// TTL of a cart after its last change, in seconds: one day.
const TTL: u64 = 86_400;
/// Number of products in the trial.
const PRODUCTS: u64 = 5;

/// `KEYS[1]` is the cart. Arguments: product, quantity, TTL in seconds. Returns the
/// remaining quantity; -1 if the product is not in the cart.
static TAKE: Script = Script::new(include_str!("scripts/cart_take.lua"));

fn name(context: &ActionContext) -> String {
    format!("cart:{}", context.args().number("user_id"))
}

async fn add(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (context.store(), context.key(&name(context)));
    let (product, quantity) = (context.args().number("product"), context.args().number("quantity"));
    let add = store.on("HINCRBY", &key).arg(product).arg(quantity);
    let replies = context.pipeline(vec![add, store.on("EXPIRE", &key).arg(TTL)]).await?;
    let held: i64 = replies.into_iter().next().map_or(Ok(0), typed)?;
    Ok(vec![format!("Added {quantity} of product {product}: {held} in the cart.")])
}

async fn take(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (product, quantity) = (context.args().number("product"), context.args().number("quantity"));
    let take = context.store().script(&TAKE, &context.key(&name(context)));
    let left: i64 = context.run(take.arg(product).arg(quantity).arg(TTL)).await?;
    Ok(vec![match left {
        ..0 => format!("There is no product {product} in the cart."),
        0 => format!("Removed the last of product {product}."),
        left => format!("Removed {quantity} of product {product}: {left} left."),
    }])
}

async fn empty(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let there: bool =
        context.run(context.store().on("UNLINK", &context.read_key(&name(context)))).await?;
    let message = if there { "The cart is empty." } else { "The cart was already empty." };
    Ok(vec![message.to_owned()])
}

async fn read_modify_write(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
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

async fn increment(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
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
