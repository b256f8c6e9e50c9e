//! Strings: one value under one key, with which Redis can also count.

use super::{
    Example, Structure,
    act::{Action, Commands, How, SizeLimit},
    ending,
    growth::{Growth, as_told},
    kept,
    line::CommandTemplate,
    look::Readings,
    picture::{Picture, Text, Texts},
    reply::text as text_of,
    step,
};
use crate::labs::support::fields::{choice, integer, text};

const KEYS: [&str; 4] = ["token:abc123", "session:user:123", "views:homepage", "greeting"];
/// Those whose TTL is not part of the demo.
const KEPT: &[&str] = &["token:abc123", "views:homepage", "greeting"];
const VALUE_MAX: usize = 512;
const LARGEST: u64 = 4_096;
const TTL: (i64, i64) = (1, 3_600);
const USERS: (i64, i64) = (1, 1_000);
const STEP: (i64, i64) = (-1_000_000_000, 1_000_000_000);

/// Strings.
pub const STRINGS: Structure = Structure {
    slug: "strings",
    title: "Strings",
    about: "One value under one key: a text, a number to count with, a JSON document, a picture. The simplest structure, and what most caches are made of.",
    good_for: "Cached pages and JSON, session tokens, flags, and counters: INCR is atomic, so a thousand users at once are a thousand counts.",
    not_for: "Not for objects of which you change one field at a time: every change writes the whole value, and two at once lose one of them. Take a hash then.",
    bounds: "Values have at most 512 characters, and APPEND stops at 4,096 bytes. Redis itself would take 512 MB.",
    keys: &[kept(KEYS[0]), ending(KEYS[1]), kept(KEYS[2]), kept(KEYS[3])],
    acts: &[
        Action {
            id: "set",
            label: "Set",
            about: "Stores the value, whatever was there before, and takes away a TTL that the key had.",
            fields: &[
                choice("key", "Key", KEPT, KEPT[0]),
                text("value", "Value", VALUE_MAX, "user_id:42"),
            ],
            run: Commands {
                how: How::Commands(&["SET @{key} {value}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "set-ex",
            label: "Set with a TTL",
            about: "Value and TTL in one step, so that nothing can be left behind without an end. Look again when the time is over: the key is gone.",
            fields: &[
                text("value", "Value", VALUE_MAX, "active"),
                integer("seconds", "Seconds", TTL, "10"),
            ],
            run: Commands {
                how: How::Commands(&["SET @session:user:123 {value} EX {seconds}"]),
                cost: "O(1)",
                instead_of: Some("SETEX session:user:123 seconds value"),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "get",
            label: "Get",
            about: "The value and the seconds it has left: (nil) and -2 where the key is not there, or not any more.",
            fields: &[choice("key", "Key", &KEYS, KEYS[1])],
            run: Commands {
                how: How::Commands(&["GET @{key}", "TTL @{key}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "incr",
            label: "Count up",
            about: "One more, in one step on the server. Try it on a text: Redis refuses, and nothing changes.",
            fields: &[choice("key", "Key", KEPT, KEPT[1])],
            run: Commands { how: How::Commands(&["INCR @{key}"]), cost: "O(1)", ..Commands::PLAIN },
        },
        Action {
            id: "incrby",
            label: "Count by",
            about: "The same with a step of your own; a negative one counts down.",
            fields: &[choice("key", "Key", KEPT, KEPT[1]), integer("step", "Step", STEP, "10")],
            run: Commands {
                how: How::Commands(&["INCRBY @{key} {step}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "crowd",
            label: "Count up all at once",
            about: "So many users who count up at the same moment, each by a command of their own. Redis runs one after the other, so every reply is another number and none is lost.",
            fields: &[
                choice("key", "Key", KEPT, KEPT[1]),
                integer("users", "Users", USERS, "1000"),
            ],
            run: Commands {
                how: How::Concurrent(&["INCR @{key}"]),
                cost: "O(1) for each user",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "append",
            label: "Append",
            about: "Adds to the end and answers the new length in bytes.",
            fields: &[
                choice("key", "Key", KEPT, KEPT[2]),
                text("value", "Value", VALUE_MAX, "Hello from Redis. "),
            ],
            run: Commands {
                how: How::Commands(&["APPEND @{key} {value}"]),
                cost: "O(1), amortized",
                size_limit: Some(SizeLimit { count: "STRLEN @{key}", max: LARGEST, of: "bytes" }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "wrong-type",
            label: "A list's command",
            about: "Wrong on purpose: each key has one type, and a command of another type is refused. A key that is not there counts as an empty list.",
            fields: &[choice("key", "Key", KEPT, KEPT[0])],
            run: Commands { how: How::Refused(&["LLEN @{key}"]), cost: "O(1)", ..Commands::PLAIN },
        },
    ],
    example: Example {
        about: "a token, a counter, and a session that ends",
        steps: &[
            step(
                "set",
                &[("key", "token:abc123"), ("value", "user_id:42")],
                "A token and whose it is.",
            ),
            step(
                "get",
                &[("key", "token:abc123")],
                "Read back. A TTL of -1 is none: this page gives it a day afterwards, a real token needs one of its own.",
            ),
            step(
                "incr",
                &[("key", "views:homepage")],
                "A counter need not be created first: what is not there counts from 0.",
            ),
            step(
                "incr",
                &[("key", "views:homepage")],
                "One more. Nobody else's count can be lost in between.",
            ),
            step("set-ex", &[("value", "active"), ("seconds", "10")], "A session for ten seconds."),
            step(
                "get",
                &[("key", "session:user:123")],
                "It is there. Get it again after eleven seconds: (nil).",
            ),
        ],
    },
    growth: Growth {
        label: "Grow it past 44 bytes",
        about: "Up to 44 bytes a text stands in one piece of memory with its header (embstr); from 45 on it is kept apart (raw). The bound is fixed in Redis's source (Valkey's may differ). A text that is a whole number is kept as one (int).",
        settings: &[],
        usual: 44,
        count: "STRLEN @greeting",
        of: "bytes",
        key: "greeting",
        encoding: ("OBJECT ENCODING @greeting", as_told),
        up_to: |_, threshold| vec![set("x", threshold)],
        beyond: |threshold| vec![set("x", threshold + 1)],
    },
    reads: &["GET @token:abc123", "GET @session:user:123", "GET @views:homepage", "GET @greeting"],
    draw,
    is_live: false,
};

fn set(letter: &str, length: i64) -> CommandTemplate {
    CommandTemplate::plain("SET @greeting")
        .and([letter.repeat(usize::try_from(length).unwrap_or_default())])
}

fn draw(seen: &Readings<'_>) -> Picture {
    let values = KEYS.into_iter().zip(seen.replies).filter_map(|(key, reply)| {
        let text = reply.as_ref().ok().and_then(text_of)?;
        Some(Text { key, number: text.parse().ok(), bytes: text.len() as u64, text })
    });
    Picture::Texts(Texts { values: values.collect() })
}
