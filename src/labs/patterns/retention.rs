//! Retention: a bitmap per day, with one bit per user.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, Script, Value, typed};

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
    slug: "retention",
    title: "Retention",
    purpose: "The share of one day’s users who come back the next day.",
    lead: "Each day is a bitmap: user 50 is bit 50. A login sets a bit, the number of set bits is the number of active users, and the AND of two days contains the users active on both. Ten million users take 1.25 MB per day.",
    keys: &[
        key(
            "logins:{day}",
            "a string used as a bitmap: one bit per user",
            "a day after the last login",
        ),
        key("logins:both", "the AND of two days", "a day after it was computed"),
    ],
    commands: &[
        command("SETBIT logins:monday 50 1", "O(1)", "records user 50; returns the previous bit"),
        command("BITCOUNT logins:monday", "O(n)", "counts the day’s active users"),
        command(
            "BITOP AND logins:both logins:monday logins:tuesday",
            "O(n)",
            "computes the users active on both days",
        ),
    ],
    try_this: "Log in users 0 to 999 on Monday and 400 to 1199 on Tuesday, then compute the retention.",
    acts: &[
        Action {
            id: "login",
            label: "Log in",
            about: "SETBIT",
            fields: &[args::number("user", "User", (0, 9_999), "50"), DAY],
            run: |context| Box::pin(login(context)),
        },
        Action {
            id: "many",
            label: "Log in many",
            about: "SETBIT per user, 1,000 per script call",
            fields: &[
                args::number("from", "From user", (0, 9_999), "0"),
                args::number("count", "How many", (1, 5_000), "1000"),
                DAY,
            ],
            run: |context| Box::pin(many(context)),
        },
        Action {
            id: "retention",
            label: "Compute retention",
            about: "BITOP AND, then BITCOUNT",
            fields: &[],
            run: |context| Box::pin(retention(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the bitmap, set the bit in the application, SET the whole bitmap.",
        why: "Two concurrent logins read the same bitmap, and the second SET overwrites the first one’s bit. It also transfers the whole bitmap twice for a single bit.",
        right: "SETBIT changes the bit on the server. Mind the offsets: the length of a bitmap depends on its highest bit, so for large, sparse user ids use a set or a HyperLogLog.",
    },
    trial: Trial {
        about: "Each actor is a user who logs in on both days, all concurrently.",
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
    statistics: Some(|context| Box::pin(statistics(context))),
    status: None,
    is_live: false,
};

const DAY: args::Field = args::choice("day", "Day", &["monday", "tuesday"], "monday");
const MONDAY: &str = "logins:monday";
const TUESDAY: &str = "logins:tuesday";
const BOTH: &str = "logins:both";

/// `KEYS[1]` is the bitmap. Arguments: first user, number of users, TTL in seconds.
/// Returns the number of users who were not active before. O(n).
static MANY: Script = Script::new(include_str!("scripts/login_many.lua"));

fn day(context: &ActionContext) -> String {
    format!("logins:{}", context.args().text("day"))
}

async fn login(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (user, day) = (context.args().number("user"), day(context));
    let set = context.store().on("SETBIT", &context.key(&day)).arg(user).arg(1);
    let replies = context.pipeline(vec![set, context.renew(&day)]).await?;
    let before: bool = replies.into_iter().next().map_or(Ok(false), typed)?;
    let status = if before { "had already logged in that day" } else { "is counted for that day" };
    Ok(vec![format!("User {user} {status}.")])
}

async fn many(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (from, count) = (context.args().number("from"), context.args().number("count"));
    let (bitmap, mut new) = (context.key(&day(context)), 0);
    for (from, some) in args::batches(from, count) {
        let logins = context.store().script(&MANY, &bitmap).arg(from).arg(some);
        new += context.run::<u64>(logins.arg(KEY_TTL.as_secs())).await?;
    }
    let came = format::counted(&u64::from(count), "user", "users");
    Ok(vec![format!(
        "{came} logged in, {} of them for the first time that day.",
        format::number(&new)
    )])
}

async fn retention(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, both) = (context.store(), context.key(BOTH));
    let [monday, tuesday] = [MONDAY, TUESDAY].map(|name| context.read_key(name));
    let and = store.command("BITOP").arg("AND").arg(store.full_key(&both));
    let and = and.arg(store.full_key(&monday)).arg(store.full_key(&tuesday));
    let count = |key| store.on("BITCOUNT", key);
    let all = vec![and, context.renew(BOTH), count(&monday), count(&tuesday), count(&both)];
    let replies = context.pipeline(all).await?;
    let counts: Vec<u64> = replies.into_iter().skip(2).map(typed).collect::<Result<_, _>>()?;
    let [first, second, again] = counts[..] else { return Ok(Vec::new()) };
    let share = (first > 0).then(|| again as f64 / first as f64);
    let number = |count: u64| format::number(&count);
    Ok(vec![
        format!(
            "{} users were active on Monday, {} on Tuesday, {} on both.",
            number(first),
            number(second),
            number(again)
        ),
        match share {
            Some(_) => {
                format!("Retention: {} of Monday’s users came back.", format::percent(&share))
            }
            None => "No user was active on Monday, so there is no retention.".to_owned(),
        },
    ])
}

async fn statistics(context: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let store = context.store();
    let ask = |name: &&str| {
        let key = context.read_key(name);
        [store.on("BITCOUNT", &key), store.on("STRLEN", &key)]
    };
    let all = [MONDAY, TUESDAY].iter().flat_map(ask).collect();
    let [monday, of_monday, tuesday, of_tuesday]: [Value; 4] =
        context.pipeline(all).await?.try_into().unwrap_or_default();
    let actives = |label, count: Value, bytes: Value| {
        let bytes = format::bytes(&typed(bytes)?);
        let count = format::number(&typed(count)?).to_string();
        Ok::<_, RedisError>(statistic(label, count, format!("bits set, in {bytes}")))
    };
    Ok(vec![
        actives("Active on Monday", monday, of_monday)?,
        actives("Active on Tuesday", tuesday, of_tuesday)?,
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
    trial_run.run_all(0, vec![and, trial_run.expire(0, &both)]).await?;
    let again = trial_run.run(0, store.on("BITCOUNT", &both)).await?;
    Ok(Count::new(trial_run.actors(), again))
}

async fn set(trial_run: &TrialRun, n: u64, name: &str) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(name));
    let set = store.on("SETBIT", &key).arg(n).arg(1);
    trial_run.run_all(n, vec![set, trial_run.expire(n, &key)]).await.map(drop)
}

async fn rewrite(trial_run: &TrialRun, n: u64, name: &str) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(name));
    let held: Option<Vec<u8>> = trial_run.run(n, store.on("GET", &key)).await?;
    let mut bits = held.unwrap_or_default();
    let byte = (n / 8) as usize;
    bits.resize(bits.len().max(byte + 1), 0);
    // Bit 0 is the highest bit of the first byte.
    bits[byte] |= 0x80 >> (n % 8);
    trial_run.run(n, store.on("SET", &key).arg(bits).arg("EX").arg(KEY_TTL.as_secs())).await
}
