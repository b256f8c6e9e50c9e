//! Lists: a row of elements with two ends.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    growth::{Growth, as_told, filled},
    kept,
    line::CommandTemplate,
    look::Readings,
    picture::{Boxes, Picture},
    reply::{count, texts},
    step,
};
use crate::labs::support::fields::{integer, text};

const INDEX: (i64, i64) = (-1_000, 1_000);
const ROOM: Option<SizeLimit> =
    Some(SizeLimit { count: "LLEN @tasks", max: ELEMENTS_MAX, of: "elements" });
/// Bytes of an element that fills a list, its header included.
const FILLER: usize = 62;

/// Lists.
pub const LISTS: Structure = Structure {
    slug: "lists",
    title: "Lists",
    about: "A row of elements with a left end and a right end. Pushing and popping at either costs the same however long the row is.",
    good_for: "Simple queues (in at the left, out at the right: first in, first out), stacks, and the latest N of something, cut by LTRIM.",
    not_for: "Not for looking something up: finding an element is O(N). And a popped task is gone when its worker dies; a stream with a consumer group keeps it.",
    bounds: "At most 1,000 elements of up to 64 characters.",
    keys: &[kept("tasks")],
    acts: &[
        Action {
            id: "lpush",
            label: "Push left",
            about: "The producer of a queue. Answers the new length; the same element may be there twice.",
            fields: &[text("element", "Element", MEMBER_MAX, "email_signup")],
            run: Commands {
                how: How::Commands(&["LPUSH @tasks {element}"]),
                cost: "O(1)",
                size_limit: ROOM,
                ..Commands::PLAIN
            },
        },
        Action {
            id: "rpush",
            label: "Push right",
            about: "The same at the other end.",
            fields: &[text("element", "Element", MEMBER_MAX, "send_notification")],
            run: Commands {
                how: How::Commands(&["RPUSH @tasks {element}"]),
                cost: "O(1)",
                size_limit: ROOM,
                ..Commands::PLAIN
            },
        },
        Action {
            id: "lpop",
            label: "Pop left",
            about: "Takes the leftmost away and answers it: with LPUSH a stack, last in, first out.",
            fields: &[],
            run: Commands { how: How::Commands(&["LPOP @tasks"]), cost: "O(1)", ..Commands::PLAIN },
        },
        Action {
            id: "rpop",
            label: "Pop right",
            about: "The worker of a queue: with LPUSH first in, first out. Real workers wait for the next one by BRPOP.",
            fields: &[],
            run: Commands { how: How::Commands(&["RPOP @tasks"]), cost: "O(1)", ..Commands::PLAIN },
        },
        Action {
            id: "lrange",
            label: "Read a range",
            about: "Both ends belong to it, and -1 is the last. Nothing is taken away.",
            fields: &[
                integer("start", "From index", INDEX, "0"),
                integer("stop", "To index", INDEX, "-1"),
            ],
            run: Commands {
                how: How::Commands(&["LRANGE @tasks {start} {stop}"]),
                cost: "O(S+N), S to the start, N in the range",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "ltrim",
            label: "Keep a range",
            about: "Drops everything outside: after an LPUSH it keeps the latest ten.",
            fields: &[
                integer("start", "From index", INDEX, "0"),
                integer("stop", "To index", INDEX, "9"),
            ],
            run: Commands {
                how: How::Commands(&["LTRIM @tasks {start} {stop}"]),
                cost: "O(N), N that go",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "a task queue with a producer and a worker",
        steps: &[
            step("lpush", &[("element", "email_signup")], "A producer puts a task in at the left."),
            step(
                "rpush",
                &[("element", "send_notification")],
                "At the right, where the next worker finds it first: it jumps the queue.",
            ),
            step("lpush", &[("element", "resize_photo")], "Another one at the left."),
            step(
                "lpush",
                &[("element", "email_signup")],
                "The same task again: a list keeps duplicates.",
            ),
            step("lrange", &[], "The whole row, left to right."),
            step("rpop", &[], "A worker takes the rightmost."),
            step("rpop", &[], "And the next: the one that came in first."),
            step("lpop", &[], "From the left it would be the latest: a stack."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A list is a chain of compact pieces (quicklist). The setting says how large one piece gets: -2 is 8 KiB. From Redis 7.2 on a list that fits one piece is only that piece (listpack).",
        settings: &["list-max-listpack-size", "list-max-ziplist-size"],
        usual: -2,
        count: "LLEN @tasks",
        of: "elements",
        key: "tasks",
        encoding: ("OBJECT ENCODING @tasks", as_told),
        up_to: |have, threshold| push(have, fitting(threshold)),
        // Well beyond: what is there already may be shorter than what fills it.
        beyond: |threshold| {
            push(fitting(threshold), (fitting(threshold) * 5 / 4 + 2).min(ELEMENTS_MAX))
        },
    },
    reads: &["LLEN @tasks", "LRANGE @tasks 0 11", "LRANGE @tasks -4 -1"],
    draw,
    is_live: false,
};

/// Elements that fit one piece, by `list-max-listpack-size` (redis.conf): a
/// count, or -1 to -5 for 4 to 64 KiB.
fn fitting(threshold: i64) -> u64 {
    let elements = match threshold {
        -5..=-1 => (2_048 << -threshold) as u64 / (FILLER as u64 + 3),
        count => u64::try_from(count).unwrap_or_default(),
    };
    elements.min(ELEMENTS_MAX * 3 / 4)
}

fn push(have: u64, want: u64) -> Vec<CommandTemplate> {
    filled("RPUSH @tasks", have..want, 100, |n| vec![format!("{:.<FILLER$}", format!("task:{n} "))])
}

fn draw(seen: &Readings<'_>) -> Picture {
    let [length, left, right] = seen.replies else { return Picture::Boxes(Boxes::default()) };
    let (count, left, mut right) = (count(length), texts(left), texts(right));
    let beyond = count.saturating_sub(left.len() as u64);
    right.drain(..right.len().saturating_sub(beyond as usize));
    let between = beyond - right.len() as u64;
    Picture::Boxes(Boxes { key: "tasks", count, left, between, right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_a_size_or_a_count() {
        assert_eq!(fitting(-2), 8_192 / 65);
        assert_eq!(fitting(128), 128);
        assert_eq!(fitting(i64::MIN), 0);
        assert_eq!(fitting(i64::MAX), 750);
    }
}
