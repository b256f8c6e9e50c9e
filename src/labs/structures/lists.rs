//! Lists: sequences with two ends.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    command_template::CommandTemplate,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, batched, encoding_name},
    picture::{Boxes, Picture},
    reply::{count, texts},
    step,
    view::Readings,
};
use crate::labs::support::fields::{integer, text};

const INDEX: (i64, i64) = (-1_000, 1_000);
/// Length of a filler element in bytes, including its header.
const FILLER: usize = 62;

/// Lists.
pub const LISTS: Structure = Structure {
    slug: "lists",
    title: "Lists",
    about: "A sequence of elements with a left and a right end. Pushing and popping at either end is O(1), however long the list is.",
    good_for: "Simple queues (push left, pop right: first in, first out), stacks, and the latest N items, trimmed by LTRIM.",
    not_for: "Not for lookups: finding an element is O(N). Also, a popped task is lost if its worker crashes; a stream with a consumer group keeps it.",
    bounds: "At most 1,000 elements of up to 64 characters.",
    keys: &[demo_key("tasks")],
    acts: &[
        Action {
            id: "lpush",
            label: "Push left",
            about: "The producer side of a queue. Returns the new length; duplicates are allowed.",
            fields: &[text("element", "Element", MEMBER_MAX, "email_signup")],
            run: Commands::of(&["LPUSH @tasks {element}"], "O(1)").limited(
                "LLEN @tasks",
                ELEMENTS_MAX,
                "elements",
            ),
        },
        Action {
            id: "rpush",
            label: "Push right",
            about: "Pushes at the other end.",
            fields: &[text("element", "Element", MEMBER_MAX, "send_notification")],
            run: Commands::of(&["RPUSH @tasks {element}"], "O(1)").limited(
                "LLEN @tasks",
                ELEMENTS_MAX,
                "elements",
            ),
        },
        Action {
            id: "lpop",
            label: "Pop left",
            about: "Removes and returns the leftmost element. With LPUSH it makes a stack: last in, first out.",
            fields: &[],
            run: Commands::of(&["LPOP @tasks"], "O(1)"),
        },
        Action {
            id: "rpop",
            label: "Pop right",
            about: "The worker side of a queue. With LPUSH: first in, first out. Real workers block on BRPOP until a task arrives.",
            fields: &[],
            run: Commands::of(&["RPOP @tasks"], "O(1)"),
        },
        Action {
            id: "lrange",
            label: "Read a range",
            about: "Both ends are inclusive, and -1 is the last element. Nothing is removed.",
            fields: &[
                integer("start", "From index", INDEX, "0"),
                integer("stop", "To index", INDEX, "-1"),
            ],
            run: Commands::of(
                &["LRANGE @tasks {start} {stop}"],
                "O(S+N), S to the start, N in the range",
            ),
        },
        Action {
            id: "ltrim",
            label: "Trim to a range",
            about: "Removes everything outside the range. After LPUSH, this keeps the latest ten.",
            fields: &[
                integer("start", "From index", INDEX, "0"),
                integer("stop", "To index", INDEX, "9"),
            ],
            run: Commands::of(&["LTRIM @tasks {start} {stop}"], "O(N), N removed"),
        },
    ],
    example: Example {
        about: "a task queue with a producer and a worker",
        steps: &[
            step("lpush", &[("element", "email_signup")], "A producer pushes a task at the left."),
            step(
                "rpush",
                &[("element", "send_notification")],
                "Pushed at the right, where the next worker takes it first: it jumps the queue.",
            ),
            step("lpush", &[("element", "resize_photo")], "Another task at the left."),
            step(
                "lpush",
                &[("element", "email_signup")],
                "The same task again: lists allow duplicates.",
            ),
            step("lrange", &[], "The whole list, left to right."),
            step("rpop", &[], "A worker takes the rightmost task."),
            step("rpop", &[], "The next task is the one that was pushed first."),
            step("lpop", &[], "Popping at the left takes the latest: a stack."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A list is a linked list of compact nodes (quicklist). The setting limits the size of a node: -2 means 8 KiB. Since Redis 7.2, a list that fits one node is just a listpack.",
        settings: &["list-max-listpack-size", "list-max-ziplist-size"],
        default: -2,
        count: "LLEN @tasks",
        of: "elements",
        key: "tasks",
        encoding: ("OBJECT ENCODING @tasks", encoding_name),
        to_threshold: |have, threshold| push(have, fitting(threshold)),
        // Well past the threshold, because existing elements may be shorter than the
        // filler.
        past_threshold: |threshold| {
            push(fitting(threshold), (fitting(threshold) * 5 / 4 + 2).min(ELEMENTS_MAX))
        },
    },
    reads: &["LLEN @tasks", "LRANGE @tasks 0 11", "LRANGE @tasks -4 -1"],
    draw,
    is_live: false,
};

/// Number of filler elements that fit one node, by `list-max-listpack-size` (redis.conf):
/// a count, or -1 to -5 for 4 to 64 KiB.
fn fitting(threshold: i64) -> u64 {
    let elements = match threshold {
        -5..=-1 => (2_048 << -threshold) as u64 / (FILLER as u64 + 3),
        count => u64::try_from(count).unwrap_or_default(),
    };
    elements.min(ELEMENTS_MAX * 3 / 4)
}

fn push(have: u64, want: u64) -> Vec<CommandTemplate> {
    batched("RPUSH @tasks", have..want, 100, |n| {
        vec![format!("{:.<FILLER$}", format!("task:{n} "))]
    })
}

fn draw(readings: &Readings<'_>) -> Picture {
    let [length, left, right] = readings.replies else { return Picture::Boxes(Boxes::default()) };
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
