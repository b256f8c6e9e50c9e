//! Who came back: a bitmap for each day, one bit for each user.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, Script, Store, Value, typed};

use super::{
    Act, Pattern, Pitfall, Statistic, args, command, figure, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::{format, labs::support::visitor_keys::KEPT};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "retention",
    title: "Retention",
    what_for: "How many who came on one day came again on the next.",
    lead: "Each day is a bitmap: user 50 is bit 50. A login sets a bit, counting the ones gives the day’s actives, and the AND of two days has a one for everyone who came on both. Ten million users take 1.25 MB a day.",
    keys: &[
        key(
            "logins:{day}",
            "a string, used as a bitmap: one bit for each user",
            "a day after the last login",
        ),
        key("logins:both", "the AND of two days", "a day after it was made"),
    ],
    commands: &[
        command("SETBIT logins:monday 50 1", "O(1)", "user 50 was here; replies the bit before"),
        command("BITCOUNT logins:monday", "O(n)", "the day’s actives"),
        command(
            "BITOP AND logins:both logins:monday logins:tuesday",
            "O(n)",
            "who was here on both days",
        ),
    ],
    try_this: "Let users 0 to 999 come on Monday and 400 to 1199 on Tuesday, then ask who came back.",
    acts: &[
        Act {
            name: "login",
            button: "Log in",
            about: "SETBIT",
            fields: &[args::number("user", "User", (0, 9_999), "50"), DAY],
            run: |play| Box::pin(login(play)),
        },
        Act {
            name: "crowd",
            button: "Let many log in",
            about: "SETBIT for each of them, 1,000 in a script",
            fields: &[
                args::number("from", "From user", (0, 9_999), "0"),
                args::number("count", "How many", (1, 5_000), "1000"),
                DAY,
            ],
            run: |play| Box::pin(crowd(play)),
        },
        Act {
            name: "retention",
            button: "Who came back?",
            about: "BITOP AND, then BITCOUNT",
            fields: &[],
            run: |play| Box::pin(retention(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the bitmap, set the bit in the application, SET all of it.",
        why: "Two logins at once read the same bitmap, and the second SET undoes the first one’s bit. It also moves the whole bitmap over the network twice for a single bit.",
        right: "SETBIT changes the bit where it is. Mind the offsets: a bitmap is as long as its highest bit, so user ids that are large and sparse take a set or a HyperLogLog instead.",
    },
    trial: Trial {
        about: "Each actor is a user who logs in on both days, all at once.",
        counts: "users came back",
        lost: "logins lost",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "GET, set the bit, SET",
                is_right: false,
                code: "GET logins:{day}\n(set bit {user})\nSET logins:{day} …",
                run: |trial_run| Box::pin(run(trial_run, false)),
            },
            Variant {
                name: "SETBIT",
                is_right: true,
                code: "SETBIT logins:{day} {user} 1",
                run: |trial_run| Box::pin(run(trial_run, true)),
            },
        ],
    },
    figures: Some(|play| Box::pin(figures(play))),
    now: None,
    is_live: false,
};

const DAY: args::Field = args::choice("day", "Day", &["monday", "tuesday"], "monday");
const MONDAY: &str = "logins:monday";
const TUESDAY: &str = "logins:tuesday";
const BOTH: &str = "logins:both";

/// `KEYS[1]`; the first user, how many, how long it is kept in seconds. Replies
/// how many of them were not here before. O(n).
static CROWD: Script = Script::new(include_str!("scripts/retention_crowd.lua"));

fn day(play: &ActionContext) -> String {
    format!("logins:{}", play.args().text("day"))
}

async fn login(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (user, day) = (play.args().number("user"), day(play));
    let set = play.store().on("SETBIT", &play.key(&day)).arg(user).arg(1);
    let replies = play.ask(vec![set, play.keep(&day)]).await?;
    let before: bool = replies.into_iter().next().map_or(Ok(false), typed)?;
    let said = if before { "was here already that day" } else { "is counted for that day" };
    Ok(vec![format!("User {user} {said}.")])
}

async fn crowd(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (from, count) = (play.args().number("from"), play.args().number("count"));
    let (bitmap, mut new) = (play.key(&day(play)), 0);
    for (from, some) in args::batches(from, count) {
        let crowd = play.store().script(&CROWD, &bitmap).arg(from).arg(some);
        new += play.one::<u64>(crowd.arg(KEPT.as_secs())).await?;
    }
    let came = format::counted(&u64::from(count), "user", "users");
    Ok(vec![format!(
        "{came} logged in, {} of them for the first time that day.",
        format::number(&new)
    )])
}

async fn retention(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, both) = (play.store(), play.key(BOTH));
    let [monday, tuesday] = [MONDAY, TUESDAY].map(|name| play.peek(name));
    let and = store.command("BITOP").arg("AND").arg(store.full_key(&both));
    let and = and.arg(store.full_key(&monday)).arg(store.full_key(&tuesday));
    let count = |key| store.on("BITCOUNT", key);
    let all = vec![and, play.keep(BOTH), count(&monday), count(&tuesday), count(&both)];
    let replies = play.ask(all).await?;
    let counts: Vec<u64> = replies.into_iter().skip(2).map(typed).collect::<Result<_, _>>()?;
    let [first, second, again] = counts[..] else { return Ok(Vec::new()) };
    let share = (first > 0).then(|| again as f64 / first as f64);
    let number = |count: u64| format::number(&count);
    Ok(vec![
        format!(
            "{} were here on Monday, {} on Tuesday, {} on both.",
            number(first),
            number(second),
            number(again)
        ),
        match share {
            Some(_) => {
                format!("Retention: {} of Monday’s users came back.", format::percent(&share))
            }
            None => "Nobody was here on Monday, so nobody could come back.".to_owned(),
        },
    ])
}

async fn figures(play: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let store = play.store();
    let ask = |name: &&str| {
        let key = play.peek(name);
        [store.on("BITCOUNT", &key), store.on("STRLEN", &key)]
    };
    let all = [MONDAY, TUESDAY].iter().flat_map(ask).collect();
    let [monday, of_monday, tuesday, of_tuesday]: [Value; 4] =
        play.ask(all).await?.try_into().unwrap_or_default();
    let told = |label, count: Value, bytes: Value| {
        let bytes = format::bytes(&typed(bytes)?);
        let count = format::number(&typed(count)?).to_string();
        Ok::<_, RedisError>(figure(label, count, format!("bits set, in {bytes}")))
    };
    Ok(vec![
        told("Monday’s actives", monday, of_monday)?,
        told("Tuesday’s actives", tuesday, of_tuesday)?,
    ])
}

async fn run(trial_run: &Arc<TrialRun>, in_place: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            for name in [MONDAY, TUESDAY] {
                match in_place {
                    true => set(&trial_run, n, name).await?,
                    false => rewrite(&trial_run, n, name).await?,
                }
            }
            Ok(())
        })
        .await?;
    let (store, both) = (trial_run.store(0), trial_run.key(BOTH));
    let and = store.command("BITOP").arg("AND").arg(store.full_key(&both));
    let and = and
        .arg(store.full_key(&trial_run.key(MONDAY)))
        .arg(store.full_key(&trial_run.key(TUESDAY)));
    trial_run.run_all(0, vec![and, expire(store, &both)]).await?;
    let again = trial_run.run(0, store.on("BITCOUNT", &both)).await?;
    Ok(Count::new(trial_run.actors(), again))
}

async fn set(trial_run: &TrialRun, n: u64, name: &str) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(name));
    let set = store.on("SETBIT", &key).arg(n).arg(1);
    trial_run.run_all(n, vec![set, expire(store, &key)]).await.map(drop)
}

async fn rewrite(trial_run: &TrialRun, n: u64, name: &str) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(name));
    let held: Option<Vec<u8>> = trial_run.run(n, store.on("GET", &key)).await?;
    let mut bits = held.unwrap_or_default();
    let byte = (n / 8) as usize;
    bits.resize(bits.len().max(byte + 1), 0);
    // Bit 0 is the highest of the first byte.
    bits[byte] |= 0x80 >> (n % 8);
    trial_run.run(n, store.on("SET", &key).arg(bits).arg("EX").arg(KEPT.as_secs())).await
}

fn expire(store: &Store, key: &hitrate_cache::Key<()>) -> hitrate_cache::redis::Command {
    store.on("EXPIRE", key).arg(KEPT.as_secs())
}
