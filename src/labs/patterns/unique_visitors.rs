//! How many different people came: exactly by a set, or nearly by a `HyperLogLog`.

use std::sync::Arc;

use hitrate_cache::{
    Key,
    redis::{Command, RedisError, Script, Store, Value, typed},
};

use super::{
    Act, Figure, Pattern, Trap, args, command, figure, key,
    play::{Play, Upset},
    race::Race,
    trial::{Counted, Trial, Way},
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
        Act {
            name: "visit",
            button: "Visit",
            about: "SADD and PFADD",
            fields: &[args::number("visitor", "Visitor", (1, 20_000), "1")],
            run: |play| Box::pin(visit(play)),
        },
        Act {
            name: "crowd",
            button: "Let many come",
            about: "the same for each of them, 1,000 in a script",
            fields: &[
                args::number("from", "From visitor", (1, 20_000), "1"),
                args::number("count", "How many", (1, 10_000), "5000"),
            ],
            run: |play| Box::pin(crowd(play)),
        },
    ],
    trap: Trap {
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
        ways: &[
            Way {
                name: "SISMEMBER, then SADD and INCR",
                is_right: false,
                code: "SISMEMBER visitors {visitor}\nSADD visitors {visitor}, INCR count if not",
                run: |race| Box::pin(look_first(race)),
            },
            Way {
                name: "SADD, SCARD",
                is_right: true,
                code: "SADD visitors {visitor}\nSCARD visitors",
                run: |race| Box::pin(run(race, "SADD", "SCARD")),
            },
            Way {
                name: "PFADD, PFCOUNT: nearly",
                is_right: true,
                code: "PFADD visits {visitor}\nPFCOUNT visits",
                run: |race| Box::pin(run(race, "PFADD", "PFCOUNT")),
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

async fn visit(play: &Play) -> Result<Vec<String>, Upset> {
    let (store, visitor) = (play.store(), format!("user:{}", play.args().number("visitor")));
    let add = store.on("SADD", &play.key("visitors")).arg(&visitor);
    let estimate = store.on("PFADD", &play.key("visits")).arg(&visitor);
    let replies = play.ask(vec![add, estimate, play.keep("visitors"), play.keep("visits")]).await?;
    let is_new: bool = replies.into_iter().next().map_or(Ok(false), typed)?;
    let counted = if is_new { "is new, and counted" } else { "was here before" };
    Ok(vec![format!("{visitor} {counted}.")])
}

async fn crowd(play: &Play) -> Result<Vec<String>, Upset> {
    let (from, count) = (play.args().number("from"), play.args().number("count"));
    let (set, log, mut new) = (play.key("visitors"), play.key("visits"), 0);
    for (from, some) in args::batches(from, count) {
        let store = play.store();
        let crowd = store.script_on(&CROWD, &[store.name(&set), store.name(&log)]);
        new += play.one::<u64>(crowd.arg(from).arg(some).arg(KEPT.as_secs())).await?;
    }
    let came = format::counted(&u64::from(count), "visitor", "visitors");
    Ok(vec![format!("{came} came, {} of them for the first time.", format::number(&new))])
}

async fn figures(play: &Play) -> Result<Vec<Figure>, Upset> {
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
    store.command("MEMORY").arg("USAGE").arg(store.name(key))
}

/// Each visitor comes to two actors.
fn visitor(actor: u64, visit: u64) -> String {
    format!("user:{}:{visit}", actor / 2)
}

fn expected(race: &Race) -> u64 {
    race.actors().div_ceil(2) * race.number("visits")
}

async fn look_first(race: &Arc<Race>) -> Result<Counted, RedisError> {
    race.all(|race, n| async move {
        let (store, set, count) = (race.store(n), race.key("visitors"), race.key("count"));
        for visit in 0..race.number("visits") {
            let visitor = visitor(n, visit);
            if race.run::<bool>(n, store.on("SISMEMBER", &set).arg(&visitor)).await? {
                continue;
            }
            let add = store.on("SADD", &set).arg(&visitor);
            let all =
                vec![add, store.on("INCR", &count), expire(store, &set), expire(store, &count)];
            race.run_all(n, all).await?;
        }
        Ok(())
    })
    .await?;
    let counted: u64 = race.run(0, race.store(0).on("GET", &race.key("count"))).await?;
    sized(race, "visitors", counted).await
}

async fn run(
    race: &Arc<Race>,
    add: &'static str,
    count: &'static str,
) -> Result<Counted, RedisError> {
    race.all(|race, n| async move {
        let (store, key) = (race.store(n), race.key("visitors"));
        for visit in 0..race.number("visits") {
            let add = store.on(add, &key).arg(visitor(n, visit));
            race.run_all(n, vec![add, expire(store, &key)]).await?;
        }
        Ok(())
    })
    .await?;
    let counted: u64 = race.run(0, race.store(0).on(count, &race.key("visitors"))).await?;
    sized(race, "visitors", counted).await
}

fn expire<T>(store: &Store, key: &Key<T>) -> Command {
    store.on("EXPIRE", key).arg(KEPT.as_secs())
}

/// With what the key takes.
async fn sized(race: &Arc<Race>, name: &str, counted: u64) -> Result<Counted, RedisError> {
    let bytes: Option<u64> = race.run(0, memory(race.store(0), &race.key(name))).await?;
    Ok(Counted::new(expected(race), counted).known(
        "bytes",
        "Bytes of memory, by MEMORY USAGE",
        bytes.unwrap_or_default(),
    ))
}
