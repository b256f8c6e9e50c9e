//! The strategies by name.

/// A strategy by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// No cache.
    None,
    /// The caller loads and fills.
    CacheAside,
    /// The cache loads and fills.
    ReadThrough,
    /// A write goes to the origin and to the cache.
    WriteThrough,
    /// A write goes to the origin only.
    WriteAround,
    /// A write goes to the cache, and to the origin later.
    WriteBehind,
    /// What is read near its end is reloaded in the background.
    RefreshAhead,
}

impl Strategy {
    /// Every strategy, from the plainest on.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::CacheAside,
        Self::ReadThrough,
        Self::WriteThrough,
        Self::WriteAround,
        Self::WriteBehind,
        Self::RefreshAhead,
    ];

    /// The field's word for it.
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

    /// The policy of `/strategies` that shows it.
    pub const fn policy(self) -> &'static str {
        match self {
            Self::CacheAside => "cache-aside",
            Self::ReadThrough => "read-through",
            other => other.name(),
        }
    }
}
