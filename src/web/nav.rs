//! The pages a visitor can choose from. Each page's `LINK` is one of these.

/// A line in the navigation, and the title of the page it leads to.
pub struct Link {
    /// Where it leads.
    pub path: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What is there, for someone who is lost.
    pub about: &'static str,
}

/// `/` — the hit counter.
pub const COUNTER: Link =
    link("/", "Counter", "a number that every visit pushes up, and how the cache is doing");
/// `/profiles` — the lookup.
pub const PROFILES: Link =
    link("/profiles", "Profiles", "one lookup, from the cache or from the database");
/// `/strategies` — a policy, step by step.
pub const STRATEGIES: Link = link(
    "/strategies",
    "Strategies",
    "one profile read and written by a policy of your choice, step by step",
);
/// `/stampede` — many visitors, one key, policy by policy.
pub const STAMPEDE: Link =
    link("/stampede", "Stampede", "many visitors who ask for one cold key at once");
/// `/structures` — Redis's data types, played by hand.
pub const STRUCTURES: Link = link(
    "/structures",
    "Structures",
    "Redis's nine data types, each tried by hand and shown by a picture of its own",
);
/// `/sessions` — the TTL session demo.
pub const SESSIONS: Link = link("/sessions", "Sessions", "a session that ends by itself");
/// `/invalidation` — dropping copies on purpose.
pub const INVALIDATION: Link =
    link("/invalidation", "Invalidation", "dropping copies by key, by tag, by pattern");
/// `/patterns` — what applications build of Redis's commands.
pub const PATTERNS: Link =
    link("/patterns", "Patterns", "a cart, a lock, a limiter: played, and their mistakes counted");
/// `/console` — commands typed by hand.
pub const CONSOLE: Link = link("/console", "Console", "a Redis command of your own, and its reply");
/// `/patterns/key-names` — a linter for the names of keys.
pub const KEY_NAMES: Link = link(
    "/patterns/key-names",
    "Key names",
    "names of your own, held against twelve rules with their reasons",
);
/// `/patterns/round-trips` — the same commands singly, in pipelines and all at once.
pub const ROUND_TRIPS: Link = link(
    "/patterns/round-trips",
    "Round trips",
    "a thousand commands one by one, in pipelines and all at once, over a network of your choice",
);
/// `/stats` — the panels in full.
pub const STATS: Link = link("/stats", "Stats", "the panels, live");

/// In the order of the navigation.
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

/// A link, for constants.
pub const fn link(path: &'static str, title: &'static str, about: &'static str) -> Link {
    Link { path, title, about }
}
