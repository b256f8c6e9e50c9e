//! The pages a visitor can choose from. Each page's `LINK` is one of these.

/// A line in the navigation, and the title of the page it leads to.
pub struct Link {
    /// Where it leads.
    pub path: &'static str,
    /// What it is called.
    pub title: &'static str,
}

/// `/` — the hit counter.
pub const COUNTER: Link = link("/", "Counter");
/// `/profiles` — the lookup.
pub const PROFILES: Link = link("/profiles", "Profiles");
/// `/sessions` — the TTL session demo.
pub const SESSIONS: Link = link("/sessions", "Sessions");
/// `/stats` — the panels in full.
pub const STATS: Link = link("/stats", "Stats");

/// In the order of the navigation.
pub const ALL: &[Link] = &[COUNTER, PROFILES, SESSIONS, STATS];

/// A link, for constants.
pub const fn link(path: &'static str, title: &'static str) -> Link {
    Link { path, title }
}
