//! Bitmaps: strings used as arrays of bits.

use super::{
    Example, Structure,
    command_template::CommandTemplate,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, encoding_name},
    picture::{Bits, Day, Picture},
    reply::{bytes, count},
    step,
    view::Readings,
};
use crate::labs::support::fields::{choice, integer};

/// Bit offsets: a bitmap has at most 1 MiB.
const OFFSET: (i64, i64) = (0, 1 << 23);
/// Number of bits drawn: a square of 32 by 32, which includes the tutorial's user 1001.
pub const DRAWN: usize = 1_024;
const TODAY: &str = "users_online";
const YESTERDAY: &str = "users_online:yesterday";
const BOTH: &str = "users_online:both";
const DAYS: &[&str] = &[TODAY, YESTERDAY];

/// Bitmaps.
pub const BITMAPS: Structure = Structure {
    slug: "bitmaps",
    title: "Bitmaps",
    about: "A string used as an array of bits. With the user id as the offset, one bit per user records who was active.",
    good_for: "Daily logins, feature flags and other yes/no data for users with numeric ids: ten million users take 1.2 MB per day, and one command compares two days.",
    not_for: "Not for sparse ids: a single bit at offset 8,388,608 allocates a megabyte of zeros. Use a set instead.",
    bounds: "Offsets up to 8,388,608 (2^23), which is 1 MiB per key. The picture shows the first 1,024 bits. Redis itself allows offsets up to 2^32 − 1.",
    keys: &[demo_key(TODAY), demo_key(YESTERDAY), demo_key(BOTH)],
    acts: &[
        Action {
            id: "setbit",
            label: "Set a bit",
            about: "Returns the previous bit. The intersection of the two days is now stale, so it is removed.",
            fields: &[
                choice("key", "Day", DAYS, TODAY),
                integer("offset", "User, the offset", OFFSET, "1001"),
                choice("bit", "Bit", &["1", "0"], "1"),
            ],
            run: Commands::of(&["SETBIT @{key} {offset} {bit}"], "O(1)").invalidating(&[BOTH]),
        },
        Action {
            id: "getbit",
            label: "Get a bit",
            about: "Was this user active? Bits past the end are 0.",
            fields: &[
                choice("key", "Day", DAYS, TODAY),
                integer("offset", "User, the offset", OFFSET, "1001"),
            ],
            run: Commands::of(&["GETBIT @{key} {offset}"], "O(1)"),
        },
        Action {
            id: "bitcount",
            label: "Count the bits",
            about: "Returns the number of active users. Counting a megabyte takes well under a millisecond.",
            fields: &[choice("key", "Day", DAYS, TODAY)],
            run: Commands::of(&["BITCOUNT @{key}"], "O(N), N bytes"),
        },
        Action {
            id: "bitop-and",
            label: "Active on both days",
            about: "Stores the bits that are set on both days: the users who came back. Retention is their number divided by the previous day's.",
            fields: &[],
            run: Commands::of(
                &[
                    "BITOP AND @users_online:both @users_online @users_online:yesterday",
                    "BITCOUNT @users_online:both",
                ],
                "O(N), N bytes",
            ),
        },
    ],
    example: Example {
        about: "users 1001 and 50, and retention",
        steps: &[
            step(
                "setbit",
                &[("offset", "1001")],
                "User 1001 is online. The bitmap now has 126 bytes, up to that bit.",
            ),
            step("getbit", &[("offset", "1001")], "Is user 1001 online? 1 means yes."),
            step("setbit", &[("offset", "50")], "User 50 is bit 50."),
            step(
                "setbit",
                &[("key", YESTERDAY), ("offset", "50")],
                "User 50 was active on the previous day, too.",
            ),
            step(
                "setbit",
                &[("key", YESTERDAY), ("offset", "7")],
                "So was user 7, who did not come back.",
            ),
            step("bitcount", &[], "The number of users active today."),
            step(
                "bitop-and",
                &[],
                "The users active on both days: one of yesterday's two, a retention of 50 %.",
            ),
        ],
    },
    growth: Growth {
        label: "Set the highest bit",
        about: "A bitmap has one encoding, and its length depends on the highest bit: setting the bit at 8,388,607 allocates a whole megabyte.",
        settings: &[],
        default: OFFSET.1 - 1,
        count: "STRLEN @users_online",
        of: "bytes",
        key: TODAY,
        encoding: ("OBJECT ENCODING @users_online", encoding_name),
        to_threshold: |_, _| vec![CommandTemplate::plain("SETBIT @users_online 1001 1")],
        past_threshold: |offset| {
            let set = CommandTemplate::plain(&format!("SETBIT @users_online {offset} 1"));
            vec![set, CommandTemplate::plain("UNLINK @users_online:both")]
        },
    },
    reads: &[
        "BITCOUNT @users_online",
        "STRLEN @users_online",
        "GETRANGE @users_online 0 127",
        "BITCOUNT @users_online:yesterday",
        "STRLEN @users_online:yesterday",
        "GETRANGE @users_online:yesterday 0 127",
        "BITCOUNT @users_online:both",
        "STRLEN @users_online:both",
        "GETRANGE @users_online:both 0 127",
    ],
    draw,
    is_live: false,
};

fn draw(readings: &Readings<'_>) -> Picture {
    let keys = [TODAY, YESTERDAY, BOTH];
    let days: Vec<_> = keys.into_iter().zip(readings.replies.chunks(3)).filter_map(day).collect();
    let actives = |key| days.iter().find(|day| day.key == key).map(|day| day.actives as f64);
    let retention = actives(BOTH).zip(actives(YESTERDAY).filter(|it| *it > 0.0));
    let retention = retention.map(|(both, before)| both / before);
    Picture::Bits(Bits { drawn: DRAWN, retention, days })
}

fn day((key, replies): (&'static str, &[super::reply::CommandReply])) -> Option<Day> {
    let [actives, length, first] = replies else { return None };
    let (actives, length) = (count(actives), count(length));
    let set = first.as_ref().map(|value| set_bits(bytes(value))).unwrap_or_default();
    let beyond = actives.saturating_sub(set.len() as u64);
    (length > 0).then_some(Day { key, actives, bytes: length, set, beyond })
}

/// The set bits; bit 0 is the highest bit of the first byte.
fn set_bits(bytes: &[u8]) -> Vec<usize> {
    let is_set = |n: &usize| bytes[n / 8] & (0x80 >> (n % 8)) != 0;
    (0..bytes.len() * 8).filter(is_set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_as_redis_counts_them() {
        assert_eq!(set_bits(&[0b1000_0001, 0, 0b0100_0000]), [0, 7, 17]);
        assert!(set_bits(&[]).is_empty());
        assert_eq!(DRAWN, 128 * 8, "as many bits as GETRANGE reads");
    }
}
