//! Bitmaps: a string whose bits are counted from 0 on.

use super::{
    Example, Structure,
    act::{Action, Commands, How},
    growth::{Growth, as_told},
    kept,
    line::CommandTemplate,
    look::Readings,
    picture::{Bits, Day, Picture},
    reply::{bytes, count},
    step,
};
use crate::labs::support::fields::{choice, integer};

/// The highest bit: a bitmap has at most 1 MiB.
const OFFSET: (i64, i64) = (0, 1 << 23);
/// Bits that are drawn: a square of 32, and as far as the documents' user 1001.
pub const DRAWN: usize = 1_024;
const TODAY: &str = "users_online";
const YESTERDAY: &str = "users_online:yesterday";
const BOTH: &str = "users_online:both";
const DAYS: &[&str] = &[TODAY, YESTERDAY];

/// Bitmaps.
pub const BITMAPS: Structure = Structure {
    slug: "bitmaps",
    title: "Bitmaps",
    about: "A string whose bits are set and counted one by one. With the number of a user as the offset, one bit a user says who was there.",
    good_for: "Daily logins, feature flags and other yes or no for users that are numbered: ten million of them take 1.2 MB a day, and two days are compared by one command.",
    not_for: "Not for few users with large numbers: one bit at 8,388,608 makes a megabyte of zeros. Take a set there.",
    bounds: "Offsets up to 8,388,608 (2^23), which is 1 MiB a key. The picture has the first 1,024 bits. Redis itself goes to 2^32.",
    keys: &[kept(TODAY), kept(YESTERDAY), kept(BOTH)],
    acts: &[
        Action {
            id: "setbit",
            label: "Set a bit",
            about: "Answers what the bit was before. What the two days have in common is out of date then, so it goes, too.",
            fields: &[
                choice("key", "Day", DAYS, TODAY),
                integer("offset", "User, the offset", OFFSET, "1001"),
                choice("bit", "Bit", &["1", "0"], "1"),
            ],
            run: Commands {
                how: How::Commands(&["SETBIT @{key} {offset} {bit}"]),
                cost: "O(1)",
                outdates: &[BOTH],
                ..Commands::PLAIN
            },
        },
        Action {
            id: "getbit",
            label: "Get a bit",
            about: "Was this user there? Beyond the end every bit is 0.",
            fields: &[
                choice("key", "Day", DAYS, TODAY),
                integer("offset", "User, the offset", OFFSET, "1001"),
            ],
            run: Commands {
                how: How::Commands(&["GETBIT @{key} {offset}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "bitcount",
            label: "Count the bits",
            about: "The day's actives. A megabyte takes well under a millisecond.",
            fields: &[choice("key", "Day", DAYS, TODAY)],
            run: Commands {
                how: How::Commands(&["BITCOUNT @{key}"]),
                cost: "O(N), N bytes",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "bitop-and",
            label: "There on both days",
            about: "Stores the bits that both days have: who came back. Their count by the count of the day before is the retention.",
            fields: &[],
            run: Commands {
                how: How::Commands(&[
                    "BITOP AND @users_online:both @users_online @users_online:yesterday",
                    "BITCOUNT @users_online:both",
                ]),
                cost: "O(N), N bytes",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "users 1001 and 50, and who came back",
        steps: &[
            step(
                "setbit",
                &[("offset", "1001")],
                "User 1001 is online: 126 bytes, as far as that bit.",
            ),
            step("getbit", &[("offset", "1001")], "Is user 1001 there? 1 is yes."),
            step("setbit", &[("offset", "50")], "User 50 is bit 50."),
            step(
                "setbit",
                &[("key", YESTERDAY), ("offset", "50")],
                "User 50 was there the day before, too.",
            ),
            step(
                "setbit",
                &[("key", YESTERDAY), ("offset", "7")],
                "And so was user 7, who did not come back.",
            ),
            step("bitcount", &[], "How many are active today."),
            step(
                "bitop-and",
                &[],
                "Who was there on both days: one of yesterday's two, a retention of 50 %.",
            ),
        ],
    },
    growth: Growth {
        label: "Set the highest bit",
        about: "A bitmap has one encoding, and is as long as its highest bit is far: setting one bit at 8,388,607 fills a whole megabyte with zeros.",
        settings: &[],
        usual: OFFSET.1 - 1,
        count: "STRLEN @users_online",
        of: "bytes",
        key: TODAY,
        encoding: ("OBJECT ENCODING @users_online", as_told),
        up_to: |_, _| vec![CommandTemplate::plain("SETBIT @users_online 1001 1")],
        beyond: |offset| {
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

fn draw(seen: &Readings<'_>) -> Picture {
    let keys = [TODAY, YESTERDAY, BOTH];
    let days: Vec<_> = keys.into_iter().zip(seen.replies.chunks(3)).filter_map(day).collect();
    let actives = |key| days.iter().find(|day| day.key == key).map(|day| day.actives as f64);
    let retention = actives(BOTH).zip(actives(YESTERDAY).filter(|it| *it > 0.0));
    let retention = retention.map(|(both, before)| both / before);
    Picture::Bits(Bits { drawn: DRAWN, retention, days })
}

fn day((key, replies): (&'static str, &[super::reply::Reply])) -> Option<Day> {
    let [actives, length, first] = replies else { return None };
    let (actives, length) = (count(actives), count(length));
    let set = first.as_ref().map(|value| set_bits(bytes(value))).unwrap_or_default();
    let beyond = actives.saturating_sub(set.len() as u64);
    (length > 0).then_some(Day { key, actives, bytes: length, set, beyond })
}

/// Which bits are set; 0 is the highest bit of the first byte.
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
        assert_eq!(DRAWN, 128 * 8, "as many as are read");
    }
}
