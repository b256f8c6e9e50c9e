//! Trending topics: a sorted set of counts that decay over time.

use std::sync::Arc;

use hitrate_cache::redis::{Command, RedisError, typed};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    stored_key::rounded,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "trending-topics",
    title: "Trending topics",
    purpose: "The top ten current topics.",
    lead: "Each mention increments the topic’s score in a sorted set, which is always in score order. From time to time, one command halves all scores, and topics below 0.5 are removed. So the ranking reflects current mentions, not the total since the beginning.",
    keys: &[key(
        "trending_topics",
        "a sorted set: topic, score; the top 100",
        "a day after the last mention",
    )],
    commands: &[
        command("ZINCRBY trending_topics 1 python", "O(log n)", "counts a mention atomically"),
        command(
            "ZRANGE trending_topics 0 9 REV WITHSCORES",
            "O(log n + 10)",
            "returns the top ten with scores (formerly ZREVRANGE, deprecated)",
        ),
        command(
            "ZUNIONSTORE trending_topics 1 trending_topics WEIGHTS 0.5",
            "O(n log n)",
            "halves all scores; it also removes the TTL, so EXPIRE follows",
        ),
        command(
            "ZREMRANGEBYSCORE trending_topics -inf (0.5",
            "O(log n + m)",
            "removes topics that are no longer mentioned",
        ),
    ],
    try_this: "Mention a few topics, look at the ranking, then halve the scores.",
    acts: &[
        Action {
            id: "mention",
            label: "Mention",
            about: "ZINCRBY",
            fields: &[
                args::text("topic", "Topic", 40, "python"),
                args::number("times", "Times", (1, 100), "1"),
            ],
            run: |context| Box::pin(mention(context)),
        },
        Action {
            id: "example",
            label: "Add an example",
            about: "twelve topics, with 1 to 12 mentions",
            fields: &[],
            run: |context| Box::pin(example(context)),
        },
        Action {
            id: "decay",
            label: "Halve all scores",
            about: "ZUNIONSTORE … WEIGHTS 0.5, ZREMRANGEBYSCORE, EXPIRE",
            fields: &[],
            run: |context| Box::pin(decay(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "ZSCORE, add one, ZADD. And halving scores one by one.",
        why: "Reading a score and writing it back loses the mentions that others add in between. Halving topic by topic loses every mention between reading a score and writing the half.",
        right: "ZINCRBY for a mention, and one ZUNIONSTORE with a weight to halve all: both are atomic.",
    },
    trial: Trial {
        about: "All actors mention the same three topics concurrently and repeatedly.",
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
    statistics: None,
    status: None,
    is_live: false,
};

const NAME: &str = "trending_topics";
/// Maximum number of topics: enough for the top ten to change.
const TOPICS_MAX: i64 = 100;
/// Topics with a lower score are removed.
const FLOOR: &str = "(0.5";
/// The topics of the example, most mentioned first.
const TOPICS: [&str; 12] = [
    "redis", "python", "caching", "rust", "docker", "streams", "flask", "lua", "sqlite", "locks",
    "geo", "bitmaps",
];

fn increase(context: &ActionContext, topic: &str, times: u64) -> Command {
    context.store().on("ZINCRBY", &context.key(NAME)).arg(times).arg(topic)
}

/// Commands that trim the set and renew its TTL.
fn bounded(context: &ActionContext) -> [Command; 2] {
    let trim =
        context.store().on("ZREMRANGEBYRANK", &context.key(NAME)).arg(0).arg(-TOPICS_MAX - 1);
    [trim, context.renew(NAME)]
}

async fn mention(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (topic, times) = (context.args().text("topic"), u64::from(context.args().number("times")));
    let [trim, keep] = bounded(context);
    let replies = context.pipeline(vec![increase(context, topic, times), trim, keep]).await?;
    let score: f64 = replies.into_iter().next().map_or(Ok(0.0), typed)?;
    Ok(vec![format!("“{topic}” now has a score of {}.", rounded(score))])
}

async fn example(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let times = |(n, topic): (usize, &&str)| increase(context, topic, (TOPICS.len() - n) as u64);
    let mut commands: Vec<_> = TOPICS.iter().enumerate().map(times).collect();
    commands.extend(bounded(context));
    context.pipeline(commands).await?;
    Ok(vec!["Twelve topics were mentioned, in one round trip.".to_owned()])
}

async fn decay(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (context.store(), context.key(NAME));
    let halve = store.on("ZUNIONSTORE", &key).arg(1).arg(store.full_key(&key));
    let drop = store.on("ZREMRANGEBYSCORE", &key).arg("-inf").arg(FLOOR);
    let all = vec![halve.arg("WEIGHTS").arg("0.5"), drop, context.renew(NAME)];
    let mut replies = context.pipeline(all).await?.into_iter();
    let mut next = || replies.next().map_or(Ok(0), typed::<u64>);
    let (halved, dropped) = (next()?, next()?);
    let topics = |count: &u64| crate::format::counted(count, "topic", "topics");
    Ok(vec![format!("{} halved, {} removed.", topics(&halved), topics(&dropped))])
}

async fn run(trial_run: &Arc<TrialRun>, is_atomic: bool) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            for mention in 0..trial_run.number("mentions") {
                let topic = TOPICS[((n + mention) % 3) as usize];
                count_mention(&trial_run, n, topic, is_atomic).await?;
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

async fn count_mention(
    trial_run: &TrialRun,
    n: u64,
    topic: &str,
    is_atomic: bool,
) -> Result<(), RedisError> {
    let (store, key) = (trial_run.store(n), trial_run.key(NAME));
    if is_atomic {
        let more: f64 = trial_run.run(n, store.on("ZINCRBY", &key).arg(1).arg(topic)).await?;
        debug_assert!(more >= 1.0);
        return Ok(());
    }
    let score: Option<f64> = trial_run.run(n, store.on("ZSCORE", &key).arg(topic)).await?;
    let more = score.unwrap_or_default() + 1.0;
    trial_run.run::<u64>(n, store.on("ZADD", &key).arg(more).arg(topic)).await.map(drop)
}
