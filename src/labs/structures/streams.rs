//! Streams: append-only logs.

use hitrate_cache::{
    redis::{RedisError, Value},
    trace::Trace,
};

use super::{
    Example, MEMBER_MAX, Structure,
    command_template::CommandTemplate,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, encoding_name},
    picture::{FieldValue, Log, LogEntry, Logs, Picture},
    playground::Playground,
    reply::{CommandReply, count, parts, text as text_of},
    step,
    view::{PlaygroundView, Readings},
};
use crate::labs::support::fields::{Field, Kind, choice, number, text};

const EVENTS: &str = "mystream";
const SENSORS: &str = "sensors";
const KEYS: &[&str] = &[EVENTS, SENSORS];
const NEW_ID: Field = id("id", "Id", &["*"], "*");

/// Streams.
pub const STREAMS: Structure = Structure {
    slug: "streams",
    title: "Streams",
    about: "An append-only log. Each entry has fields and a timestamp as its id, and stays available to current and later readers.",
    good_for: "Sensor readings, event logs, activity feeds and, with consumer groups, task queues whose tasks survive a worker crash.",
    not_for: "Not for messages that nobody reads later (publish/subscribe delivers to current subscribers and stores nothing) or data that changes: entries are immutable.",
    bounds: "Each stream keeps its latest 1,000 entries (MAXLEN = 1000 is exact; MAXLEN ~ is cheaper and keeps a few more). Values have up to 64 characters.",
    keys: &[demo_key(EVENTS), demo_key(SENSORS)],
    acts: &[
        Action {
            id: "xadd-reading",
            label: "Add a reading",
            about: "With *, Redis generates the id: its clock in milliseconds, and a sequence number for entries of the same millisecond. Returns the id.",
            fields: &[
                NEW_ID,
                number("temperature", "Temperature, °C", (-273.15, 10_000.0), "21.5"),
                number("humidity", "Humidity, %", (0.0, 100.0), "48"),
            ],
            run: Commands::of(
                &["XADD @sensors MAXLEN = 1000 {id} temperature {temperature} humidity {humidity}"],
                "O(1), plus O(N) for N trimmed entries",
            ),
        },
        Action {
            id: "xadd-event",
            label: "Add an event",
            about: "Try an explicit id such as 1-1: an id that is not greater than the last one is rejected, so that the log stays in order.",
            fields: &[
                NEW_ID,
                text("event", "Event", MEMBER_MAX, "login"),
                text("user", "User", MEMBER_MAX, "alice"),
            ],
            run: Commands::of(
                &["XADD @mystream MAXLEN = 1000 {id} event {event} user {user}"],
                "O(1), plus O(N) for N trimmed entries",
            ),
        },
        Action {
            id: "xlen",
            label: "Length",
            about: "Returns the number of entries.",
            fields: &[choice("key", "Key", KEYS, SENSORS)],
            run: Commands::of(&["XLEN @{key}"], "O(1)"),
        },
        Action {
            id: "xrange",
            label: "Read the history",
            about: "- is the first entry and + the last; a timestamp in milliseconds also works as an id. Returns at most 20 entries, oldest first.",
            fields: &[
                choice("key", "Key", KEYS, EVENTS),
                id("start", "From", &["-", "+"], "-"),
                id("end", "To", &["-", "+"], "+"),
            ],
            run: Commands::of(
                &["XRANGE @{key} {start} {end} COUNT 20"],
                "O(N), N entries returned",
            ),
        },
        Action {
            id: "xread",
            label: "Read new entries",
            about: "Returns the entries after the last id that a reader has seen; 0 returns all. With BLOCK it would wait for the next entry. (nil) means no new entries, as always after $.",
            fields: &[choice("key", "Key", KEYS, SENSORS), id("after", "After id", &["$"], "0")],
            run: Commands::of(
                &["XREAD COUNT 20 STREAMS @{key} {after}"],
                "O(N), N entries returned",
            ),
        },
    ],
    example: Example {
        about: "a login, and sensor readings",
        steps: &[
            step("xadd-event", &[], "Alice logs in. The reply is the id."),
            step("xrange", &[], "All entries, from first to last."),
            step("xadd-reading", &[], "A sensor adds a reading."),
            step(
                "xadd-reading",
                &[("temperature", "21.7"), ("humidity", "47")],
                "Another reading.",
            ),
            step(
                "xadd-reading",
                &[("temperature", "22.1"), ("humidity", "45.5")],
                "Another reading.",
            ),
            step("xlen", &[], "Three readings."),
            step("xrange", &[("key", SENSORS)], "Their history."),
            step("xread", &[], "All readings, for a reader that has seen none."),
        ],
    },
    growth: Growth {
        label: "Grow it past one node",
        about: "A stream has one encoding: a radix tree of listpack nodes. The setting limits the entries per node; the next entry starts a second node.",
        settings: &["stream-node-max-entries"],
        default: 100,
        count: "XLEN @sensors",
        of: "entries",
        key: SENSORS,
        encoding: ("OBJECT ENCODING @sensors", encoding_name),
        to_threshold: |have, threshold| {
            (have..super::growth::elements(threshold).min(500)).map(reading).collect()
        },
        past_threshold: |threshold| vec![reading(super::growth::elements(threshold))],
    },
    reads: &[
        "XLEN @mystream",
        "XREVRANGE @mystream + - COUNT 12",
        "XLEN @sensors",
        "XREVRANGE @sensors + - COUNT 12",
    ],
    draw,
    is_live: true,
};

const fn id(
    name: &'static str,
    label: &'static str,
    special_ids: &'static [&'static str],
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::EntryId(special_ids), default }
}

fn reading(n: u64) -> CommandTemplate {
    let temperature = 20.0 + (n % 50) as f64 / 10.0;
    CommandTemplate::plain(&format!(
        "XADD @sensors MAXLEN = 1000 * temperature {temperature:.1} humidity 48"
    ))
}

fn draw(readings: &Readings<'_>) -> Picture {
    let logs = KEYS.iter().zip(readings.replies.chunks(2)).filter_map(|(key, replies)| {
        let [length, latest] = replies else { return None };
        let length = count(length);
        (length > 0).then(|| Log { key, length, entries: entries(latest) })
    });
    Picture::Logs(Logs { logs: logs.collect() })
}

/// Parses the reply of XREVRANGE, latest entry last.
fn entries(reply: &CommandReply) -> Vec<LogEntry> {
    let all = reply.as_ref().ok().and_then(parts).unwrap_or_default();
    all.iter().rev().filter_map(entry).collect()
}

fn entry(value: &Value) -> Option<LogEntry> {
    let [id, fields] = parts(value)? else { return None };
    let id = text_of(id)?;
    let fields = super::reply::pairs(&Ok(fields.clone()));
    Some(LogEntry { at: at(&id), id, fields: FieldValue::all(fields) })
}

/// The time of an id, if it is a plausible timestamp.
fn at(id: &str) -> Option<String> {
    /// The year 2000, in milliseconds since 1970.
    const Y2000: i64 = 946_684_800_000;
    let ms: i64 = id.split('-').next()?.parse().ok()?;
    let time = jiff::Timestamp::from_millisecond(ms).ok()?;
    (ms > Y2000).then(|| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// A poller of both streams, which asks for entries after the last one it has seen.
pub struct Tail {
    playground: Playground,
    seen: Vec<(u64, String)>,
}

impl Tail {
    /// A poller that has seen no entry.
    pub fn of(playground: Playground) -> Self {
        Self { playground, seen: vec![(u64::MAX, "0".to_owned()); KEYS.len()] }
    }

    /// Returns the view if entries were added or removed. Uses no BLOCK, because other
    /// requests share the connection; the caller polls.
    pub async fn poll(&mut self) -> Result<Option<PlaygroundView>, RedisError> {
        let ids = self.seen.iter().map(|(_, id)| id.clone());
        let read = CommandTemplate::plain("XREAD COUNT 1 STREAMS @mystream @sensors").and(ids);
        let lengths = KEYS.iter().map(|key| CommandTemplate::plain(&format!("XLEN @{key}")));
        let replies = self
            .playground
            .pipeline([read].into_iter().chain(lengths).collect(), &Trace::disabled())
            .await?;
        let is_new = matches!(&replies[0], Ok(value) if *value != Value::Nil);
        let same = |(seen, now): (&(u64, String), &CommandReply)| seen.0 == count(now);
        if !is_new && self.seen.iter().zip(&replies[1..]).all(same) {
            return Ok(None);
        }
        let view = self.playground.view(None, &Trace::disabled()).await?;
        self.remember(&view);
        Ok(Some(view))
    }

    fn remember(&mut self, view: &PlaygroundView) {
        let Picture::Logs(Logs { logs }) = &view.picture else { return };
        self.seen = KEYS
            .iter()
            .map(|key| match logs.iter().find(|log| log.key == *key) {
                Some(log) => {
                    (log.length, log.entries.last().map_or("0", |entry| &entry.id).to_owned())
                }
                None => (0, "0".to_owned()),
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plausible_id_is_a_time() {
        assert_eq!(at("1526919030474-0").as_deref(), Some("2018-05-21 16:10:30.474"));
        for none in ["1-1", "x", "18446744073709551615-0", ""] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
