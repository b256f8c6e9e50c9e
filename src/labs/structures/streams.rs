//! Streams: a log that only grows at its end, and remembers.

use hitrate_cache::{
    redis::{RedisError, Value},
    trace::Trace,
};

use super::{
    Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How},
    desk::Playground,
    growth::{Growth, as_told},
    kept,
    line::CommandTemplate,
    look::{PlaygroundView, Readings},
    picture::{FieldValue, Log, LogEntry, Logs, Picture},
    reply::{Reply, count, parts, text as text_of},
    step,
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
    about: "A log: entries with fields are added at the end, each under an id that is a time, and stay there for whoever reads them, now or later.",
    good_for: "Sensor readings, event logs, activity feeds, and with consumer groups task queues whose tasks survive a worker.",
    not_for: "Not where nobody looks back: publish and subscribe delivers to who listens and keeps nothing. Not for changing what was written: entries don't change.",
    bounds: "Each stream keeps its latest 1,000 entries (MAXLEN = 1000, exact; MAXLEN ~ is cheaper and keeps some more). Values have up to 64 characters.",
    keys: &[kept(EVENTS), kept(SENSORS)],
    acts: &[
        Action {
            id: "xadd-reading",
            label: "Add a reading",
            about: "* lets Redis make the id of its clock, in milliseconds, and a number for those of the same one. Answers the id.",
            fields: &[
                NEW_ID,
                number("temperature", "Temperature, °C", (-273.15, 10_000.0), "21.5"),
                number("humidity", "Humidity, %", (0.0, 100.0), "48"),
            ],
            run: Commands {
                how: How::Commands(&[
                    "XADD @sensors MAXLEN = 1000 {id} temperature {temperature} humidity {humidity}",
                ]),
                cost: "O(1), and O(N) for N that are trimmed",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "xadd-event",
            label: "Add an event",
            about: "Try an id of your own, such as 1-1: one that is not above the last is refused, so that the log stays in order.",
            fields: &[
                NEW_ID,
                text("event", "Event", MEMBER_MAX, "login"),
                text("user", "User", MEMBER_MAX, "alice"),
            ],
            run: Commands {
                how: How::Commands(&[
                    "XADD @mystream MAXLEN = 1000 {id} event {event} user {user}",
                ]),
                cost: "O(1), and O(N) for N that are trimmed",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "xlen",
            label: "How many?",
            about: "How many entries it has.",
            fields: &[choice("key", "Key", KEYS, SENSORS)],
            run: Commands { how: How::Commands(&["XLEN @{key}"]), cost: "O(1)", ..Commands::PLAIN },
        },
        Action {
            id: "xrange",
            label: "Read the history",
            about: "- is the first and + the last; a time in milliseconds will do as an id. The oldest first, at most 20.",
            fields: &[
                choice("key", "Key", KEYS, EVENTS),
                id("start", "From", &["-", "+"], "-"),
                id("end", "To", &["-", "+"], "+"),
            ],
            run: Commands {
                how: How::Commands(&["XRANGE @{key} {start} {end} COUNT 20"]),
                cost: "O(N), N entries answered",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "xread",
            label: "Read what came after",
            about: "What a listener asks with the last id it has seen; 0 is everything. With BLOCK it would wait for the next one. (nil) is nothing new, as always after $.",
            fields: &[choice("key", "Key", KEYS, SENSORS), id("after", "After id", &["$"], "0")],
            run: Commands {
                how: How::Commands(&["XREAD COUNT 20 STREAMS @{key} {after}"]),
                cost: "O(N), N entries answered",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "a login, and the readings of a sensor",
        steps: &[
            step("xadd-event", &[], "Alice logs in. The reply is the id."),
            step("xrange", &[], "Everything from the first entry to the last."),
            step("xadd-reading", &[], "A sensor says what it measures."),
            step("xadd-reading", &[("temperature", "21.7"), ("humidity", "47")], "And again."),
            step("xadd-reading", &[("temperature", "22.1"), ("humidity", "45.5")], "And again."),
            step("xlen", &[], "Three readings."),
            step("xrange", &[("key", SENSORS)], "Their history."),
            step("xread", &[], "What a listener who has seen nothing yet gets."),
        ],
    },
    growth: Growth {
        label: "Grow it past one node",
        about: "A stream has one encoding: a tree of compact nodes (listpacks). The setting says how many entries one node takes; with the next entry a second node begins.",
        settings: &["stream-node-max-entries"],
        usual: 100,
        count: "XLEN @sensors",
        of: "entries",
        key: SENSORS,
        encoding: ("OBJECT ENCODING @sensors", as_told),
        up_to: |have, threshold| {
            (have..super::growth::elements(threshold).min(500)).map(reading).collect()
        },
        beyond: |threshold| vec![reading(super::growth::elements(threshold))],
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
    signs: &'static [&'static str],
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::EntryId(signs), usual }
}

fn reading(n: u64) -> CommandTemplate {
    let temperature = 20.0 + (n % 50) as f64 / 10.0;
    CommandTemplate::plain(&format!(
        "XADD @sensors MAXLEN = 1000 * temperature {temperature:.1} humidity 48"
    ))
}

fn draw(seen: &Readings<'_>) -> Picture {
    let logs = KEYS.iter().zip(seen.replies.chunks(2)).filter_map(|(key, replies)| {
        let [length, latest] = replies else { return None };
        let length = count(length);
        (length > 0).then(|| Log { key, length, entries: entries(latest) })
    });
    Picture::Logs(Logs { logs: logs.collect() })
}

/// The entries of XREVRANGE, the latest last.
fn entries(reply: &Reply) -> Vec<LogEntry> {
    let all = reply.as_ref().ok().and_then(parts).unwrap_or_default();
    all.iter().rev().filter_map(entry).collect()
}

fn entry(value: &Value) -> Option<LogEntry> {
    let [id, fields] = parts(value)? else { return None };
    let id = text_of(id)?;
    let fields = super::reply::pairs(&Ok(fields.clone()));
    Some(LogEntry { at: at(&id), id, fields: FieldValue::all(fields) })
}

/// The time that an id is, if it can be one of our days.
fn at(id: &str) -> Option<String> {
    /// The year 2000, in milliseconds since 1970.
    const Y2000: i64 = 946_684_800_000;
    let ms: i64 = id.split('-').next()?.parse().ok()?;
    let time = jiff::Timestamp::from_millisecond(ms).ok()?;
    (ms > Y2000).then(|| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// A listener at both streams, who asks for what came after the last they have seen.
pub struct Tail {
    desk: Playground,
    seen: Vec<(u64, String)>,
}

impl Tail {
    /// One who has seen nothing yet.
    pub fn of(desk: Playground) -> Self {
        Self { desk, seen: vec![(u64::MAX, "0".to_owned()); KEYS.len()] }
    }

    /// What there is to see, if something came or went. Never waits on the
    /// connection, which others use, too: whoever listens asks again.
    pub async fn news(&mut self) -> Result<Option<PlaygroundView>, RedisError> {
        let ids = self.seen.iter().map(|(_, id)| id.clone());
        let read = CommandTemplate::plain("XREAD COUNT 1 STREAMS @mystream @sensors").and(ids);
        let lengths = KEYS.iter().map(|key| CommandTemplate::plain(&format!("XLEN @{key}")));
        let replies =
            self.desk.ask([read].into_iter().chain(lengths).collect(), &Trace::disabled()).await?;
        let is_new = matches!(&replies[0], Ok(value) if *value != Value::Nil);
        let same = |(seen, now): (&(u64, String), &Reply)| seen.0 == count(now);
        if !is_new && self.seen.iter().zip(&replies[1..]).all(same) {
            return Ok(None);
        }
        let look = self.desk.look(None, &Trace::disabled()).await?;
        self.note(&look);
        Ok(Some(look))
    }

    fn note(&mut self, look: &PlaygroundView) {
        let Picture::Logs(Logs { logs }) = &look.picture else { return };
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
    fn an_id_of_our_days_is_a_time() {
        assert_eq!(at("1526919030474-0").as_deref(), Some("2018-05-21 16:10:30.474"));
        for none in ["1-1", "x", "18446744073709551615-0", ""] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
