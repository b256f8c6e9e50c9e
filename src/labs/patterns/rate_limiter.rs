//! A rate limiter: ten requests in ten seconds, by a fixed or a sliding window.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Key,
    redis::{Command, RedisError, Script, Store, typed},
};
use tokio::time::sleep;

use super::{
    Action, Pattern, Pitfall, Statistic, args, command, figure, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::format;

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "rate-limiter",
    title: "Rate limiter",
    what_for: "No more than ten requests in ten seconds, on all servers together.",
    lead: "Each request asks Redis whether it may pass, and is counted in the same step. A fixed window counts from the first request on and starts anew when its key ends. A sliding window remembers when each request came, and looks back from now.",
    keys: &[
        key(
            "limit:{user_id}",
            "a string: requests counted in this window",
            "10 s after the window’s first request",
        ),
        key(
            "limit:{user_id}:log",
            "a sorted set: a member for each request let through, its time as score",
            "10 s after the last one let through",
        ),
    ],
    commands: &[
        command(
            "INCR limit:42",
            "O(1)",
            "counts a request; in one script with PEXPIRE, so that no count is left without an end",
        ),
        command("PEXPIRE limit:42 10000", "O(1)", "opens the window, with its first request"),
        command(
            "ZREMRANGEBYSCORE limit:42:log -inf {now − 10 s}",
            "O(log n + m)",
            "sliding: forgets what is out of the window",
        ),
        command("ZCARD limit:42:log", "O(1)", "sliding: how many are in it"),
        command(
            "ZADD limit:42:log {now} {id}",
            "O(log n)",
            "sliding: remembers one that is let through",
        ),
    ],
    try_this: "Send twelve requests at once, by either window, then a few more while the time runs down.",
    acts: &[Action {
        id: "request",
        label: "Send",
        about: "one script for each request",
        fields: &[
            args::user("42"),
            args::number("requests", "Requests", (1, 50), "12"),
            args::choice("window", "Window", &["fixed", "sliding"], "fixed"),
        ],
        run: |play| Box::pin(request(play)),
    }],
    pitfall: Pitfall {
        wrong: "GET the rest and DECRBY it in a second command; or SETNX and then EXPIRE.",
        why: "Between GET and DECRBY everyone else reads the same rest, and all pass. And who is cut off between SETNX and EXPIRE leaves a count without an end: once it is used up, that client stays locked out for ever.",
        right: "Ask and count in one step: a script (or INCR first, and compare its reply). A fixed window still lets up to twice the limit pass around its edge; a sliding one never does, and pays with a member for each request.",
    },
    trial: Trial {
        about: "All actors send one request at once, with the limit at 10 in 10 s. For the scripts then comes a second part, with windows of half a second: a request opens one, a crowd comes just before its end and another just after. At most 10 should pass within any half second, by Redis’s own clock.",
        counts: "requests let through",
        lost: "refused in error",
        over: "over the limit",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "SETNX, then EXPIRE",
                is_right: false,
                code: "SETNX limit:42 10\n(here the one who set it is cut off)\nEXPIRE limit:42 10\nDECR limit:42 → passes while ≥ 0",
                run: |trial_run| Box::pin(set_then_expire(trial_run)),
            },
            Variant {
                name: "GET, then DECRBY",
                is_right: false,
                code: "SET limit:42 10 NX EX 10\nGET limit:42 → passes while > 0\nDECRBY limit:42 1",
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
    figures: Some(|play| Box::pin(figures(play))),
    now: None,
    is_live: false,
};

/// Requests in a window.
const LIMIT: u64 = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);
/// The window of the trial's second part.
const SHORT: Duration = Duration::from_millis(500);

/// `KEYS[1]`, limit, window in milliseconds. Replies whether it may pass, how
/// many more may, milliseconds until the window ends, and the time in microseconds.
const FIXED_TEXT: &str = include_str!("scripts/limiter_fixed.lua");
static FIXED: Script = Script::new(FIXED_TEXT);

/// The same with a log of what passed, and an id of the request after the
/// window. After Peter Hayes, "Better Rate Limiting With Redis Sorted Sets"
/// (2015), where refused requests are logged, too.
const SLIDING_TEXT: &str = include_str!("scripts/limiter_sliding.lua");
static SLIDING: Script = Script::new(SLIDING_TEXT);

#[derive(Clone, Copy)]
enum Window {
    Fixed,
    Sliding,
}

/// Passes, how many more may, milliseconds until more may, microseconds of time.
type Told = (u64, u64, u64, u64);

fn asked(store: &Store, key: &Key<()>, window: Window, width: Duration) -> Command {
    let (limit, width) = (LIMIT, width.as_millis() as u64);
    match window {
        Window::Fixed => store.script(&FIXED, key).arg(limit).arg(width),
        Window::Sliding => {
            let id = format!("{:016x}", rand::random::<u64>());
            store.script(&SLIDING, key).arg(limit).arg(width).arg(id)
        }
    }
}

async fn request(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (window, name) = match play.args().text("window") {
        "sliding" => (Window::Sliding, format!("limit:{}:log", play.args().number("user_id"))),
        _ => (Window::Fixed, format!("limit:{}", play.args().number("user_id"))),
    };
    let (key, requests) = (play.key(&name), play.args().number("requests"));
    let ask = |_| asked(play.store(), &key, window, WINDOW);
    let replies = play.ask((0..requests).map(ask).collect()).await?;
    let told: Vec<Told> = replies.into_iter().map(typed).collect::<Result<_, _>>()?;
    let passed: u64 = told.iter().map(|it| it.0).sum();
    let (_, left, wait_ms, _) = told.last().copied().unwrap_or_default();
    let time = format::time(&wait_ms.saturating_mul(1_000));
    let wait = match window {
        _ if left > 0 => format!("{left} more may come."),
        Window::Fixed => format!("The window ends in {time}, and then ten may come."),
        Window::Sliding => {
            format!("The oldest leaves the window in {time}, and then one may come.")
        }
    };
    Ok(vec![
        format!("{passed} of {requests} let through, {} refused.", u64::from(requests) - passed),
        wait,
    ])
}

/// How full the windows of the last user are.
async fn figures(play: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let (store, user) = (play.store(), play.args().number("user_id"));
    let fixed = play.peek(&format!("limit:{user}"));
    let log = play.peek(&format!("limit:{user}:log"));
    let now = store.now();
    let since = now.saturating_sub(WINDOW.as_micros() as u64);
    let replies = play
        .ask(vec![
            store.on("GET", &fixed),
            store.on("PTTL", &fixed),
            store.on("ZCOUNT", &log).arg(format!("({since}")).arg("+inf"),
        ])
        .await?;
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(hitrate_cache::redis::Value::Nil);
    let counted = typed::<Option<u64>>(next())?.unwrap_or_default();
    let ttl = typed::<i64>(next())?.max(0) as u64;
    let logged = typed::<u64>(next())?;
    Ok(vec![
        figure(
            "Fixed window",
            format!("{} of {LIMIT}", counted.min(LIMIT)),
            match counted {
                0 => "no window is open".to_owned(),
                _ => format!(
                    "ends in {}; {} asked",
                    format::time(&(ttl * 1_000)),
                    format::number(&counted)
                ),
            },
        ),
        figure(
            "Sliding window",
            format!("{logged} of {LIMIT}"),
            "passed in the last 10 s".to_owned(),
        ),
    ])
}

async fn set_then_expire(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let passed = trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("limit:42"));
            let created: bool = trial_run.run(n, store.on("SETNX", &key).arg(LIMIT)).await?;
            if created {
                // Cut off: EXPIRE is never sent.
                return Ok(0);
            }
            let left: i64 = trial_run.run(n, store.on("DECR", &key)).await?;
            Ok(u64::from(left >= 0))
        })
        .await?;
    let ttl: i64 =
        trial_run.run(0, trial_run.store(0).on("PTTL", &trial_run.key("limit:42"))).await?;
    // The one who was cut off got no answer.
    let expected = LIMIT.min(trial_run.actors() - 1);
    let for_ever = u64::from(ttl == -1);
    Ok(Count::new(expected, passed.iter().sum()).bad(
        "without_ttl",
        "Counts without an end (TTL −1), so locked out for ever",
        for_ever,
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
    let passed = crowd(trial_run, "limit:42", window, WINDOW).await?;
    let edge = around_the_edge(trial_run, window).await?;
    Ok(Count::new(LIMIT.min(trial_run.actors()), passed.len() as u64).known(
        "edge",
        "Most that passed within one window’s time, around its edge",
        edge,
    ))
}

/// All ask at once. Returns when those passed who did.
async fn crowd(
    trial_run: &Arc<TrialRun>,
    name: &'static str,
    window: Window,
    width: Duration,
) -> Result<Vec<u64>, RedisError> {
    let told = trial_run
        .all(|trial_run, n| async move {
            let ask = asked(trial_run.store(n), &trial_run.key(name), window, width);
            trial_run.run::<Told>(n, ask).await
        })
        .await?;
    Ok(told.into_iter().filter(|it| it.0 == 1).map(|it| it.3).collect())
}

/// One opens a window, a crowd comes shortly before its end and one after.
/// Returns the most that passed within any time as long as the window.
async fn around_the_edge(trial_run: &Arc<TrialRun>, window: Window) -> Result<u64, RedisError> {
    let key = trial_run.key("edge");
    let first: Told = trial_run.run(0, asked(trial_run.store(0), &key, window, SHORT)).await?;
    sleep(SHORT * 7 / 10).await;
    let mut times = vec![first.3];
    times.extend(crowd(trial_run, "edge", window, SHORT).await?);
    sleep(SHORT * 4 / 10).await;
    times.extend(crowd(trial_run, "edge", window, SHORT).await?);
    Ok(most_within(times, SHORT.as_micros() as u64))
}

/// The most of these times that lie within a span shorter than `width`.
fn most_within(mut times: Vec<u64>, width: u64) -> u64 {
    times.sort_unstable();
    let from = |n: usize| times[n..].iter().take_while(|it| **it < times[n] + width).count() as u64;
    (0..times.len()).map(from).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_within_a_span_may_begin_anywhere() {
        assert_eq!(most_within(vec![], 10), 0);
        assert_eq!(most_within(vec![0, 9, 10, 11, 30], 10), 3);
        assert_eq!(most_within(vec![20, 0, 10], 10), 1);
    }
}
