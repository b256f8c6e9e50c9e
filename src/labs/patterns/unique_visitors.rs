//! How many different people came: exactly by a set, or nearly by a `HyperLogLog`.

use std::sync::Arc;

use hitrate_cache::{
    Key,
    redis::{Command, RedisError, Script, Store, Value, typed},
};

use super::{
    Action, Pattern, Pitfall, Statistic, args, command, figure, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::{format, labs::support::visitor_keys::KEPT};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "unique-visitors",
    title: "Unique visitors",
    what_for: "How many different people came, not how often.",
    lead: "A set knows every visitor and grows with each. A HyperLogLog remembers only what it needs to estimate how many there were: at most 12 KB, however many come, and off by 0.81 % as a rule (the standard error).",
    keys: &[
        key("visitors", "a set: every visitor", "a day after the last visit"),
        key("visits", "a HyperLogLog: none of them", "a day after the last visit"),
    ],
    commands: &[
        command("SADD visitors user:1", "O(1)", "1 if they are new, 0 if not"),
        command("SCARD visitors", "O(1)", "how many, exactly"),
        command("PFADD visits user:1", "O(1)", "1 if the estimate may have changed"),
        command("PFCOUNT visits", "O(1)", "how many, nearly"),
    ],
    try_this: "Let one come twice, then let thousands come, and compare bytes and error.",
    acts: &[
        Action {
            id: "visit",
            label: "Visit",
            about: "SADD and PFADD",
            fields: &[args::number("visitor", "Visitor", (1, 20_000), "1")],
            run: |play| Box::pin(visit(play)),
        },
        Action {
            id: "crowd",
            label: "Let many come",
            about: "the same for each of them, 1,000 in a script",
            fields: &[
                args::number("from", "From visitor", (1, 20_000), "1"),
                args::number("count", "How many", (1, 10_000), "5000"),
            ],
            run: |play| Box::pin(crowd(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "SISMEMBER; if they are not in the set, SADD and INCR of a counter.",
        why: "Two requests of one new visitor both find them missing, and both count. It happens just when someone opens a page with several requests.",
        right: "Let SADD say whether they are new, and ask SCARD. Where an error of a per cent will do, PFADD and PFCOUNT take 12 KB at most; but a HyperLogLog can’t say who came.",
    },
    trial: Trial {
        about: "Every visitor sends two requests at the same moment, and two actors handle one each. So two actors together have as many visitors as you choose.",
        counts: "visitors counted",
        lost: "too few",
        over: "too many",
        fields: &[args::actors("50"), args::number("visits", "Visitors each", (1, 100), "40")],
        variants: &[
            Variant {
                name: "SISMEMBER, then SADD and INCR",
                is_right: false,
                code: "SISMEMBER visitors {visitor}\nSADD visitors {visitor}, INCR count if not",
                run: |trial_run| Box::pin(look_first(trial_run)),
            },
            Variant {
                name: "SADD, SCARD",
                is_right: true,
                code: "SADD visitors {visitor}\nSCARD visitors",
                run: |trial_run| Box::pin(run(trial_run, "SADD", "SCARD")),
            },
            Variant {
                name: "PFADD, PFCOUNT: nearly",
                is_right: true,
                code: "PFADD visits {visitor}\nPFCOUNT visits",
                run: |trial_run| Box::pin(run(trial_run, "PFADD", "PFCOUNT")),
            },
        ],
    },
    figures: Some(|play| Box::pin(figures(play))),
    now: None,
    is_live: false,
};

/// `KEYS[1]` the set, `KEYS[2]` the `HyperLogLog`; the first visitor, how many,
/// how long both are kept in seconds. Replies how many of them are new. O(n).
static CROWD: Script = Script::new(include_str!("scripts/visitors_crowd.lua"));

async fn visit(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, visitor) = (play.store(), format!("user:{}", play.args().number("visitor")));
    let add = store.on("SADD", &play.key("visitors")).arg(&visitor);
    let estimate = store.on("PFADD", &play.key("visits")).arg(&visitor);
    let replies = play.ask(vec![add, estimate, play.keep("visitors"), play.keep("visits")]).await?;
    let is_new: bool = replies.into_iter().next().map_or(Ok(false), typed)?;
    let counted = if is_new { "is new, and counted" } else { "was here before" };
    Ok(vec![format!("{visitor} {counted}.")])
}

async fn crowd(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (from, count) = (play.args().number("from"), play.args().number("count"));
    let (set, log, mut new) = (play.key("visitors"), play.key("visits"), 0);
    for (from, some) in args::batches(from, count) {
        let store = play.store();
        let crowd = store.script_on(&CROWD, &[store.full_key(&set), store.full_key(&log)]);
        new += play.one::<u64>(crowd.arg(from).arg(some).arg(KEPT.as_secs())).await?;
    }
    let came = format::counted(&u64::from(count), "visitor", "visitors");
    Ok(vec![format!("{came} came, {} of them for the first time.", format::number(&new))])
}

async fn figures(play: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let (store, set, log) = (play.store(), play.peek("visitors"), play.peek("visits"));
    let all = vec![
        store.on("SCARD", &set),
        store.on("PFCOUNT", &log),
        memory(store, &set),
        memory(store, &log),
    ];
    let [exact, estimate, of_set, of_log]: [Value; 4] =
        play.ask(all).await?.try_into().unwrap_or_default();
    let (exact, estimate): (u64, u64) = (typed(exact)?, typed(estimate)?);
    let (of_set, of_log): (Option<u64>, Option<u64>) = (typed(of_set)?, typed(of_log)?);
    let bytes = |bytes: Option<u64>| format::bytes(&bytes.unwrap_or_default());
    let error = (estimate as f64 - exact as f64) * 100.0 / exact.max(1) as f64;
    Ok(vec![
        figure("Set, exactly", format::number(&exact).to_string(), bytes(of_set)),
        figure("HyperLogLog, nearly", format::number(&estimate).to_string(), bytes(of_log)),
        figure("Error", format!("{error:+.2} %"), "of the estimate"),
    ])
}

fn memory<T>(store: &Store, key: &Key<T>) -> Command {
    store.command("MEMORY").arg("USAGE").arg(store.full_key(key))
}

/// Each visitor comes to two actors.
fn visitor(actor: u64, visit: u64) -> String {
    format!("user:{}:{visit}", actor / 2)
}

fn expected(trial_run: &TrialRun) -> u64 {
    trial_run.actors().div_ceil(2) * trial_run.number("visits")
}

async fn look_first(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
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
                let all =
                    vec![add, store.on("INCR", &count), expire(store, &set), expire(store, &count)];
                trial_run.run_all(n, all).await?;
            }
            Ok(())
        })
        .await?;
    let counted: u64 =
        trial_run.run(0, trial_run.store(0).on("GET", &trial_run.key("count"))).await?;
    sized(trial_run, "visitors", counted).await
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
                trial_run.run_all(n, vec![add, expire(store, &key)]).await?;
            }
            Ok(())
        })
        .await?;
    let counted: u64 =
        trial_run.run(0, trial_run.store(0).on(count, &trial_run.key("visitors"))).await?;
    sized(trial_run, "visitors", counted).await
}

fn expire<T>(store: &Store, key: &Key<T>) -> Command {
    store.on("EXPIRE", key).arg(KEPT.as_secs())
}

/// With what the key takes.
async fn sized(trial_run: &Arc<TrialRun>, name: &str, counted: u64) -> Result<Count, RedisError> {
    let bytes: Option<u64> =
        trial_run.run(0, memory(trial_run.store(0), &trial_run.key(name))).await?;
    Ok(Count::new(expected(trial_run), counted).known(
        "bytes",
        "Bytes of memory, by MEMORY USAGE",
        bytes.unwrap_or_default(),
    ))
}
