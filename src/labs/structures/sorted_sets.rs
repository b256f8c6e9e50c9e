//! Sorted sets: members with a score, always in its order.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    growth::{Growth, as_told, elements, filled},
    kept,
    look::Readings,
    picture::{Picture, Ranked, Ranking},
    reply::{count, pairs},
    step,
};
use crate::labs::support::fields::{integer, number, several, text};

const KEY: &str = "leaderboard";
const SCORE: (f64, f64) = (-1e12, 1e12);
const RANK: (i64, i64) = (-1_000, 1_000);
const ROOM: Option<SizeLimit> =
    Some(SizeLimit { count: "ZCARD @leaderboard", max: ELEMENTS_MAX, of: "members" });

/// Sorted sets.
pub const SORTED_SETS: Structure = Structure {
    slug: "sorted-sets",
    title: "Sorted sets",
    about: "Members with a score, each once, always in the order of their scores. Who is first, who is around me and what rank I have are answered without sorting anything.",
    good_for: "Leaderboards, trending topics, priority queues, schedules (the score is a time) and sliding-window rate limits.",
    not_for: "Not where nobody asks for the order: each change costs O(log N) and much more memory than in a set.",
    bounds: "At most 1,000 members of up to 64 characters, with scores from -1,000,000,000,000 to 1,000,000,000,000.",
    keys: &[kept(KEY)],
    acts: &[
        Action {
            id: "zadd",
            label: "Add or update",
            about: "1 is new; 0 has a new score, and its new place at once.",
            fields: &[
                number("score", "Score", SCORE, "500"),
                text("member", "Member", MEMBER_MAX, "Alice"),
            ],
            run: Commands {
                how: How::Commands(&["ZADD @leaderboard {score} {member}"]),
                cost: "O(log N)",
                size_limit: ROOM,
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zincrby",
            label: "Add to a score",
            about: "Atomic, as INCR is. Who is not there begins at 0.",
            fields: &[
                number("score", "Points", SCORE, "50"),
                text("member", "Member", MEMBER_MAX, "Alice"),
            ],
            run: Commands {
                how: How::Commands(&["ZINCRBY @leaderboard {score} {member}"]),
                cost: "O(log N)",
                size_limit: ROOM,
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zrange-rev",
            label: "The best first",
            about: "Ranks begin at 0, and both ends belong to the range.",
            fields: &[
                integer("start", "From rank", RANK, "0"),
                integer("stop", "To rank", RANK, "2"),
            ],
            run: Commands {
                how: How::Commands(&["ZRANGE @leaderboard {start} {stop} REV WITHSCORES"]),
                cost: "O(log N + M), M in the range",
                instead_of: Some("ZREVRANGE leaderboard start stop WITHSCORES"),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zrange",
            label: "The lowest first",
            about: "The order that it is kept in. Members of the same score stand in the order of their names.",
            fields: &[
                integer("start", "From rank", RANK, "0"),
                integer("stop", "To rank", RANK, "-1"),
            ],
            run: Commands {
                how: How::Commands(&["ZRANGE @leaderboard {start} {stop} WITHSCORES"]),
                cost: "O(log N + M), M in the range",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zrevrank",
            label: "Which rank?",
            about: "From the best on, 0 is first; then the score.",
            fields: &[text("member", "Member", MEMBER_MAX, "Alice")],
            run: Commands {
                how: How::Commands(&[
                    "ZREVRANK @leaderboard {member}",
                    "ZSCORE @leaderboard {member}",
                ]),
                cost: "O(log N), and O(1) for the score",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zrem",
            label: "Remove",
            about: "Answers how many were there.",
            fields: &[several("members", "Members", MEMBER_MAX, "Bob")],
            run: Commands {
                how: How::Commands(&["ZREM @leaderboard {members}"]),
                cost: "O(M·log N), M to remove",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "a leaderboard of Alice and Bob",
        steps: &[
            step("zadd", &[("score", "500"), ("member", "Alice")], "Alice has 500 points."),
            step(
                "zadd",
                &[("score", "1000"), ("member", "Bob")],
                "Bob has 1,000, and is first at once.",
            ),
            step(
                "zrange",
                &[("start", "0"), ("stop", "-1")],
                "The order it is kept in: the lowest first.",
            ),
            step("zadd", &[("score", "750"), ("member", "Carol")], "Carol comes between them."),
            step(
                "zincrby",
                &[("score", "600"), ("member", "Alice")],
                "Alice wins 600 more and passes both.",
            ),
            step("zrange-rev", &[("start", "0"), ("stop", "2")], "The top three."),
            step("zrevrank", &[("member", "Bob")], "Bob's rank, from 0 on, and his score."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A small sorted set is one compact piece of memory (listpack, before Redis 7 ziplist). With more members than the setting, or one longer than 64 bytes, it becomes a skiplist with a hashtable beside it, for good.",
        settings: &["zset-max-listpack-entries", "zset-max-ziplist-entries"],
        usual: 128,
        count: "ZCARD @leaderboard",
        of: "members",
        key: KEY,
        encoding: ("OBJECT ENCODING @leaderboard", as_told),
        up_to: |have, threshold| {
            filled("ZADD @leaderboard", have..elements(threshold), 100, player)
        },
        beyond: |threshold| {
            filled("ZADD @leaderboard", elements(threshold)..elements(threshold) + 1, 100, player)
        },
    },
    reads: &["ZCARD @leaderboard", "ZRANGE @leaderboard 0 19 REV WITHSCORES"],
    draw,
    is_live: false,
};

fn player(n: u64) -> Vec<String> {
    vec![n.to_string(), format!("player:{n}")]
}

fn draw(seen: &Readings<'_>) -> Picture {
    let [size, best] = seen.replies else { return Picture::Ranking(Ranking::default()) };
    let scores = pairs(best).into_iter().map(|(member, score)| {
        let score: f64 = score.parse().unwrap_or_default();
        (member, score)
    });
    let scores: Vec<_> = scores.collect();
    let largest = scores.iter().map(|it| it.1.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let rows = scores.into_iter().enumerate().map(|(rank, (member, score))| Ranked {
        rank,
        member,
        score,
        share: score.abs() / largest,
    });
    Picture::Ranking(Ranking { key: KEY, count: count(size), rows: rows.collect() })
}
