//! The strategies: who is asked first by a read, and who is told first by a
//! write. One file each, with the same members in the same order: `GUARANTEES`,
//! `RISKS`, `READS`, `write`.

mod cache_aside;
mod none;
mod read_through;
mod refresh_ahead;
mod write_around;
mod write_behind;
mod write_through;

use std::sync::Arc;

use crate::{
    Ask, Cache, Cached, Failure, fetch::read::Reads, origin::Writable, write::written::Written,
};

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

/// Calls a member of the strategy's file.
macro_rules! dispatch {
    ($strategy:expr, $member:ident $(($($argument:expr),*))? $(.$wait:ident)?) => {
        match $strategy {
            Strategy::None => none::$member $(($($argument),*))? $(.$wait)?,
            Strategy::CacheAside => cache_aside::$member $(($($argument),*))? $(.$wait)?,
            Strategy::ReadThrough => read_through::$member $(($($argument),*))? $(.$wait)?,
            Strategy::WriteThrough => write_through::$member $(($($argument),*))? $(.$wait)?,
            Strategy::WriteAround => write_around::$member $(($($argument),*))? $(.$wait)?,
            Strategy::WriteBehind => write_behind::$member $(($($argument),*))? $(.$wait)?,
            Strategy::RefreshAhead => refresh_ahead::$member $(($($argument),*))? $(.$wait)?,
        }
    };
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

    /// What one can rely on, in a sentence.
    pub const fn guarantees(self) -> &'static str {
        dispatch!(self, GUARANTEES)
    }

    /// What one has to live with, in a sentence.
    pub const fn risks(self) -> &'static str {
        dispatch!(self, RISKS)
    }

    /// The recipe of `/strategies` that shows it.
    pub const fn recipe(self) -> &'static str {
        match self {
            Self::CacheAside => "plain",
            Self::ReadThrough => "default",
            other => other.name(),
        }
    }

    pub(super) const fn reads(self) -> Reads {
        dispatch!(self, READS)
    }

    pub(super) async fn write<T: Cached, O: Writable<T>>(
        self,
        cache: &Cache,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, Failure> {
        dispatch!(self, write(cache, ask, value, origin).await)
    }
}
