//! Sets: members without order, each once.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    growth::{Growth, as_told, elements, filled},
    kept,
    look::Readings,
    picture::{Members, Picture, Venn},
    reply::texts,
    step,
};
use crate::labs::support::fields::{choice, several, text};

const KEYS: &[&str] = &["post:1:tags", "post:2:tags", "online_users"];
const NUMBERS: &str = "numbers";

/// Sets.
pub const SETS: Structure = Structure {
    slug: "sets",
    title: "Sets",
    about: "Members without order, each at most once. Whether something is in it is answered in one step, and two sets can be compared on the server.",
    good_for: "Tags, who is online, who liked what, unique visitors where the count must be exact, and what two of them have in common.",
    not_for: "Not where order or a score matters (a sorted set), and not for counting millions of visitors: a HyperLogLog does that in 12 KiB.",
    bounds: "At most 1,000 members of up to 64 characters in each set.",
    keys: &[kept(KEYS[0]), kept(KEYS[1]), kept(KEYS[2]), kept(NUMBERS)],
    acts: &[
        Action {
            id: "sadd",
            label: "Add",
            about: "Answers how many are new. What is there already stays there once.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                several("members", "Members", MEMBER_MAX, "redis, caching"),
            ],
            run: Commands {
                how: How::Commands(&["SADD @{key} {members}"]),
                cost: "O(1) for each member",
                size_limit: Some(SizeLimit {
                    count: "SCARD @{key}",
                    max: ELEMENTS_MAX,
                    of: "members",
                }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "srem",
            label: "Remove",
            about: "Answers how many were there. With its last member the key goes.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                several("members", "Members", MEMBER_MAX, "caching"),
            ],
            run: Commands {
                how: How::Commands(&["SREM @{key} {members}"]),
                cost: "O(1) for each member",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "sismember",
            label: "Is it a member?",
            about: "1 or 0, however large the set is.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[2]),
                text("member", "Member", MEMBER_MAX, "user42"),
            ],
            run: Commands {
                how: How::Commands(&["SISMEMBER @{key} {member}"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "smembers",
            label: "All members",
            about: "All at once; for large sets SSCAN brings them in batches.",
            fields: &[choice("key", "Key", KEYS, KEYS[2])],
            run: Commands {
                how: How::Commands(&["SMEMBERS @{key}"]),
                cost: "O(N), N members",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "sinter",
            label: "In both",
            about: "The tags that both posts have.",
            fields: &[],
            run: Commands {
                how: How::Commands(&["SINTER @post:1:tags @post:2:tags"]),
                cost: "O(N·M), N in the smaller set, M sets",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "sdiff",
            label: "In the first only",
            about: "What the first post has and the second has not. The order of the keys matters.",
            fields: &[],
            run: Commands {
                how: How::Commands(&["SDIFF @post:1:tags @post:2:tags"]),
                cost: "O(N), N members of both",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "sunion",
            label: "In any",
            about: "All tags, each once.",
            fields: &[],
            run: Commands {
                how: How::Commands(&["SUNION @post:1:tags @post:2:tags"]),
                cost: "O(N), N members of both",
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "who is online, and the tags of two posts",
        steps: &[
            step("sadd", &[("key", "online_users"), ("members", "user42")], "A user comes online."),
            step(
                "sadd",
                &[("key", "online_users"), ("members", "user42")],
                "And again: 0 is new, a set has no duplicates.",
            ),
            step(
                "sismember",
                &[("key", "online_users"), ("member", "user42")],
                "Is user42 online? 1 is yes.",
            ),
            step("smembers", &[("key", "online_users")], "Everybody who is."),
            step(
                "sadd",
                &[("key", "post:1:tags"), ("members", "redis, caching, performance")],
                "The tags of one post.",
            ),
            step(
                "sadd",
                &[("key", "post:2:tags"), ("members", "redis, caching, databases")],
                "And of another.",
            ),
            step("sinter", &[], "What they have in common."),
            step("sdiff", &[], "What only the first has."),
            step("sunion", &[], "All of them."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A set of whole numbers is a sorted array (intset) up to the setting. Beyond it becomes a hashtable, and takes many times the memory. A small set of texts is a listpack from Redis 7.2 on, before that a hashtable at once.",
        settings: &["set-max-intset-entries"],
        usual: 512,
        count: "SCARD @numbers",
        of: "members",
        key: NUMBERS,
        encoding: ("OBJECT ENCODING @numbers", as_told),
        up_to: |have, threshold| filled("SADD @numbers", have..elements(threshold), 100, number),
        beyond: |threshold| {
            filled("SADD @numbers", elements(threshold)..elements(threshold) + 1, 100, number)
        },
    },
    reads: &[
        "SMEMBERS @post:1:tags",
        "SMEMBERS @post:2:tags",
        "SDIFF @post:1:tags @post:2:tags",
        "SINTER @post:1:tags @post:2:tags",
        "SDIFF @post:2:tags @post:1:tags",
        "SUNION @post:1:tags @post:2:tags",
        "SMEMBERS @online_users",
        "SMEMBERS @numbers",
    ],
    draw,
    is_live: false,
};

fn number(n: u64) -> Vec<String> {
    vec![n.to_string()]
}

fn draw(seen: &Readings<'_>) -> Picture {
    const NAMES: [&str; 8] = [
        KEYS[0],
        KEYS[1],
        "SDIFF post:1:tags post:2:tags",
        "SINTER post:1:tags post:2:tags",
        "SDIFF post:2:tags post:1:tags",
        "SUNION post:1:tags post:2:tags",
        KEYS[2],
        NUMBERS,
    ];
    let of = |n: usize| Members::of(NAMES[n], seen.replies.get(n).map(texts).unwrap_or_default());
    Picture::Venn(Box::new(Venn {
        left: of(0),
        right: of(1),
        left_only: of(2),
        both: of(3),
        right_only: of(4),
        any: of(5),
        others: [of(6), of(7)].into_iter().filter(|set| set.count > 0).collect(),
    }))
}
