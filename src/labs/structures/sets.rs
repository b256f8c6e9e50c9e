//! Sets: unordered, unique members.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    commands::{Action, Commands},
    demo_key,
    growth::{Growth, batched, elements, encoding_name},
    picture::{Members, Picture, Venn},
    reply::texts,
    step,
    view::Readings,
};
use crate::labs::support::fields::{choice, list, text};

const KEYS: &[&str] = &["post:1:tags", "post:2:tags", "online_users"];
const NUMBERS: &str = "numbers";

/// Sets.
pub const SETS: Structure = Structure {
    slug: "sets",
    title: "Sets",
    about: "An unordered collection of unique members. Membership checks are O(1), and the server can intersect, unite and subtract sets.",
    good_for: "Tags, online users, likes, exact counts of unique visitors, and comparisons of two such sets.",
    not_for: "Not for data with an order or a score (use a sorted set) or counting millions of visitors (a HyperLogLog needs only 12 KiB).",
    bounds: "At most 1,000 members of up to 64 characters per set.",
    keys: &[demo_key(KEYS[0]), demo_key(KEYS[1]), demo_key(KEYS[2]), demo_key(NUMBERS)],
    acts: &[
        Action {
            id: "sadd",
            label: "Add",
            about: "Returns the number of new members. Existing members are not added again.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                list("members", "Members", MEMBER_MAX, "redis, caching"),
            ],
            run: Commands::of(&["SADD @{key} {members}"], "O(1) for each member").limited(
                "SCARD @{key}",
                ELEMENTS_MAX,
                "members",
            ),
        },
        Action {
            id: "srem",
            label: "Remove",
            about: "Returns the number of removed members. Removing the last member removes the key.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[0]),
                list("members", "Members", MEMBER_MAX, "caching"),
            ],
            run: Commands::of(&["SREM @{key} {members}"], "O(1) for each member"),
        },
        Action {
            id: "sismember",
            label: "Is it a member?",
            about: "Returns 1 or 0, in constant time.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[2]),
                text("member", "Member", MEMBER_MAX, "user42"),
            ],
            run: Commands::of(&["SISMEMBER @{key} {member}"], "O(1)"),
        },
        Action {
            id: "smembers",
            label: "All members",
            about: "Returns all members at once. For large sets, SSCAN returns them in batches.",
            fields: &[choice("key", "Key", KEYS, KEYS[2])],
            run: Commands::of(&["SMEMBERS @{key}"], "O(N), N members"),
        },
        Action {
            id: "sinter",
            label: "Intersection",
            about: "Returns the tags that both posts have.",
            fields: &[],
            run: Commands::of(
                &["SINTER @post:1:tags @post:2:tags"],
                "O(N·M), N in the smaller set, M sets",
            ),
        },
        Action {
            id: "sdiff",
            label: "Difference",
            about: "Returns the tags of the first post that the second does not have. The order of the keys matters.",
            fields: &[],
            run: Commands::of(&["SDIFF @post:1:tags @post:2:tags"], "O(N), N members in total"),
        },
        Action {
            id: "sunion",
            label: "Union",
            about: "Returns all tags, each once.",
            fields: &[],
            run: Commands::of(&["SUNION @post:1:tags @post:2:tags"], "O(N), N members in total"),
        },
    ],
    example: Example {
        about: "online users, and the tags of two posts",
        steps: &[
            step("sadd", &[("key", "online_users"), ("members", "user42")], "A user comes online."),
            step(
                "sadd",
                &[("key", "online_users"), ("members", "user42")],
                "Again: 0 new members, because a set has no duplicates.",
            ),
            step(
                "sismember",
                &[("key", "online_users"), ("member", "user42")],
                "Is user42 online? 1 means yes.",
            ),
            step("smembers", &[("key", "online_users")], "All online users."),
            step(
                "sadd",
                &[("key", "post:1:tags"), ("members", "redis, caching, performance")],
                "Add the tags of one post.",
            ),
            step(
                "sadd",
                &[("key", "post:2:tags"), ("members", "redis, caching, databases")],
                "Add the tags of another.",
            ),
            step("sinter", &[], "The tags they have in common."),
            step("sdiff", &[], "The tags that only the first post has."),
            step("sunion", &[], "All tags."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "A set of integers is a sorted array (intset) up to the setting. Past it, the set becomes a hashtable, which takes many times the memory. A small set of strings is a listpack since Redis 7.2; before, it was always a hashtable.",
        settings: &["set-max-intset-entries"],
        default: 512,
        count: "SCARD @numbers",
        of: "members",
        key: NUMBERS,
        encoding: ("OBJECT ENCODING @numbers", encoding_name),
        to_threshold: |have, threshold| {
            batched("SADD @numbers", have..elements(threshold), 100, number)
        },
        past_threshold: |threshold| {
            batched("SADD @numbers", elements(threshold)..elements(threshold) + 1, 100, number)
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

fn draw(readings: &Readings<'_>) -> Picture {
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
    let of =
        |n: usize| Members::of(NAMES[n], readings.replies.get(n).map(texts).unwrap_or_default());
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
