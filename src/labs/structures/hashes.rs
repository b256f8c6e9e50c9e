//! Hashes: fields and values under one key.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    growth::{Growth, as_told, elements, filled},
    kept,
    look::Readings,
    picture::{FieldValue, Picture, Table, Tables},
    reply::pairs,
    step,
};
use crate::labs::support::fields::{choice, integer, several, text};

const KEYS: &[&str] = &["user:42", "user:profile:77"];
const VALUE_MAX: usize = 128;
/// Fields that are drawn.
const ROWS: usize = 12;
const STEP: (i64, i64) = (-1_000_000_000, 1_000_000_000);

/// Hashes.
pub const HASHES: Structure = Structure {
    slug: "hashes",
    title: "Hashes",
    about: "Fields and their values under one key: an object that can be read and changed field by field.",
    good_for: "User profiles, product data, shopping carts: HINCRBY and HSET change one field, so that two writers of different fields lose nothing.",
    not_for: "Not for fields that should end one by one (a TTL belongs to the whole key; per-field TTLs came with Redis 7.4), and not for objects that are always read and written whole: a string of JSON is simpler.",
    bounds: "At most 1,000 fields of up to 64 characters, with values of up to 128.",
    keys: &[kept(KEYS[0]), kept(KEYS[1])],
    acts: &[
        Action {
            id: "hset",
            label: "Set a field",
            about: "Answers how many fields are new: 0 says that it had a value before.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
                text("value", "Value", VALUE_MAX, "Alice"),
            ],
            run: Commands {
                how: How::Commands(&["HSET @{key} {field} {value}"]),
                cost: "O(1) for each field",
                instead_of: Some("HMSET key field value"),
                size_limit: Some(SizeLimit {
                    count: "HLEN @{key}",
                    max: ELEMENTS_MAX,
                    of: "fields",
                }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "hget",
            label: "Get a field",
            about: "One field, without the others crossing the network.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
            ],
            run: Commands {
                how: How::Commands(&["HGET @{key} {field}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "hgetall",
            label: "Get all",
            about: "Fields and values in turn, in no order that one could rely on.",
            fields: &[choice("key", "Key", KEYS, KEYS[1])],
            run: Commands {
                how: How::Commands(&["HGETALL @{key}"]),
                cost: "O(N), N fields",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "hincrby",
            label: "Count a field up",
            about: "Atomic, as INCR is. Try it on a field that holds a name: Redis refuses.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[1]),
                text("field", "Field", MEMBER_MAX, "followers"),
                integer("step", "Step", STEP, "1"),
            ],
            run: Commands {
                how: How::Commands(&["HINCRBY @{key} {field} {step}"]),
                cost: "O(1)",
                size_limit: Some(SizeLimit {
                    count: "HLEN @{key}",
                    max: ELEMENTS_MAX,
                    of: "fields",
                }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "hdel",
            label: "Delete fields",
            about: "With its last field the key itself goes.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                several("fields", "Fields", MEMBER_MAX, "age"),
            ],
            run: Commands {
                how: How::Commands(&["HDEL @{key} {fields}"]),
                cost: "O(N), N fields to delete",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "two users as objects, and one follower more",
        steps: &[
            step("hset", &[("field", "name"), ("value", "Alice")], "A user's name."),
            step(
                "hset",
                &[("field", "age"), ("value", "30")],
                "And the age, as another field of the same key.",
            ),
            step("hget", &[("field", "name")], "One field by itself."),
            step("hgetall", &[("key", "user:42")], "The whole object."),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "username"), ("value", "qiross")],
                "A profile under one key, where user:77:username and user:77:email would be two.",
            ),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "email"), ("value", "qiross@example.com")],
                "Its address.",
            ),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "followers"), ("value", "1500")],
                "And a number, which Redis keeps as text.",
            ),
            step(
                "hincrby",
                &[("key", "user:profile:77"), ("field", "followers"), ("step", "1")],
                "One follower more, counted on the server.",
            ),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A small hash is one compact piece of memory (listpack, before Redis 7 ziplist) that is searched from its start. With more fields than the setting, or a field longer than 64 bytes, it becomes a hashtable, for good.",
        settings: &["hash-max-listpack-entries", "hash-max-ziplist-entries"],
        usual: 512,
        count: "HLEN @user:42",
        of: "fields",
        key: "user:42",
        encoding: ("OBJECT ENCODING @user:42", as_told),
        up_to: |have, threshold| filled("HSET @user:42", have..elements(threshold), 100, field),
        beyond: |threshold| {
            filled("HSET @user:42", elements(threshold)..elements(threshold) + 1, 100, field)
        },
    },
    reads: &["HGETALL @user:42", "HGETALL @user:profile:77"],
    draw,
    is_live: false,
};

fn field(n: u64) -> Vec<String> {
    vec![format!("field:{n}"), n.to_string()]
}

fn draw(seen: &Readings<'_>) -> Picture {
    let tables = KEYS.iter().zip(seen.replies).filter_map(|(key, reply)| {
        let mut rows = FieldValue::all(pairs(reply));
        let count = rows.len();
        rows.truncate(ROWS);
        (count > 0).then_some(Table { key, count, rows })
    });
    Picture::Tables(Tables { tables: tables.collect() })
}
