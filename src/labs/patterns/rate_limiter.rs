//! A rate limiter: ten requests per ten seconds, in a fixed or a sliding window.

use std::{sync::Arc, time::Duration};

use hitrate_cache::redis::{Client, Command, Key, RedisError, Script, typed};
use tokio::time::sleep;

use super::{
    Action, Pitfall, RedisPattern, Statistic,
    action_context::{ActionContext, ActionError},
    args, command, key, statistic,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::format;

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "rate-limiter",
    title: "Rate limiter",
    purpose: "At most ten requests per ten seconds, across all servers.",
    lead: "For each request, a script in Redis checks the limit and counts the request in one step. A fixed window starts with the first request and resets when its key expires. A sliding window stores the time of each request and counts those in the last ten seconds.",
    keys: &[
        key(
            "limit:{user_id}",
            "a string: number of requests in this window",
            "10 s after the window’s first request",
        ),
        key(
            "limit:{user_id}:log",
            "a sorted set: one member per allowed request, with its time as score",
            "10 s after the last allowed request",
        ),
    ],
    commands: &[
        command(
            "INCR limit:42",
            "O(1)",
            "counts a request; in one script with PEXPIRE, so that the counter always has a TTL",
        ),
        command("PEXPIRE limit:42 10000", "O(1)", "starts the window at its first request"),
        command(
            "ZREMRANGEBYSCORE limit:42:log -inf {now − 10 s}",
            "O(log n + m)",
            "sliding: removes requests outside the window",
        ),
        command("ZCARD limit:42:log", "O(1)", "sliding: counts requests in the window"),
        command("ZADD limit:42:log {now} {id}", "O(log n)", "sliding: records an allowed request"),
    ],
    try_this: "Send twelve requests at once with either window, then a few more while the time runs down.",
    acts: &[Action {
        id: "request",
        label: "Send",
        about: "one script call per request",
        fields: &[
            args::user("42"),
            args::number("requests", "Requests", (1, 50), "12"),
            args::choice("window", "Window", &["fixed", "sliding"], "fixed"),
        ],
        run: |context| Box::pin(request(context)),
    }],
    pitfall: Pitfall {
        wrong: "GET the remaining count, then DECRBY in a second command. Or SETNX, then EXPIRE.",
        why: "Between GET and DECRBY, other requests read the same count, and all of them pass. A server that crashes between SETNX and EXPIRE leaves a counter without a TTL: once it is used up, that client is locked out forever.",
        right: "Check and count atomically in a script (or INCR first and compare its reply). A fixed window can still allow twice the limit around its boundary; a sliding window never does, at the cost of one member per request.",
    },
    trial: Trial {
        about: "All actors send one request at once, with a limit of 10 per 10 s. For the scripts, a second part uses windows of half a second: one request opens a window, a burst follows just before its end and another just after. At most 10 should be allowed within any half second, by Redis’s clock.",
        counts: "requests allowed",
        lost: "wrongly rejected",
        over: "over the limit",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "SETNX, then EXPIRE",
                is_right: false,
                code: "SETNX limit:42 10\n(the client that set it crashes here)\nEXPIRE limit:42 10\nDECR limit:42 → allowed while ≥ 0",
                run: |trial_run| Box::pin(set_then_expire(trial_run)),
            },
            Variant {
                name: "GET, then DECRBY",
                is_right: false,
                code: "SET limit:42 10 NX EX 10\nGET limit:42 → allowed while > 0\nDECRBY limit:42 1",
                run: |trial_run| Box::pin(get_then_decrement(trial_run)),
            },
            Variant {
                name: "One script, fixed window",
                is_right: true,
                code: FIXED_TEXT,
                run: |trial_run| Box::pin(script(trial_run, Window::Fixed)),
            },
            Variant {
                name: "One script, sliding window",
                is_right: true,
                code: SLIDING_TEXT,
                run: |trial_run| Box::pin(script(trial_run, Window::Sliding)),
            },
        ],
    },
    statistics: Some(|context| Box::pin(statistics(context))),
    status: None,
    is_live: false,
};

/// Maximum number of requests in a window.
const LIMIT: u64 = 10;
/// Length of the window.
const WINDOW: Duration = Duration::from_secs(10);
/// Length of the window in the second part of the trial.
const SHORT: Duration = Duration::from_millis(500);

/// `KEYS[1]` is the counter. Arguments: limit, window in milliseconds. Returns whether
/// the request is allowed, the remaining requests, milliseconds until the window ends,
/// and the time in microseconds.
const FIXED_TEXT: &str = include_str!("scripts/limiter_fixed.lua");
static FIXED: Script = Script::new(FIXED_TEXT);

/// Like [`FIXED`], on a log of allowed requests; a third argument is the id of the
/// request. Based on Peter Hayes, "Better Rate Limiting With Redis Sorted Sets" (2015),
/// which also logs rejected requests.
const SLIDING_TEXT: &str = include_str!("scripts/limiter_sliding.lua");
static SLIDING: Script = Script::new(SLIDING_TEXT);

#[derive(Clone, Copy)]
enum Window {
    Fixed,
    Sliding,
}

/// Whether the request is allowed, remaining requests, milliseconds until more are
/// allowed, time in microseconds.
type Decision = (u64, u64, u64, u64);

fn limit_command(store: &Client, key: &Key<()>, window: Window, width: Duration) -> Command {
    let (limit, width) = (LIMIT, width.as_millis() as u64);
    match window {
        Window::Fixed => store.script(&FIXED, key).arg(limit).arg(width),
        Window::Sliding => {
            let id = format!("{:016x}", rand::random::<u64>());
            store.script(&SLIDING, key).arg(limit).arg(width).arg(id)
        }
    }
}

async fn request(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (window, name) = match context.args().text("window") {
        "sliding" => (Window::Sliding, format!("limit:{}:log", context.args().number("user_id"))),
        _ => (Window::Fixed, format!("limit:{}", context.args().number("user_id"))),
    };
    let (key, requests) = (context.key(&name), context.args().number("requests"));
    let ask = |_| limit_command(context.store(), &key, window, WINDOW);
    let replies = context.pipeline((0..requests).map(ask).collect()).await?;
    let decisions: Vec<Decision> = replies.into_iter().map(typed).collect::<Result<_, _>>()?;
    let passed: u64 = decisions.iter().map(|it| it.0).sum();
    let (_, left, wait_ms, _) = decisions.last().copied().unwrap_or_default();
    let time = format::time(&wait_ms.saturating_mul(1_000));
    let wait = match window {
        _ if left > 0 => format!("{left} more are allowed."),
        Window::Fixed => format!("The window ends in {time}; then ten are allowed."),
        Window::Sliding => {
            format!("The oldest request leaves the window in {time}; then one is allowed.")
        }
    };
    Ok(vec![
        format!("{passed} of {requests} allowed, {} rejected.", u64::from(requests) - passed),
        wait,
    ])
}

/// The usage of the last user's windows.
async fn statistics(context: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let (store, user) = (context.store(), context.args().number("user_id"));
    let fixed = context.read_key(&format!("limit:{user}"));
    let log = context.read_key(&format!("limit:{user}:log"));
    let now = store.now();
    let since = now.saturating_sub(WINDOW.as_micros() as u64);
    let replies = context
        .pipeline(vec![
            store.on("GET", &fixed),
            store.on("PTTL", &fixed),
            store.on("ZCOUNT", &log).arg(format!("({since}")).arg("+inf"),
        ])
        .await?;
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(hitrate_cache::redis::Value::Nil);
    let counted = typed::<Option<u64>>(next())?.unwrap_or_default();
    let ttl = typed::<i64>(next())?.max(0) as u64;
    let in_window = typed::<u64>(next())?;
    Ok(vec![
        statistic(
            "Fixed window",
            format!("{} of {LIMIT}", counted.min(LIMIT)),
            match counted {
                0 => "no window is open".to_owned(),
                _ => format!(
                    "ends in {}; {} requested",
                    format::time(&(ttl * 1_000)),
                    format::number(&counted)
                ),
            },
        ),
        statistic(
            "Sliding window",
            format!("{in_window} of {LIMIT}"),
            "allowed in the last 10 s".to_owned(),
        ),
    ])
}

async fn set_then_expire(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let passed = trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("limit:42"));
            let created: bool = trial_run.run(n, store.on("SETNX", &key).arg(LIMIT)).await?;
            if created {
                // Simulated crash: EXPIRE is never sent.
                return Ok(0);
            }
            let left: i64 = trial_run.run(n, store.on("DECR", &key)).await?;
            Ok(u64::from(left >= 0))
        })
        .await?;
    let ttl: i64 =
        trial_run.run(0, trial_run.store(0).on("PTTL", &trial_run.key("limit:42"))).await?;
    // The actor that crashed got no response.
    let expected = LIMIT.min(trial_run.actors() - 1);
    let without_ttl = u64::from(ttl == -1);
    Ok(Count::new(expected, passed.iter().sum()).with_violation(
        "without_ttl",
        "Counters without a TTL: clients locked out forever",
        without_ttl,
    ))
}

async fn get_then_decrement(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let passed = trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("limit:42"));
            let set = store.on("SET", &key).arg(LIMIT).arg("NX").arg("PX");
            trial_run.run::<Option<String>>(n, set.arg(WINDOW.as_millis() as u64)).await?;
            let left: Option<i64> = trial_run.run(n, store.on("GET", &key)).await?;
            if left.unwrap_or_default() <= 0 {
                return Ok(0);
            }
            trial_run.run::<i64>(n, store.on("DECRBY", &key).arg(1)).await?;
            Ok(1)
        })
        .await?;
    Ok(Count::new(LIMIT.min(trial_run.actors()), passed.iter().sum::<u64>()))
}

async fn script(trial_run: &Arc<TrialRun>, window: Window) -> Result<Count, RedisError> {
    let passed = burst(trial_run, "limit:42", window, WINDOW).await?;
    let edge = around_the_boundary(trial_run, window).await?;
    Ok(Count::new(LIMIT.min(trial_run.actors()), passed.len() as u64).with_extra(
        "edge",
        "Maximum allowed within one window’s length, around the boundary",
        edge,
    ))
}

/// All actors send a request at once. Returns the times of the allowed ones.
async fn burst(
    trial_run: &Arc<TrialRun>,
    name: &'static str,
    window: Window,
    width: Duration,
) -> Result<Vec<u64>, RedisError> {
    let decisions = trial_run
        .all(|trial_run, n| async move {
            let ask = limit_command(trial_run.store(n), &trial_run.key(name), window, width);
            trial_run.run::<Decision>(n, ask).await
        })
        .await?;
    Ok(decisions.into_iter().filter(|it| it.0 == 1).map(|it| it.3).collect())
}

/// One request opens a window, a burst follows shortly before its end and another after.
/// Returns the maximum number allowed within any span as long as the window.
async fn around_the_boundary(trial_run: &Arc<TrialRun>, window: Window) -> Result<u64, RedisError> {
    let key = trial_run.key("edge");
    let first: Decision =
        trial_run.run(0, limit_command(trial_run.store(0), &key, window, SHORT)).await?;
    sleep(SHORT * 7 / 10).await;
    let mut times = vec![first.3];
    times.extend(burst(trial_run, "edge", window, SHORT).await?);
    sleep(SHORT * 4 / 10).await;
    times.extend(burst(trial_run, "edge", window, SHORT).await?);
    Ok(max_within(times, SHORT.as_micros() as u64))
}

/// The maximum number of times within a span shorter than `width`.
fn max_within(mut times: Vec<u64>, width: u64) -> u64 {
    times.sort_unstable();
    let from = |n: usize| times[n..].iter().take_while(|it| **it < times[n] + width).count() as u64;
    (0..times.len()).map(from).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_max_within_a_span_may_begin_anywhere() {
        assert_eq!(max_within(vec![], 10), 0);
        assert_eq!(max_within(vec![0, 9, 10, 11, 30], 10), 3);
        assert_eq!(max_within(vec![20, 0, 10], 10), 1);
    }
}
