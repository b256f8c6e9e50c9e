//! The list of strategies.

/// A caching strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// No cache.
    None,
    /// Cache-aside: the caller loads and fills.
    CacheAside,
    /// Read-through: the cache loads and fills.
    ReadThrough,
    /// Write-through: a write updates the origin, then the cache.
    WriteThrough,
    /// Write-around: a write updates the origin only, and drops the copy.
    WriteAround,
    /// Write-behind: a write is queued in Redis, and updates the origin later.
    WriteBehind,
    /// Refresh-ahead: a value read near the end of its TTL is reloaded in the
    /// background.
    RefreshAhead,
}

impl Strategy {
    /// Every strategy, from the simplest on.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::CacheAside,
        Self::ReadThrough,
        Self::WriteThrough,
        Self::WriteAround,
        Self::WriteBehind,
        Self::RefreshAhead,
    ];

    /// The name in JSON and URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::CacheAside => "cache-aside",
            Self::ReadThrough => "read-through",
            Self::WriteThrough => "write-through",
            Self::WriteAround => "write-around",
            Self::WriteBehind => "write-behind",
            Self::RefreshAhead => "refresh-ahead",
        }
    }
}
