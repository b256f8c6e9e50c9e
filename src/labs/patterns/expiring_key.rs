//! A key that expires: the tutorial's `username`, stored for ten seconds.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, typed};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    stored_key::StoredKey,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "expiring-key",
    title: "Expiring key",
    purpose: "Data with a limited lifetime: a cached copy, a verification code, a flag.",
    lead: "One command stores a value and its lifetime. No cleanup is needed: when the TTL has passed, Redis removes the key.",
    keys: &[key("username", "a string", "after the TTL you choose; 10 s in the tutorial")],
    commands: &[
        command(
            "SET username qiross EX 10",
            "O(1)",
            "stores value and TTL in one step (formerly SETEX, deprecated)",
        ),
        command("GET username", "O(1)", "returns the value, or (nil) after the key has expired"),
        command(
            "PTTL username",
            "O(1)",
            "returns the remaining TTL in milliseconds; −1 for a key without a TTL, −2 for a missing key",
        ),
    ],
    try_this: "Store the username for ten seconds; it is read immediately. Read it again after twelve seconds.",
    acts: &[
        Action {
            id: "set",
            label: "Store and read",
            about: "SET with EX, then GET",
            fields: &[
                args::text("value", "Username", 64, "qiross"),
                args::number("ttl", "TTL in seconds", (1, 60), "10"),
            ],
            run: |context| Box::pin(set(context)),
        },
        Action {
            id: "read",
            label: "Read again",
            about: "GET",
            fields: &[],
            run: |context| Box::pin(read(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "SET, then EXPIRE as a second command. Or a later SET without EX.",
        why: "A client that crashes between the two commands leaves a key that never expires, and a plain SET removes the TTL. Such keys accumulate until the memory is full.",
        right: "SET … EX in one command. To change the value and keep the remaining TTL, use SET … KEEPTTL.",
    },
    trial: Trial {
        about: "Each actor stores a key with a TTL, then changes its value. Every fourth actor stops after its first command, as after a crash or during a deployment.",
        counts: "keys with a TTL",
        lost: "keys never expire",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "SET, then EXPIRE",
                is_right: false,
                code: "SET username:{n} v1\nEXPIRE username:{n} 60",
                run: |trial_run| Box::pin(set_then_expire(trial_run)),
            },
            Variant {
                name: "SET … EX, then SET",
                is_right: false,
                code: "SET username:{n} v1 EX 60\nSET username:{n} v2",
                run: |trial_run| Box::pin(overwrite(trial_run, false)),
            },
            Variant {
                name: "SET … EX, then SET … KEEPTTL",
                is_right: true,
                code: "SET username:{n} v1 EX 60\nSET username:{n} v2 KEEPTTL",
                run: |trial_run| Box::pin(overwrite(trial_run, true)),
            },
        ],
    },
    statistics: None,
    status: Some(status),
    is_live: false,
};

const EXPIRED: &str = "username does not exist or has expired.";
/// TTL of a trial's keys, in seconds.
const TTL: u64 = 60;

async fn set(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (value, ttl) = (context.args().text("value"), context.args().number("ttl"));
    let (store, key) = (context.store(), context.key("username"));
    let set = store.on("SET", &key).arg(value).arg("EX").arg(ttl);
    context.run::<()>(set).await?;
    let read = context.run::<Option<String>>(store.on("GET", &key)).await?;
    let seconds = if ttl == 1 { "second" } else { "seconds" };
    Ok(vec![
        format!("Cached username = {value} for {ttl} {seconds}."),
        retrieved_message(read.as_deref()),
    ])
}

async fn read(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let read: Option<String> =
        context.run(context.store().on("GET", &context.read_key("username"))).await?;
    Ok(vec![retrieved_message(read.as_deref())])
}

fn status(entries: &[StoredKey]) -> String {
    let entry = entries.iter().find(|entry| entry.name == "username");
    retrieved_message(entry.and_then(|entry| entry.text.as_deref()))
}

fn retrieved_message(value: Option<&str>) -> String {
    value.map_or_else(
        || EXPIRED.to_owned(),
        |value| format!("Retrieved username = {value} from cache."),
    )
}

fn crashes(actor: u64) -> bool {
    actor % 4 == 3
}

async fn set_then_expire(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key(&format!("username:{n}")));
            trial_run.run::<()>(n, store.on("SET", &key).arg("v1")).await?;
            if crashes(n) {
                return Ok(());
            }
            trial_run.run(n, store.on("EXPIRE", &key).arg(TTL)).await
        })
        .await?;
    count_with_ttl(trial_run).await
}

async fn overwrite(trial_run: &Arc<TrialRun>, keep_ttl: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key(&format!("username:{n}")));
            trial_run.run::<()>(n, store.on("SET", &key).arg("v1").arg("EX").arg(TTL)).await?;
            if crashes(n) {
                return Ok(());
            }
            let set = store.on("SET", &key).arg("v2");
            trial_run.run(n, if keep_ttl { set.arg("KEEPTTL") } else { set }).await
        })
        .await?;
    count_with_ttl(trial_run).await
}

/// Counts the keys that have a TTL.
async fn count_with_ttl(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let ask = |n| trial_run.store(0).on("PTTL", &trial_run.key(&format!("username:{n}")));
    let ttls = trial_run.run_all(0, (0..trial_run.actors()).map(ask).collect()).await?;
    let ttls: Vec<i64> = ttls.into_iter().map(typed).collect::<Result<_, _>>()?;
    let with_ttl = ttls.iter().filter(|ttl| **ttl > 0).count() as u64;
    Ok(Count::new(trial_run.actors(), with_ttl))
}
