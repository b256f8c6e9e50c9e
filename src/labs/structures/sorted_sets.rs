//! Sorted sets: unique members ordered by score.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, batched, elements, encoding_name},
    picture::{Picture, Ranked, Ranking},
    reply::{count, pairs},
    step,
    view::Readings,
};
use crate::labs::support::fields::{integer, list, number, text};

const KEY: &str = "leaderboard";
const SCORE: (f64, f64) = (-1e12, 1e12);
const RANK: (i64, i64) = (-1_000, 1_000);

/// Sorted sets.
pub const SORTED_SETS: Structure = Structure {
    slug: "sorted-sets",
    title: "Sorted sets",
    about: "Unique members with a score, always kept in score order. The top members, the neighbours of a member and its rank are available without sorting.",
    good_for: "Leaderboards, trending topics, priority queues, schedules (the score is a timestamp) and sliding-window rate limits.",
    not_for: "Not for data whose order does not matter: each change costs O(log N), and a sorted set takes much more memory than a set.",
    bounds: "At most 1,000 members of up to 64 characters, with scores from -1,000,000,000,000 to 1,000,000,000,000.",
    keys: &[demo_key(KEY)],
    acts: &[
        Action {
            id: "zadd",
            label: "Add or update",
            about: "Returns 1 for a new member; 0 means that its score and position were updated.",
            fields: &[
                number("score", "Score", SCORE, "500"),
                text("member", "Member", MEMBER_MAX, "Alice"),
            ],
            run: Commands::of(&["ZADD @leaderboard {score} {member}"], "O(log N)").limited(
                "ZCARD @leaderboard",
                ELEMENTS_MAX,
                "members",
            ),
        },
        Action {
            id: "zincrby",
            label: "Increment a score",
            about: "Atomic, like INCR. A missing member starts at 0.",
            fields: &[
                number("score", "Points", SCORE, "50"),
                text("member", "Member", MEMBER_MAX, "Alice"),
            ],
            run: Commands::of(&["ZINCRBY @leaderboard {score} {member}"], "O(log N)").limited(
                "ZCARD @leaderboard",
                ELEMENTS_MAX,
                "members",
            ),
        },
        Action {
            id: "zrange-rev",
            label: "Highest first",
            about: "Ranks start at 0, and both ends are inclusive.",
            fields: &[
                integer("start", "From rank", RANK, "0"),
                integer("stop", "To rank", RANK, "2"),
            ],
            run: Commands::of(
                &["ZRANGE @leaderboard {start} {stop} REV WITHSCORES"],
                "O(log N + M), M in the range",
            )
            .instead_of("ZREVRANGE leaderboard start stop WITHSCORES"),
        },
        Action {
            id: "zrange",
            label: "Lowest first",
            about: "The order of storage. Members with the same score are ordered by name.",
            fields: &[
                integer("start", "From rank", RANK, "0"),
                integer("stop", "To rank", RANK, "-1"),
            ],
            run: Commands::of(
                &["ZRANGE @leaderboard {start} {stop} WITHSCORES"],
                "O(log N + M), M in the range",
            ),
        },
        Action {
            id: "zrevrank",
            label: "Rank and score",
            about: "The rank by descending score, from 0, and the score.",
            fields: &[text("member", "Member", MEMBER_MAX, "Alice")],
            run: Commands::of(
                &["ZREVRANK @leaderboard {member}", "ZSCORE @leaderboard {member}"],
                "O(log N), plus O(1) for the score",
            ),
        },
        Action {
            id: "zrem",
            label: "Remove",
            about: "Returns the number of removed members.",
            fields: &[list("members", "Members", MEMBER_MAX, "Bob")],
            run: Commands::of(&["ZREM @leaderboard {members}"], "O(M·log N), M removed"),
        },
    ],
    example: Example {
        about: "a leaderboard with Alice and Bob",
        steps: &[
            step("zadd", &[("score", "500"), ("member", "Alice")], "Alice has 500 points."),
            step(
                "zadd",
                &[("score", "1000"), ("member", "Bob")],
                "Bob has 1,000 and is first immediately.",
            ),
            step(
                "zrange",
                &[("start", "0"), ("stop", "-1")],
                "The order of storage: lowest score first.",
            ),
            step("zadd", &[("score", "750"), ("member", "Carol")], "Carol ranks between them."),
            step(
                "zincrby",
                &[("score", "600"), ("member", "Alice")],
                "Alice gains 600 points and passes both.",
            ),
            step("zrange-rev", &[("start", "0"), ("stop", "2")], "The top three."),
            step("zrevrank", &[("member", "Bob")], "Bob's rank, from 0, and his score."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A small sorted set is a listpack (a ziplist before Redis 7). With more members than the setting, or a member longer than 64 bytes, it becomes a skiplist with a hashtable and stays one.",
        settings: &["zset-max-listpack-entries", "zset-max-ziplist-entries"],
        default: 128,
        count: "ZCARD @leaderboard",
        of: "members",
        key: KEY,
        encoding: ("OBJECT ENCODING @leaderboard", encoding_name),
        to_threshold: |have, threshold| {
            batched("ZADD @leaderboard", have..elements(threshold), 100, player)
        },
        past_threshold: |threshold| {
            batched("ZADD @leaderboard", elements(threshold)..elements(threshold) + 1, 100, player)
        },
    },
    reads: &["ZCARD @leaderboard", "ZRANGE @leaderboard 0 19 REV WITHSCORES"],
    draw,
    is_live: false,
};

fn player(n: u64) -> Vec<String> {
    vec![n.to_string(), format!("player:{n}")]
}

fn draw(readings: &Readings<'_>) -> Picture {
    let [size, top] = readings.replies else { return Picture::Ranking(Ranking::default()) };
    let scores = pairs(top).into_iter().map(|(member, score)| {
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
