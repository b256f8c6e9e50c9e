//! Caching strategies: the order in which reads and writes use cache and database.

/// A caching strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// No cache.
    None,
    /// Cache-aside: the caller loads and fills.
    CacheAside,
    /// Read-through: the cache loads and fills.
    ReadThrough,
    /// Write-through: a write updates the database, then the cache.
    WriteThrough,
    /// Write-around: a write updates the database only, and drops the copy.
    WriteAround,
    /// Write-behind: a write is queued in Redis, and updates the database later.
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

    /// The strategy's guarantees, for pages.
    pub const fn guarantees(self) -> &'static str {
        match self {
            Self::None => "Every read returns the current row: nothing can be stale.",
            Self::CacheAside => {
                "Only requested values are cached. If Redis is unavailable, the application still works and queries the database."
            }
            Self::ReadThrough => {
                "Concurrent misses share one database query, even across processes. No read returns a value older than the last acknowledged write. If the database fails or is slow, a stale copy is served and marked as stale."
            }
            Self::WriteThrough => {
                "A read right after a write is a hit and returns the new value. The database is written first, so Redis is never ahead of it."
            }
            Self::WriteAround => {
                "Only values that are read use memory in Redis. A write drops the existing copy, so no read returns the older value."
            }
            Self::WriteBehind => {
                "A write waits for Redis only, and several writes of a key may reach the database as one. Killing hitrate loses no acknowledged write: it stays in a stream, and another process takes over."
            }
            Self::RefreshAhead => {
                "A key that is read in the last fifth of its TTL is reloaded in the background by one loader: its readers keep hitting the cache and none waits."
            }
        }
    }

    /// The strategy's risks, for pages.
    pub const fn risks(self) -> &'static str {
        match self {
            Self::None => {
                "Every read waits for a database query. If the database is down, reads fail."
            }
            Self::CacheAside => {
                "Concurrent misses each query the database. A slow reader may store an old value after a write, and it is served until its TTL expires."
            }
            Self::ReadThrough => "The first read after a write waits for the database.",
            Self::WriteThrough => {
                "Every write waits for both. Values that are never read use memory in Redis until their TTL expires."
            }
            Self::WriteAround => {
                "The first read after each write is a miss and waits for the database."
            }
            Self::WriteBehind => {
                "Until a write is flushed, readers that bypass the cache get the old row. If Redis loses its memory before that, the write is lost unless an append-only file has it."
            }
            Self::RefreshAhead => {
                "The database is queried for values that may never be read again. A rarely read key still expires, and its next reader waits."
            }
        }
    }
}
