//! Strings: one value under one key, which Redis can also increment.

use super::{
    Example, Structure,
    command_template::CommandTemplate,
    commands::{Action, Commands, Execution},
    demo_key,
    growth::{Growth, encoding_name},
    key_with_ttl,
    picture::{Picture, Text, Texts},
    reply::text as text_of,
    step,
    view::Readings,
};
use crate::labs::support::fields::{choice, integer, text};

const KEYS: [&str; 4] = ["token:abc123", "session:user:123", "views:homepage", "greeting"];
/// Keys whose TTL is not part of the demo.
const KEYS_WITHOUT_TTL: &[&str] = &["token:abc123", "views:homepage", "greeting"];
const VALUE_MAX: usize = 512;
const LARGEST: u64 = 4_096;
const TTL: (i64, i64) = (1, 3_600);
const USERS: (i64, i64) = (1, 1_000);
const STEP: (i64, i64) = (-1_000_000_000, 1_000_000_000);

/// Strings.
pub const STRINGS: Structure = Structure {
    slug: "strings",
    title: "Strings",
    about: "One value under one key: text, a counter, a JSON document or binary data. The simplest data type, and the one most caches use.",
    good_for: "Cached pages and JSON, session tokens, flags, and counters: INCR is atomic, so a thousand concurrent increments add exactly a thousand.",
    not_for: "Not for objects that change field by field: each change writes the whole value, and one of two concurrent changes is lost. Use a hash instead.",
    bounds: "Values have at most 512 characters, and APPEND stops at 4,096 bytes. Redis itself allows 512 MB.",
    keys: &[demo_key(KEYS[0]), key_with_ttl(KEYS[1]), demo_key(KEYS[2]), demo_key(KEYS[3])],
    acts: &[
        Action {
            id: "set",
            label: "Set",
            about: "Stores the value, replacing any previous value and removing the key's TTL.",
            fields: &[
                choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[0]),
                text("value", "Value", VALUE_MAX, "user_id:42"),
            ],
            run: Commands::of(&["SET @{key} {value}"], "O(1)"),
        },
        Action {
            id: "set-ex",
            label: "Set with a TTL",
            about: "Sets value and TTL atomically, so that no key is left without a TTL. Read it again after the TTL: the key is gone.",
            fields: &[
                text("value", "Value", VALUE_MAX, "active"),
                integer("seconds", "Seconds", TTL, "10"),
            ],
            run: Commands::of(&["SET @session:user:123 {value} EX {seconds}"], "O(1)")
                .instead_of("SETEX session:user:123 seconds value"),
        },
        Action {
            id: "get",
            label: "Get",
            about: "Returns the value and its TTL in seconds; (nil) and -2 if the key does not exist or has expired.",
            fields: &[choice("key", "Key", &KEYS, KEYS[1])],
            run: Commands::of(&["GET @{key}", "TTL @{key}"], "O(1)"),
        },
        Action {
            id: "incr",
            label: "Increment",
            about: "Adds one atomically on the server. On a text value, Redis returns an error and changes nothing.",
            fields: &[choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[1])],
            run: Commands::of(&["INCR @{key}"], "O(1)"),
        },
        Action {
            id: "incrby",
            label: "Increment by",
            about: "Adds any amount; a negative amount counts down.",
            fields: &[
                choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[1]),
                integer("step", "Step", STEP, "10"),
            ],
            run: Commands::of(&["INCRBY @{key} {step}"], "O(1)"),
        },
        Action {
            id: "concurrent",
            label: "Increment concurrently",
            about: "Many users increment at the same time, each with a separate command. Redis runs them one by one, so every reply is different and no increment is lost.",
            fields: &[
                choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[1]),
                integer("users", "Users", USERS, "1000"),
            ],
            run: Commands {
                execution: Execution::Concurrent(&["INCR @{key}"]),
                cost: "O(1) for each user",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "append",
            label: "Append",
            about: "Appends to the value and returns the new length in bytes.",
            fields: &[
                choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[2]),
                text("value", "Value", VALUE_MAX, "Hello from Redis. "),
            ],
            run: Commands::of(&["APPEND @{key} {value}"], "O(1), amortized").limited(
                "STRLEN @{key}",
                LARGEST,
                "bytes",
            ),
        },
        Action {
            id: "wrong-type",
            label: "Wrong type",
            about: "An intentional error: each key has one type, and commands of another type fail. A missing key counts as an empty list.",
            fields: &[choice("key", "Key", KEYS_WITHOUT_TTL, KEYS_WITHOUT_TTL[0])],
            run: Commands {
                execution: Execution::ExpectedError(&["LLEN @{key}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "a token, a counter, and a session that expires",
        steps: &[
            step(
                "set",
                &[("key", "token:abc123"), ("value", "user_id:42")],
                "Store a token with its user.",
            ),
            step(
                "get",
                &[("key", "token:abc123")],
                "Read it back. A TTL of -1 means none: this page sets one day afterwards; a real token needs its own TTL.",
            ),
            step(
                "incr",
                &[("key", "views:homepage")],
                "A counter need not be created first: a missing key counts from 0.",
            ),
            step(
                "incr",
                &[("key", "views:homepage")],
                "Increment it again. Concurrent increments are never lost.",
            ),
            step(
                "set-ex",
                &[("value", "active"), ("seconds", "10")],
                "Store a session with a TTL of ten seconds.",
            ),
            step(
                "get",
                &[("key", "session:user:123")],
                "The session exists. Get it again after eleven seconds: (nil).",
            ),
        ],
    },
    growth: Growth {
        label: "Grow it past 44 bytes",
        about: "Up to 44 bytes, a string is stored in one allocation with its header (embstr); from 45 bytes on it is stored separately (raw). The threshold is fixed in the source of Redis; Valkey's may differ. An integer is stored as a number (int).",
        settings: &[],
        default: 44,
        count: "STRLEN @greeting",
        of: "bytes",
        key: "greeting",
        encoding: ("OBJECT ENCODING @greeting", encoding_name),
        to_threshold: |_, threshold| vec![set("x", threshold)],
        past_threshold: |threshold| vec![set("x", threshold + 1)],
    },
    reads: &["GET @token:abc123", "GET @session:user:123", "GET @views:homepage", "GET @greeting"],
    draw,
    is_live: false,
};

fn set(letter: &str, length: i64) -> CommandTemplate {
    CommandTemplate::plain("SET @greeting")
        .and([letter.repeat(usize::try_from(length).unwrap_or_default())])
}

fn draw(readings: &Readings<'_>) -> Picture {
    let values = KEYS.into_iter().zip(readings.replies).filter_map(|(key, reply)| {
        let text = reply.as_ref().ok().and_then(text_of)?;
        Some(Text { key, number: text.parse().ok(), bytes: text.len() as u64, text })
    });
    Picture::Texts(Texts { values: values.collect() })
}
