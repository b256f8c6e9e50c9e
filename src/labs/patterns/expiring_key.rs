//! A key that ends by itself: the documents' `username`, kept for ten seconds.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, typed};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    state::StoredKey,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "expiring-key",
    title: "Expiring key",
    what_for: "Anything that is good for a while: a copy, a code, a flag.",
    lead: "A value and the time it is good for are stored in one command. Nobody has to tidy up: when the time is over, the key is gone.",
    keys: &[key("username", "a string", "after the TTL you choose; 10 s in the documents")],
    commands: &[
        command(
            "SET username qiross EX 10",
            "O(1)",
            "stores value and TTL in one step (older texts: SETEX, deprecated)",
        ),
        command("GET username", "O(1)", "the value, or (nil) when the key has ended"),
        command(
            "PTTL username",
            "O(1)",
            "milliseconds left; −1 for a key without an end, −2 for no key",
        ),
    ],
    try_this: "Store the username for ten seconds; it is read at once. Read it again after twelve.",
    acts: &[
        Action {
            id: "set",
            label: "Store it, and read it at once",
            about: "SET with EX, then GET",
            fields: &[
                args::text("value", "Username", 64, "qiross"),
                args::number("ttl", "TTL in seconds", (1, 60), "10"),
            ],
            run: |play| Box::pin(set(play)),
        },
        Action {
            id: "read",
            label: "Read it again",
            about: "GET",
            fields: &[],
            run: |play| Box::pin(read(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "SET, and EXPIRE in a second command. Or: SET again later, without EX.",
        why: "Whoever is cut off between the two commands leaves a key that never ends; and a plain SET takes the TTL off again. Such keys gather until the memory is full.",
        right: "SET … EX in one command; for a new value that should end when the old one would have, SET … KEEPTTL.",
    },
    trial: Trial {
        about: "Each actor stores a key that should end, then changes its value. Every fourth is cut off after its first command, as by a crash or a deployment.",
        counts: "keys with an end",
        lost: "keys stay for ever",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "SET, then EXPIRE",
                is_right: false,
                code: "SET username:{n} v1\nEXPIRE username:{n} 60",
                run: |trial_run| Box::pin(apart(trial_run)),
            },
            Variant {
                name: "SET … EX, then SET",
                is_right: false,
                code: "SET username:{n} v1 EX 60\nSET username:{n} v2",
                run: |trial_run| Box::pin(again(trial_run, false)),
            },
            Variant {
                name: "SET … EX, then SET … KEEPTTL",
                is_right: true,
                code: "SET username:{n} v1 EX 60\nSET username:{n} v2 KEEPTTL",
                run: |trial_run| Box::pin(again(trial_run, true)),
            },
        ],
    },
    figures: None,
    now: Some(now),
    is_live: false,
};

const EXPIRED: &str = "username does not exist or has expired.";
/// Seconds a key of a trial is given.
const TTL: u64 = 60;

async fn set(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (value, ttl) = (play.args().text("value"), play.args().number("ttl"));
    let (store, key) = (play.store(), play.key("username"));
    let set = store.on("SET", &key).arg(value).arg("EX").arg(ttl);
    play.one::<()>(set).await?;
    let read = play.one::<Option<String>>(store.on("GET", &key)).await?;
    let seconds = if ttl == 1 { "second" } else { "seconds" };
    Ok(vec![format!("Cached username = {value} for {ttl} {seconds}."), told(read.as_deref())])
}

async fn read(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let read: Option<String> = play.one(play.store().on("GET", &play.peek("username"))).await?;
    Ok(vec![told(read.as_deref())])
}

fn now(entries: &[StoredKey]) -> String {
    let entry = entries.iter().find(|entry| entry.name == "username");
    told(entry.and_then(|entry| entry.text.as_deref()))
}

fn told(value: Option<&str>) -> String {
    value.map_or_else(
        || EXPIRED.to_owned(),
        |value| format!("Retrieved username = {value} from cache."),
    )
}

fn is_cut_off(actor: u64) -> bool {
    actor % 4 == 3
}

async fn apart(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key(&format!("username:{n}")));
            trial_run.run::<()>(n, store.on("SET", &key).arg("v1")).await?;
            if is_cut_off(n) {
                return Ok(());
            }
            trial_run.run(n, store.on("EXPIRE", &key).arg(TTL)).await
        })
        .await?;
    ends(trial_run).await
}

async fn again(trial_run: &Arc<TrialRun>, keeps: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key(&format!("username:{n}")));
            trial_run.run::<()>(n, store.on("SET", &key).arg("v1").arg("EX").arg(TTL)).await?;
            if is_cut_off(n) {
                return Ok(());
            }
            let set = store.on("SET", &key).arg("v2");
            trial_run.run(n, if keeps { set.arg("KEEPTTL") } else { set }).await
        })
        .await?;
    ends(trial_run).await
}

/// How many of the keys have an end.
async fn ends(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let ask = |n| trial_run.store(0).on("PTTL", &trial_run.key(&format!("username:{n}")));
    let ttls = trial_run.run_all(0, (0..trial_run.actors()).map(ask).collect()).await?;
    let ttls: Vec<i64> = ttls.into_iter().map(typed).collect::<Result<_, _>>()?;
    let with_an_end = ttls.iter().filter(|ttl| **ttl > 0).count() as u64;
    Ok(Count::new(trial_run.actors(), with_an_end))
}
