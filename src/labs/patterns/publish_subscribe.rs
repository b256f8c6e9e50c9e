//! Publish/subscribe, which delivers only to current subscribers, next to a stream, which
//! stores its messages.

use std::{sync::Arc, time::Duration};

use hitrate_cache::redis::{Key, RedisError, Subscription, typed};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::{format, labs::support::visitor_keys::VisitorKeys};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "publish-subscribe",
    title: "Publish/subscribe",
    purpose: "Messages to all current subscribers.",
    lead: "PUBLISH delivers a message to all current subscribers and does not store it. A stream stores its entries with ids, so a reader can continue where it stopped and misses nothing. Here every message is sent both ways.",
    keys: &[
        key("news (a channel)", "nothing: a channel is not a key", "immediately"),
        key(
            "news:log",
            "a stream: the last 100 messages with their ids",
            "a day after the last message",
        ),
    ],
    commands: &[
        command(
            "PUBLISH news hello",
            "O(n)",
            "delivers to n subscribers; returns their number (in a cluster: on this node)",
        ),
        command("SUBSCRIBE news", "O(1)", "receives messages, on a dedicated connection"),
        command(
            "XADD news:log MAXLEN 100 * text hello",
            "O(1)",
            "stores the message and trims to the last hundred",
        ),
        command(
            "XREAD STREAMS news:log {last id}",
            "O(n)",
            "returns all entries after that id, at any later time",
        ),
    ],
    try_this: "Publish a message while this page is subscribed, then reload the page: the stream still has the message, but the channel does not deliver it again.",
    acts: &[Action {
        id: "publish",
        label: "Publish",
        about: "PUBLISH, and XADD to the stream",
        fields: &[args::text("text", "Message", 64, "hello")],
        run: |context| Box::pin(publish(context)),
    }],
    pitfall: Pitfall {
        wrong: "Publish messages that must not be lost: invalidations, orders, jobs.",
        why: "Redis does not store messages. A client that is not yet subscribed, reconnects or reads too slowly never receives them, and no error is reported.",
        right: "Publish only messages that have no value later. For everything else use a stream: each reader continues from the last id it has seen (XREAD), or a consumer group shares the work and acknowledges it (XREADGROUP, XACK).",
    },
    trial: Trial {
        about: "Each actor sends one message, then a reader starts, then each actor sends another. How many of all messages does the late reader get?",
        counts: "messages received by the late reader",
        lost: "messages missed",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "Publish/subscribe",
                is_right: false,
                code: "PUBLISH news {message}\n(the reader starts: SUBSCRIBE news)\nPUBLISH news {message}",
                run: |trial_run| Box::pin(channel_run(trial_run)),
            },
            Variant {
                name: "Stream",
                is_right: true,
                code: "XADD news:log MAXLEN 1000 * text {message}\n(the reader starts: XREAD STREAMS news:log 0)\nXADD news:log MAXLEN 1000 * text {message}\n(the reader continues: XREAD STREAMS news:log {last id})",
                run: |trial_run| Box::pin(stream_run(trial_run)),
            },
        ],
    },
    statistics: None,
    status: None,
    is_live: true,
};

const CHANNEL: &str = "news";
const LOG: &str = "news:log";
/// Maximum number of entries in the stream.
const LOG_MAX: u64 = 100;
/// Maximum number of entries in a trial's stream: more than two rounds of the maximum
/// number of actors.
const TRIAL_LOG_MAX: u64 = 1_000;
/// Maximum delay of a message.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The visitor's channel.
pub fn channel(demo: &VisitorKeys) -> Key<()> {
    demo.key(CHANNEL)
}

async fn publish(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, text) = (context.store(), context.args().text("text"));
    let publish = store.on("PUBLISH", &context.read_key(CHANNEL)).arg(text);
    let add = store.on("XADD", &context.key(LOG)).arg("MAXLEN").arg(LOG_MAX).arg("*");
    let all = vec![publish, add.arg("text").arg(text), context.renew(LOG)];
    let mut replies = context.pipeline(all).await?.into_iter();
    let subscribers: u64 = replies.next().map_or(Ok(0), typed)?;
    let id: String = replies.next().map_or(Ok(String::new()), typed)?;
    let delivery = match subscribers {
        0 => "No subscriber: the message was not delivered and is lost.".to_owned(),
        count => format!("Delivered to {}.", format::counted(&count, "subscriber", "subscribers")),
    };
    Ok(vec![delivery, format!("The stream stores it as entry {id} for later readers.")])
}

async fn channel_run(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let name = trial_run.store(0).full_key(&trial_run.key(CHANNEL));
    let early = Subscription::open(&trial_run.address, &name).await?;
    publish_all(trial_run).await?;
    let late = Subscription::open(&trial_run.address, &name).await?;
    publish_all(trial_run).await?;
    let all = 2 * trial_run.actors();
    let early = count_messages(early, all).await;
    // Its messages have arrived before the last one of the early subscriber.
    let late = count_messages(late, trial_run.actors()).await;
    Ok(Count::new(all, late).with_extra(
        "early",
        "Received by a reader subscribed from the start",
        early,
    ))
}

async fn publish_all(trial_run: &Arc<TrialRun>) -> Result<(), RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let publish = trial_run.store(n).on("PUBLISH", &trial_run.key(CHANNEL)).arg(n);
            trial_run.run::<u64>(n, publish).await
        })
        .await
        .map(drop)
}

/// Counts the messages that arrive, up to `max`.
async fn count_messages(mut subscription: Subscription, max: u64) -> u64 {
    let mut count = 0;
    while count < max {
        match tokio::time::timeout(TIMEOUT, subscription.next()).await {
            Ok(Some(_)) => count += 1,
            _ => break,
        }
    }
    count
}

async fn stream_run(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    append(trial_run).await?;
    let (first, last) = read_after(trial_run, "0").await?;
    append(trial_run).await?;
    let (second, _) = read_after(trial_run, &last).await?;
    Ok(Count::new(2 * trial_run.actors(), first + second))
}

async fn append(trial_run: &Arc<TrialRun>) -> Result<(), RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key(LOG));
            let add = store.on("XADD", &key).arg("MAXLEN").arg(TRIAL_LOG_MAX).arg("*");
            trial_run.run_all(n, vec![add.arg("text").arg(n), trial_run.expire(n, &key)]).await
        })
        .await
        .map(drop)
}

/// The number of entries after this id, and the id of the last one.
async fn read_after(trial_run: &TrialRun, id: &str) -> Result<(u64, String), RedisError> {
    /// The reply of XREAD: streams by name, with entries by id.
    type Read = Vec<(String, Vec<(String, Vec<String>)>)>;
    let store = trial_run.store(0);
    let read = store.command("XREAD").arg("COUNT").arg(TRIAL_LOG_MAX).arg("STREAMS");
    let read: Option<Read> =
        trial_run.run(0, read.arg(store.full_key(&trial_run.key(LOG))).arg(id)).await?;
    let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
    let ids: Vec<_> = entries.map(|(id, _)| id).collect();
    let last = ids.last().cloned().unwrap_or_else(|| id.to_owned());
    Ok((ids.len() as u64, last))
}
