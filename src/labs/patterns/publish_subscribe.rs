//! Publish and subscribe: whoever listens hears it now, and nobody later. Beside
//! it a stream, which keeps what was said.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Key,
    redis::{RedisError, Subscription, typed},
};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::{format, labs::support::visitor_keys::VisitorKeys};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "publish-subscribe",
    title: "Publish and subscribe",
    what_for: "Telling everyone who listens, at once.",
    lead: "PUBLISH hands a message to whoever is subscribed at this moment, and forgets it. A stream keeps its entries with ids, so a reader can say where it stopped and miss nothing. Here every message goes both ways.",
    keys: &[
        key("news (a channel)", "nothing: a channel is no key", "at once"),
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
            "tells the n who listen; replies how many that were (in a cluster: on this node)",
        ),
        command("SUBSCRIBE news", "O(1)", "listens, on a connection of its own"),
        command(
            "XADD news:log MAXLEN 100 * text hello",
            "O(1)",
            "keeps the message, and the last hundred",
        ),
        command(
            "XREAD STREAMS news:log {last id}",
            "O(n)",
            "everything after that id, at any time later",
        ),
    ],
    try_this: "Publish a message while this page listens, then load the page anew: the stream still has it, and nobody will hear it again.",
    acts: &[Action {
        id: "publish",
        label: "Publish",
        about: "PUBLISH, and XADD to the stream",
        fields: &[args::text("text", "Message", 64, "hello")],
        run: |play| Box::pin(publish(play)),
    }],
    pitfall: Pitfall {
        wrong: "Publish what must not get lost: invalidations, orders, jobs.",
        why: "Redis keeps no message. Whoever is not subscribed yet, reconnects, or reads too slowly never gets it, and nobody is told.",
        right: "Publish what is worth nothing later. For the rest a stream: each reader remembers the last id it has seen and goes on from there (XREAD), or a group shares the work and acknowledges it (XREADGROUP, XACK).",
    },
    trial: Trial {
        about: "Each actor sends one message. Then a reader comes; then each sends another. How many of all messages did the late reader get?",
        counts: "messages the late reader got",
        lost: "messages missed",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "Publish and subscribe",
                is_right: false,
                code: "PUBLISH news {message}\n(the reader comes: SUBSCRIBE news)\nPUBLISH news {message}",
                run: |trial_run| Box::pin(channel_run(trial_run)),
            },
            Variant {
                name: "A stream",
                is_right: true,
                code: "XADD news:log MAXLEN 1000 * text {message}\n(the reader comes: XREAD STREAMS news:log 0)\nXADD news:log MAXLEN 1000 * text {message}\n(the reader goes on: XREAD STREAMS news:log {last id})",
                run: |trial_run| Box::pin(stream_run(trial_run)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: true,
};

const CHANNEL: &str = "news";
const LOG: &str = "news:log";
/// Entries that the stream keeps.
const KEPT: u64 = 100;
/// Entries that a trial's stream keeps: more than two rounds of the most actors.
const KEPT_IN_TRIAL: u64 = 1_000;
/// How long a message may take to be heard.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The channel of a visitor's demo.
pub fn channel(demo: &VisitorKeys) -> Key<()> {
    demo.key(CHANNEL)
}

async fn publish(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, text) = (play.store(), play.args().text("text"));
    let tell = store.on("PUBLISH", &play.peek(CHANNEL)).arg(text);
    let add = store.on("XADD", &play.key(LOG)).arg("MAXLEN").arg(KEPT).arg("*");
    let all = vec![tell, add.arg("text").arg(text), play.keep(LOG)];
    let mut replies = play.ask(all).await?.into_iter();
    let heard: u64 = replies.next().map_or(Ok(0), typed)?;
    let id: String = replies.next().map_or(Ok(String::new()), typed)?;
    let heard = match heard {
        0 => "Nobody was subscribed: nobody heard it, and nobody will.".to_owned(),
        heard => format!("{} heard it.", format::counted(&heard, "subscriber", "subscribers")),
    };
    Ok(vec![heard, format!("In the stream it is entry {id}, for whoever reads later.")])
}

async fn channel_run(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    let name = trial_run.store(0).full_key(&trial_run.key(CHANNEL));
    let early = Subscription::open(&trial_run.address, &name).await?;
    round(trial_run).await?;
    let late = Subscription::open(&trial_run.address, &name).await?;
    round(trial_run).await?;
    let all = 2 * trial_run.actors();
    let early = heard(early, all).await;
    // What it got it got before the early one had all.
    let late = heard(late, trial_run.actors()).await;
    Ok(Count::new(all, late).known("early", "Got by a reader who was there from the start", early))
}

async fn round(trial_run: &Arc<TrialRun>) -> Result<(), RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let tell = trial_run.store(n).on("PUBLISH", &trial_run.key(CHANNEL)).arg(n);
            trial_run.run::<u64>(n, tell).await
        })
        .await
        .map(drop)
}

/// How many messages come, up to `max`.
async fn heard(mut subscription: Subscription, max: u64) -> u64 {
    let mut heard = 0;
    while heard < max {
        match tokio::time::timeout(TIMEOUT, subscription.next()).await {
            Ok(Some(_)) => heard += 1,
            _ => break,
        }
    }
    heard
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
            let add = store.on("XADD", &key).arg("MAXLEN").arg(KEPT_IN_TRIAL).arg("*");
            let expire =
                store.on("EXPIRE", &key).arg(crate::labs::support::visitor_keys::KEPT.as_secs());
            trial_run.run_all(n, vec![add.arg("text").arg(n), expire]).await
        })
        .await
        .map(drop)
}

/// How many entries follow this id, and the id of the last.
async fn read_after(trial_run: &TrialRun, id: &str) -> Result<(u64, String), RedisError> {
    /// A stream by name, and its entries by id.
    type Read = Vec<(String, Vec<(String, Vec<String>)>)>;
    let store = trial_run.store(0);
    let read = store.command("XREAD").arg("COUNT").arg(KEPT_IN_TRIAL).arg("STREAMS");
    let read: Option<Read> =
        trial_run.run(0, read.arg(store.full_key(&trial_run.key(LOG))).arg(id)).await?;
    let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
    let ids: Vec<_> = entries.map(|(id, _)| id).collect();
    let last = ids.last().cloned().unwrap_or_else(|| id.to_owned());
    Ok((ids.len() as u64, last))
}
