//! Links to all pages. Each page's `LINK` is one of these.

/// An entry of the navigation.
pub struct Link {
    /// Path of the page.
    pub path: &'static str,
    /// Title of the page.
    pub title: &'static str,
    /// Description of the page, shown on error pages.
    pub about: &'static str,
}

/// `/` — the page counter.
pub const COUNTER: Link =
    link("/", "Counter", "a number that every visit increments, and the state of the cache");
/// `/profiles` — the lookup.
pub const PROFILES: Link =
    link("/profiles", "Profiles", "one profile, looked up in the cache or in the database");
/// `/strategies` — one policy, step by step.
pub const STRATEGIES: Link = link(
    "/strategies",
    "Strategies",
    "reads and writes of one profile under a policy of your choice, step by step",
);
/// `/stampede` — many concurrent visitors and one cold key, by policy.
pub const STAMPEDE: Link =
    link("/stampede", "Stampede", "many visitors request one cold key at once");
/// `/structures` — Redis's data types, to try by hand.
pub const STRUCTURES: Link = link(
    "/structures",
    "Structures",
    "Redis's nine data types to try by hand, each with a picture",
);
/// `/sessions` — the TTL session demo.
pub const SESSIONS: Link = link("/sessions", "Sessions", "a session that expires after its TTL");
/// `/invalidation` — explicit invalidation.
pub const INVALIDATION: Link =
    link("/invalidation", "Invalidation", "drop cached copies by key, by tag or by pattern");
/// `/patterns` — building blocks of applications, made of Redis commands.
pub const PATTERNS: Link = link(
    "/patterns",
    "Patterns",
    "a cart, a lock, a rate limiter and others, each with its common mistake measured",
);
/// `/console` — commands typed by hand.
pub const CONSOLE: Link = link("/console", "Console", "type a Redis command and see its reply");
/// `/patterns/key-names` — a linter for key names.
pub const KEY_NAMES: Link =
    link("/patterns/key-names", "Key names", "check your key names against twelve rules");
/// `/patterns/round-trips` — the same commands one by one, in pipelines and concurrently.
pub const ROUND_TRIPS: Link = link(
    "/patterns/round-trips",
    "Round trips",
    "a thousand commands one by one, in pipelines and concurrently, over a simulated network",
);
/// `/stats` — the panels, live.
pub const STATS: Link = link("/stats", "Stats", "metrics of the cache and of Redis, live");

/// All entries, in the order of the navigation.
pub const ALL: &[Link] = &[
    COUNTER,
    PROFILES,
    STRATEGIES,
    STAMPEDE,
    INVALIDATION,
    SESSIONS,
    STRUCTURES,
    PATTERNS,
    CONSOLE,
    STATS,
];

/// Constructs a link in a constant.
pub const fn link(path: &'static str, title: &'static str, about: &'static str) -> Link {
    Link { path, title, about }
}
