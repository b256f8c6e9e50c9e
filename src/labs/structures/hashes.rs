//! Hashes: fields and values under one key.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Act, How, SizeLimit},
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
        Act {
            slug: "hset",
            label: "Set a field",
            how: How::Commands(&["HSET @{key} {field} {value}"]),
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
                text("value", "Value", VALUE_MAX, "Alice"),
            ],
            cost: "O(1) for each field",
            about: "PipelineReplies how many fields are new: 0 says that it had a value before.",
            instead_of: Some("HMSET key field value"),
            size_limit: Some(SizeLimit { count: "HLEN @{key}", max: ELEMENTS_MAX, of: "fields" }),
            outdates: &[],
        },
        Act {
            slug: "hget",
            label: "Get a field",
            how: How::Commands(&["HGET @{key} {field}"]),
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
            ],
            cost: "O(1)",
            about: "One field, without the others crossing the network.",
            instead_of: None,
            size_limit: None,
            outdates: &[],
        },
        Act {
            slug: "hgetall",
            label: "Get all",
            how: How::Commands(&["HGETALL @{key}"]),
            fields: &[choice("key", "Key", KEYS, KEYS[1])],
            cost: "O(N), N fields",
            about: "Fields and values in turn, in no order that one could rely on.",
            instead_of: None,
            size_limit: None,
            outdates: &[],
        },
        Act {
            slug: "hincrby",
            label: "Count a field up",
            how: How::Commands(&["HINCRBY @{key} {field} {step}"]),
            fields: &[
                choice("key", "Key", KEYS, KEYS[1]),
                text("field", "Field", MEMBER_MAX, "followers"),
                integer("step", "Step", STEP, "1"),
            ],
            cost: "O(1)",
            about: "Atomic, as INCR is. Try it on a field that holds a name: Redis refuses.",
            instead_of: None,
            size_limit: Some(SizeLimit { count: "HLEN @{key}", max: ELEMENTS_MAX, of: "fields" }),
            outdates: &[],
        },
        Act {
            slug: "hdel",
            label: "Delete fields",
            how: How::Commands(&["HDEL @{key} {fields}"]),
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                several("fields", "Fields", MEMBER_MAX, "age"),
            ],
            cost: "O(N), N fields to delete",
            about: "With its last field the key itself goes.",
            instead_of: None,
            size_limit: None,
            outdates: &[],
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
