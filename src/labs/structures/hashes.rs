//! Hashes: fields and values under one key.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, batched, elements, encoding_name},
    picture::{FieldValue, Picture, Table, Tables},
    reply::pairs,
    step,
    view::Readings,
};
use crate::labs::support::fields::{choice, integer, list, text};

const KEYS: &[&str] = &["user:42", "user:profile:77"];
const VALUE_MAX: usize = 128;
/// Number of fields drawn.
const ROWS: usize = 12;
const STEP: (i64, i64) = (-1_000_000_000, 1_000_000_000);

/// Hashes.
pub const HASHES: Structure = Structure {
    slug: "hashes",
    title: "Hashes",
    about: "Field-value pairs under one key: an object whose fields can be read and changed individually.",
    good_for: "User profiles, product data, shopping carts: HSET and HINCRBY change a single field, so concurrent writers of different fields don't overwrite each other.",
    not_for: "Not for fields that should expire individually (before Redis 7.4 a TTL applies to the whole key) or objects that are always read and written as a whole: a JSON string is simpler.",
    bounds: "At most 1,000 fields of up to 64 characters, with values of up to 128.",
    keys: &[demo_key(KEYS[0]), demo_key(KEYS[1])],
    acts: &[
        Action {
            id: "hset",
            label: "Set a field",
            about: "Returns the number of new fields: 0 means that the field existed.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
                text("value", "Value", VALUE_MAX, "Alice"),
            ],
            run: Commands::of(&["HSET @{key} {field} {value}"], "O(1) for each field")
                .instead_of("HMSET key field value")
                .limited("HLEN @{key}", ELEMENTS_MAX, "fields"),
        },
        Action {
            id: "hget",
            label: "Get a field",
            about: "Returns one field without transferring the others.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                text("field", "Field", MEMBER_MAX, "name"),
            ],
            run: Commands::of(&["HGET @{key} {field}"], "O(1)"),
        },
        Action {
            id: "hgetall",
            label: "Get all fields",
            about: "Returns fields and values alternately, in no guaranteed order.",
            fields: &[choice("key", "Key", KEYS, KEYS[1])],
            run: Commands::of(&["HGETALL @{key}"], "O(N), N fields"),
        },
        Action {
            id: "hincrby",
            label: "Increment a field",
            about: "Atomic, like INCR. On a field that holds a name, Redis returns an error.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[1]),
                text("field", "Field", MEMBER_MAX, "followers"),
                integer("step", "Step", STEP, "1"),
            ],
            run: Commands::of(&["HINCRBY @{key} {field} {step}"], "O(1)").limited(
                "HLEN @{key}",
                ELEMENTS_MAX,
                "fields",
            ),
        },
        Action {
            id: "hdel",
            label: "Delete fields",
            about: "Deleting the last field removes the key.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                list("fields", "Fields", MEMBER_MAX, "age"),
            ],
            run: Commands::of(&["HDEL @{key} {fields}"], "O(N), N fields to delete"),
        },
    ],
    example: Example {
        about: "two user objects, and one more follower",
        steps: &[
            step("hset", &[("field", "name"), ("value", "Alice")], "Set a user's name."),
            step(
                "hset",
                &[("field", "age"), ("value", "30")],
                "Set the age, another field of the same key.",
            ),
            step("hget", &[("field", "name")], "Get a single field."),
            step("hgetall", &[("key", "user:42")], "Get the whole object."),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "username"), ("value", "qiross")],
                "A profile under one key, instead of two keys user:77:username and user:77:email.",
            ),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "email"), ("value", "qiross@example.com")],
                "Set its e-mail address.",
            ),
            step(
                "hset",
                &[("key", "user:profile:77"), ("field", "followers"), ("value", "1500")],
                "Set a number, which Redis stores as a string.",
            ),
            step(
                "hincrby",
                &[("key", "user:profile:77"), ("field", "followers"), ("step", "1")],
                "Add one follower, atomically on the server.",
            ),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A small hash is a listpack (a ziplist before Redis 7), a compact block of memory that is searched linearly. With more fields than the setting, or a field longer than 64 bytes, it becomes a hashtable and stays one.",
        settings: &["hash-max-listpack-entries", "hash-max-ziplist-entries"],
        default: 512,
        count: "HLEN @user:42",
        of: "fields",
        key: "user:42",
        encoding: ("OBJECT ENCODING @user:42", encoding_name),
        to_threshold: |have, threshold| {
            batched("HSET @user:42", have..elements(threshold), 100, field)
        },
        past_threshold: |threshold| {
            batched("HSET @user:42", elements(threshold)..elements(threshold) + 1, 100, field)
        },
    },
    reads: &["HGETALL @user:42", "HGETALL @user:profile:77"],
    draw,
    is_live: false,
};

fn field(n: u64) -> Vec<String> {
    vec![format!("field:{n}"), n.to_string()]
}

fn draw(readings: &Readings<'_>) -> Picture {
    let tables = KEYS.iter().zip(readings.replies).filter_map(|(key, reply)| {
        let mut rows = FieldValue::all(pairs(reply));
        let count = rows.len();
        rows.truncate(ROWS);
        (count > 0).then_some(Table { key, count, rows })
    });
    Picture::Tables(Tables { tables: tables.collect() })
}
