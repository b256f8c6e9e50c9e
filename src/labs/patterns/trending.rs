//! Trending topics: a sorted set that counts, and forgets little by little.

use std::sync::Arc;

use hitrate_cache::redis::{Command, RedisError, typed};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    state::rounded,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "trending-topics",
    title: "Trending topics",
    what_for: "The top ten of what is talked about now.",
    lead: "Each mention adds to the topic’s score in a sorted set, which is always in order. Every now and then all scores are halved in one command, and what has fallen below a half is dropped: so what trends is what is talked about now, not what was mentioned most since the beginning.",
    keys: &[key(
        "trending_topics",
        "a sorted set: topic, score; the best 100",
        "a day after the last mention",
    )],
    commands: &[
        command("ZINCRBY trending_topics 1 python", "O(log n)", "one more mention, in one step"),
        command(
            "ZRANGE trending_topics 0 9 REV WITHSCORES",
            "O(log n + 10)",
            "the top ten with scores (older texts: ZREVRANGE, deprecated)",
        ),
        command(
            "ZUNIONSTORE trending_topics 1 trending_topics WEIGHTS 0.5",
            "O(n log n)",
            "halves all scores; the key’s TTL is lost with it, so EXPIRE follows",
        ),
        command(
            "ZREMRANGEBYSCORE trending_topics -inf (0.5",
            "O(log n + m)",
            "drops what nobody mentions any more",
        ),
    ],
    try_this: "Mention a few topics, look at the ranking, then let the scores decay.",
    acts: &[
        Action {
            id: "mention",
            label: "Mention",
            about: "ZINCRBY",
            fields: &[
                args::text("topic", "Topic", 40, "python"),
                args::number("times", "Times", (1, 100), "1"),
            ],
            run: |play| Box::pin(mention(play)),
        },
        Action {
            id: "example",
            label: "A busy morning",
            about: "a dozen topics, mentioned 1 to 12 times",
            fields: &[],
            run: |play| Box::pin(example(play)),
        },
        Action {
            id: "decay",
            label: "Halve all scores",
            about: "ZUNIONSTORE … WEIGHTS 0.5, ZREMRANGEBYSCORE, EXPIRE",
            fields: &[],
            run: |play| Box::pin(decay(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "ZSCORE, add one, ZADD. And halving the scores one by one.",
        why: "Who reads the score and writes it back loses what others added in between; halving topic by topic loses every mention that comes between reading a score and writing the half.",
        right: "ZINCRBY for a mention, and one ZUNIONSTORE with a weight for all: each is one step for Redis.",
    },
    trial: Trial {
        about: "All actors mention the same three topics at once, again and again.",
        counts: "mentions counted",
        lost: "mentions lost",
        over: "too many",
        fields: &[args::actors("50"), args::number("mentions", "Mentions each", (1, 20), "6")],
        variants: &[
            Variant {
                name: "ZSCORE, add, ZADD",
                is_right: false,
                code: "ZSCORE trending_topics {topic}\n(add 1)\nZADD trending_topics {score} {topic}",
                run: |trial_run| Box::pin(run(trial_run, false)),
            },
            Variant {
                name: "ZINCRBY",
                is_right: true,
                code: "ZINCRBY trending_topics 1 {topic}",
                run: |trial_run| Box::pin(run(trial_run, true)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

const NAME: &str = "trending_topics";
/// Topics that are kept: enough that a top ten can change.
const BEST: i64 = 100;
/// What falls below is dropped.
const FLOOR: &str = "(0.5";
/// Of the act that fills it, the most mentioned first.
const TOPICS: [&str; 12] = [
    "redis", "python", "caching", "rust", "docker", "streams", "flask", "lua", "sqlite", "locks",
    "geo", "bitmaps",
];

fn increase(play: &ActionContext, topic: &str, times: u64) -> Command {
    play.store().on("ZINCRBY", &play.key(NAME)).arg(times).arg(topic)
}

/// Keeps the best, and those for another day.
fn bounded(play: &ActionContext) -> [Command; 2] {
    let trim = play.store().on("ZREMRANGEBYRANK", &play.key(NAME)).arg(0).arg(-BEST - 1);
    [trim, play.keep(NAME)]
}

async fn mention(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (topic, times) = (play.args().text("topic"), u64::from(play.args().number("times")));
    let [trim, keep] = bounded(play);
    let replies = play.ask(vec![increase(play, topic, times), trim, keep]).await?;
    let score: f64 = replies.into_iter().next().map_or(Ok(0.0), typed)?;
    Ok(vec![format!("“{topic}” has a score of {} now.", rounded(score))])
}

async fn example(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let times = |(n, topic): (usize, &&str)| increase(play, topic, (TOPICS.len() - n) as u64);
    let mut commands: Vec<_> = TOPICS.iter().enumerate().map(times).collect();
    commands.extend(bounded(play));
    play.ask(commands).await?;
    Ok(vec!["Twelve topics were mentioned, in one round trip.".to_owned()])
}

async fn decay(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (play.store(), play.key(NAME));
    let halve = store.on("ZUNIONSTORE", &key).arg(1).arg(store.full_key(&key));
    let drop = store.on("ZREMRANGEBYSCORE", &key).arg("-inf").arg(FLOOR);
    let all = vec![halve.arg("WEIGHTS").arg("0.5"), drop, play.keep(NAME)];
    let mut replies = play.ask(all).await?.into_iter();
    let mut next = || replies.next().map_or(Ok(0), typed::<u64>);
    let (halved, dropped) = (next()?, next()?);
    let topics = |count: &u64| crate::format::counted(count, "topic", "topics");
    Ok(vec![format!("{} halved, {} dropped.", topics(&halved), topics(&dropped))])
}

async fn run(trial_run: &Arc<TrialRun>, at_once: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            for mention in 0..trial_run.number("mentions") {
                let topic = TOPICS[((n + mention) % 3) as usize];
                one(&trial_run, n, topic, at_once).await?;
            }
            Ok(())
        })
        .await?;
    let all =
        trial_run.store(0).on("ZRANGE", &trial_run.key(NAME)).arg(0).arg(-1).arg("WITHSCORES");
    let scores: Vec<(String, f64)> = trial_run.run(0, all).await?;
    let counted = scores.iter().map(|(_, score)| *score).sum::<f64>() as u64;
    Ok(Count::new(trial_run.actors() * trial_run.number("mentions"), counted))
}

async fn one(trial_run: &TrialRun, n: u64, topic: &str, at_once: bool) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(NAME));
    if at_once {
        let more: f64 = trial_run.run(n, store.on("ZINCRBY", &key).arg(1).arg(topic)).await?;
        debug_assert!(more >= 1.0);
        return Ok(());
    }
    let score: Option<f64> = trial_run.run(n, store.on("ZSCORE", &key).arg(topic)).await?;
    let more = score.unwrap_or_default() + 1.0;
    trial_run.run::<u64>(n, store.on("ZADD", &key).arg(more).arg(topic)).await.map(drop)
}
