//! HyperLogLog: how many different members, nearly, in 12 KiB.

use hitrate_cache::redis::Value;

use super::{
    Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    growth::{Growth, filled},
    kept,
    line::CommandTemplate,
    look::Readings,
    picture::{Estimate, Estimates, Picture},
    reply::{Reply, bytes, count},
    step,
};
use crate::labs::support::fields::{Field, Kind, choice, integer};

const KEYS: [&str; 4] = ["visits", "searches:monday", "searches:tuesday", "searches"];
const EXACT: [&str; 4] =
    ["visits:exact", "searches:monday:exact", "searches:tuesday:exact", "searches:exact"];
/// Those that members are added to.
const ADDED: &[&str] = &["visits", "searches:monday", "searches:tuesday"];
/// The most members: a set of them takes some 6 MB.
const MAX_ENTRIES: u64 = 100_000;
const MEMBERS: Field = Field {
    name: "members",
    label: "Members",
    kind: Kind::Several(MEMBER_MAX),
    usual: "user1, user2, user3",
};
/// Members that surely fit the sparse encoding of up to 3,000 bytes, each of
/// which takes up to four; and members that surely do not.
const SPARSE: u64 = 400;
const DENSE: u64 = 6_000;

/// HyperLogLog.
pub const HYPERLOGLOG: Structure = Structure {
    slug: "hyperloglog",
    title: "HyperLogLog",
    about: "Counts how many different members it has seen, nearly: with a standard error of 0.81 %, in at most 12 KiB, however many there are.",
    good_for: "Unique visitors, distinct search terms, anything where a count of millions may be one per cent off and two days are to be added up without counting anybody twice.",
    not_for: "Not for knowing who was there: it forgets the members. And not where the count must be exact: a set, or with numbered users a bitmap.",
    bounds: "Here each has a set of the same members beside it, so that the exact count is known. At most 100,000 members, as that set has to hold them all.",
    keys: &[
        kept(KEYS[0]),
        kept(EXACT[0]),
        kept(KEYS[1]),
        kept(EXACT[1]),
        kept(KEYS[2]),
        kept(EXACT[2]),
        kept(KEYS[3]),
        kept(EXACT[3]),
    ],
    acts: &[
        Action {
            id: "pfadd",
            label: "Add",
            about: "1 says that the estimate has changed. The set beside it gets the same members.",
            fields: &[choice("key", "Key", ADDED, ADDED[0]), MEMBERS],
            run: Commands {
                how: How::Commands(&["PFADD @{key} {members}", "SADD @{key}:exact {members}"]),
                cost: "O(1) for each member",
                size_limit: Some(SizeLimit {
                    count: "SCARD @{key}:exact",
                    max: MAX_ENTRIES,
                    of: "members",
                }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "pfcount",
            label: "Count",
            about: "The estimate, and the exact count of the set.",
            fields: &[choice("key", "Key", &KEYS, KEYS[0])],
            run: Commands {
                how: How::Commands(&["PFCOUNT @{key}", "SCARD @{key}:exact"]),
                cost: "O(1)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "pfmerge",
            label: "Merge two days",
            about: "Who was there on either day, each once: no two estimates are added up. For the set it is a union of all members.",
            fields: &[],
            run: Commands {
                how: How::Commands(&[
                    "PFMERGE @searches @searches:monday @searches:tuesday",
                    "SUNIONSTORE @searches:exact @searches:monday:exact @searches:tuesday:exact",
                ]),
                cost: "O(N), N keys",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "random",
            label: "Add random members",
            about: "EntryMeta up here, a thousand in a command and five commands of each kind in a round trip. Watch the bytes of both.",
            fields: &[integer("count", "How many", (1, 100_000), "10000")],
            run: Commands {
                how: How::Many(&["PFADD @visits", "SADD @visits:exact"]),
                cost: "O(1) for each member",
                size_limit: Some(SizeLimit {
                    count: "SCARD @visits:exact",
                    max: MAX_ENTRIES,
                    of: "members",
                }),
                ..Commands::PLAIN
            },
        },
    ],
    example: Example {
        about: "visitors, and the search terms of two days",
        steps: &[
            step(
                "pfadd",
                &[("key", "visits"), ("members", "user1, user2, user3")],
                "Three visitors.",
            ),
            step("pfcount", &[("key", "visits")], "Few are counted exactly."),
            step(
                "pfadd",
                &[
                    ("key", "searches:monday"),
                    ("members", "redis tutorial, caching, redis tutorial, cache stampede"),
                ],
                "Monday's search terms, one of them twice.",
            ),
            step("pfcount", &[("key", "searches:monday")], "Three different ones."),
            step(
                "pfadd",
                &[("key", "searches:tuesday"), ("members", "redis tutorial, write-behind")],
                "Tuesday's.",
            ),
            step("pfmerge", &[], "Both days together."),
            step(
                "pfcount",
                &[("key", "searches")],
                "Four different terms in two days: what was there on both is counted once.",
            ),
        ],
    },
    growth: Growth {
        label: "Grow it until it is dense",
        about: "A young HyperLogLog is sparse: it notes only the registers that are not zero. When that takes more bytes than the setting, it becomes dense: 16,384 registers of 6 bits, 12,304 bytes with the header, and never more.",
        settings: &["hll-sparse-max-bytes"],
        usual: 3_000,
        count: "PFCOUNT @visits",
        of: "members by its estimate",
        key: "visits",
        encoding: ("GETRANGE @visits 4 4", |value| registers(value).map(str::to_owned)),
        up_to: |have, _| add(have, SPARSE),
        beyond: |_| add(SPARSE, DENSE),
    },
    reads: &[
        "PFCOUNT @visits",
        "SCARD @visits:exact",
        "STRLEN @visits",
        "GETRANGE @visits 4 4",
        "PFCOUNT @searches:monday",
        "SCARD @searches:monday:exact",
        "STRLEN @searches:monday",
        "GETRANGE @searches:monday 4 4",
        "PFCOUNT @searches:tuesday",
        "SCARD @searches:tuesday:exact",
        "STRLEN @searches:tuesday",
        "GETRANGE @searches:tuesday 4 4",
        "PFCOUNT @searches",
        "SCARD @searches:exact",
        "STRLEN @searches",
        "GETRANGE @searches 4 4",
    ],
    draw,
    is_live: false,
};

/// Members in as few commands as can be read, to both.
fn add(from: u64, to: u64) -> Vec<CommandTemplate> {
    let both = ["PFADD @visits", "SADD @visits:exact"];
    both.iter()
        .flat_map(|form| filled(form, from..to, 1_000, |n| vec![format!("visitor:{n}")]))
        .collect()
}

/// The byte after the magic word `HYLL` (hyperloglog.c): how registers are kept.
fn registers(value: &Value) -> Option<&'static str> {
    match bytes(value) {
        [0] => Some("dense"),
        [1] => Some("sparse"),
        _ => None,
    }
}

fn draw(seen: &Readings<'_>) -> Picture {
    let pairs = KEYS.into_iter().zip(EXACT).zip(seen.replies.chunks(4));
    let rows = pairs.filter_map(|(keys, replies)| estimate(seen, keys, replies));
    Picture::Estimates(Estimates { rows: rows.collect() })
}

fn estimate(
    seen: &Readings<'_>,
    (key, exact_key): (&'static str, &str),
    replies: &[Reply],
) -> Option<Estimate> {
    let [estimate, exact, length, encoding] = replies else { return None };
    let (estimate, exact, length) = (count(estimate), count(exact), count(length));
    let off = |exact: f64| (estimate as f64 - exact) / exact * 100.0;
    (length > 0).then(|| Estimate {
        key,
        estimate,
        exact,
        error_percent: (exact > 0).then(|| off(exact as f64)),
        encoding: encoding.as_ref().ok().and_then(registers),
        bytes: seen.bytes(key),
        exact_bytes: seen.bytes(exact_key),
        length,
    })
}
