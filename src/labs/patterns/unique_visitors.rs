//! Unique visitors: counted exactly by a set, or approximately by a `HyperLogLog`.

use std::sync::Arc;

use hitrate_cache::redis::{Client, Command, Key, RedisError, Script, Value, typed};

use super::{
    Action, Pitfall, RedisPattern, Statistic,
    action_context::{ActionContext, ActionError},
    args, command, key, statistic,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::{format, labs::support::visitor_keys::KEY_TTL};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "unique-visitors",
    title: "Unique visitors",
    purpose: "The number of distinct visitors, not of visits.",
    lead: "A set stores every visitor and grows with each. A HyperLogLog stores only what it needs to estimate their number: at most 12 KB, however many there are, with a standard error of 0.81 %.",
    keys: &[
        key("visitors", "a set: every visitor", "a day after the last visit"),
        key(
            "visits",
            "a HyperLogLog: an estimate, without the visitors",
            "a day after the last visit",
        ),
    ],
    commands: &[
        command("SADD visitors user:1", "O(1)", "returns 1 for a new visitor, otherwise 0"),
        command("SCARD visitors", "O(1)", "returns the exact count"),
        command("PFADD visits user:1", "O(1)", "returns 1 if the estimate may have changed"),
        command("PFCOUNT visits", "O(1)", "returns the estimate"),
    ],
    try_this: "Record one visitor twice, then thousands, and compare memory and error.",
    acts: &[
        Action {
            id: "visit",
            label: "Record a visit",
            about: "SADD and PFADD",
            fields: &[args::number("visitor", "Visitor", (1, 20_000), "1")],
            run: |context| Box::pin(visit(context)),
        },
        Action {
            id: "many",
            label: "Record many",
            about: "SADD and PFADD per visitor, 1,000 per script call",
            fields: &[
                args::number("from", "From visitor", (1, 20_000), "1"),
                args::number("count", "How many", (1, 10_000), "5000"),
            ],
            run: |context| Box::pin(many(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "SISMEMBER; if the visitor is not in the set, SADD and INCR a counter.",
        why: "Two concurrent requests of one new visitor both find no member, and both increment the counter. This happens whenever a page sends several requests.",
        right: "Use SADD, which checks and adds atomically, and SCARD. If an error of one percent is acceptable, PFADD and PFCOUNT need at most 12 KB, but a HyperLogLog can’t list the visitors.",
    },
    trial: Trial {
        about: "Every visitor sends two requests at the same time, handled by two actors. So each pair of actors has as many visitors as you choose.",
        counts: "visitors counted",
        lost: "too few",
        over: "too many",
        fields: &[args::actors("50"), args::number("visits", "Visitors each", (1, 100), "40")],
        variants: &[
            Variant {
                name: "SISMEMBER, then SADD and INCR",
                is_right: false,
                code: "SISMEMBER visitors {visitor}\nSADD visitors {visitor}, INCR count if not",
                run: |trial_run| Box::pin(check_first(trial_run)),
            },
            Variant {
                name: "SADD, SCARD",
                is_right: true,
                code: "SADD visitors {visitor}\nSCARD visitors",
                run: |trial_run| Box::pin(run(trial_run, "SADD", "SCARD")),
            },
            Variant {
                name: "PFADD, PFCOUNT (estimate)",
                is_right: true,
                code: "PFADD visits {visitor}\nPFCOUNT visits",
                run: |trial_run| Box::pin(run(trial_run, "PFADD", "PFCOUNT")),
            },
        ],
    },
    statistics: Some(|context| Box::pin(statistics(context))),
    status: None,
    is_live: false,
};

/// `KEYS[1]` is the set, `KEYS[2]` the `HyperLogLog`. Arguments: first visitor, number of
/// visitors, TTL in seconds. Returns the number of new visitors. O(n).
static MANY: Script = Script::new(include_str!("scripts/visit_many.lua"));

async fn visit(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, visitor) = (context.store(), format!("user:{}", context.args().number("visitor")));
    let add = store.on("SADD", &context.key("visitors")).arg(&visitor);
    let estimate = store.on("PFADD", &context.key("visits")).arg(&visitor);
    let replies = context
        .pipeline(vec![add, estimate, context.renew("visitors"), context.renew("visits")])
        .await?;
    let is_new: bool = replies.into_iter().next().map_or(Ok(false), typed)?;
    let counted = if is_new { "is new and was counted" } else { "was already counted" };
    Ok(vec![format!("{visitor} {counted}.")])
}

async fn many(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (from, count) = (context.args().number("from"), context.args().number("count"));
    let (set, log, mut new) = (context.key("visitors"), context.key("visits"), 0);
    for (from, some) in args::batches(from, count) {
        let store = context.store();
        let visits = store.script_on(&MANY, &[store.full_key(&set), store.full_key(&log)]);
        new += context.run::<u64>(visits.arg(from).arg(some).arg(KEY_TTL.as_secs())).await?;
    }
    let came = format::counted(&u64::from(count), "visitor", "visitors");
    Ok(vec![format!("{came} recorded, {} of them new.", format::number(&new))])
}

async fn statistics(context: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let (store, set, log) =
        (context.store(), context.read_key("visitors"), context.read_key("visits"));
    let all = vec![
        store.on("SCARD", &set),
        store.on("PFCOUNT", &log),
        memory(store, &set),
        memory(store, &log),
    ];
    let [exact, estimate, of_set, of_log]: [Value; 4] =
        context.pipeline(all).await?.try_into().unwrap_or_default();
    let (exact, estimate): (u64, u64) = (typed(exact)?, typed(estimate)?);
    let (of_set, of_log): (Option<u64>, Option<u64>) = (typed(of_set)?, typed(of_log)?);
    let bytes = |bytes: Option<u64>| format::bytes(&bytes.unwrap_or_default());
    let error = (estimate as f64 - exact as f64) * 100.0 / exact.max(1) as f64;
    Ok(vec![
        statistic("Set (exact)", format::number(&exact).to_string(), bytes(of_set)),
        statistic("HyperLogLog (estimate)", format::number(&estimate).to_string(), bytes(of_log)),
        statistic("Error", format!("{error:+.2} %"), "of the estimate"),
    ])
}

fn memory<T>(store: &Client, key: &Key<T>) -> Command {
    store.command("MEMORY").arg("USAGE").arg(store.full_key(key))
}

/// Two actors handle the same visitors.
fn visitor(actor: u64, visit: u64) -> String {
    format!("user:{}:{visit}", actor / 2)
}

fn expected(trial_run: &TrialRun) -> u64 {
    trial_run.actors().div_ceil(2) * trial_run.number("visits")
}

async fn check_first(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, set, count) =
                (trial_run.store(n), trial_run.key("visitors"), trial_run.key("count"));
            for visit in 0..trial_run.number("visits") {
                let visitor = visitor(n, visit);
                if trial_run.run::<bool>(n, store.on("SISMEMBER", &set).arg(&visitor)).await? {
                    continue;
                }
                let add = store.on("SADD", &set).arg(&visitor);
                let all = vec![
                    add,
                    store.on("INCR", &count),
                    trial_run.expire(n, &set),
                    trial_run.expire(n, &count),
                ];
                trial_run.run_all(n, all).await?;
            }
            Ok(())
        })
        .await?;
    let counted: u64 =
        trial_run.run(0, trial_run.store(0).on("GET", &trial_run.key("count"))).await?;
    with_memory(trial_run, "visitors", counted).await
}

async fn run(
    trial_run: &Arc<TrialRun>,
    add: &'static str,
    count: &'static str,
) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("visitors"));
            for visit in 0..trial_run.number("visits") {
                let add = store.on(add, &key).arg(visitor(n, visit));
                trial_run.run_all(n, vec![add, trial_run.expire(n, &key)]).await?;
            }
            Ok(())
        })
        .await?;
    let counted: u64 =
        trial_run.run(0, trial_run.store(0).on(count, &trial_run.key("visitors"))).await?;
    with_memory(trial_run, "visitors", counted).await
}

/// Adds the memory of the key to the count.
async fn with_memory(
    trial_run: &Arc<TrialRun>,
    name: &str,
    counted: u64,
) -> Result<Count, RedisError> {
    let bytes: Option<u64> =
        trial_run.run(0, memory(trial_run.store(0), &trial_run.key(name))).await?;
    Ok(Count::new(expected(trial_run), counted).with_extra(
        "bytes",
        "Memory in bytes, by MEMORY USAGE",
        bytes.unwrap_or_default(),
    ))
}
