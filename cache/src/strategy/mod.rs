//! Caching strategies: the order in which reads and writes use cache and origin.
//! Each has a file with the same members in the same order: `GUARANTEES`, `RISKS`,
//! `READ_MODE`, `write`.

mod cache_aside;
mod kind;
mod none;
mod read_through;
mod refresh_ahead;
mod write_around;
mod write_behind;
mod write_through;

use std::sync::Arc;

pub use self::kind::Strategy;
use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

/// Dispatches to a member of the strategy's module.
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
    /// The strategy's guarantees, for pages.
    pub const fn guarantees(self) -> &'static str {
        dispatch!(self, GUARANTEES)
    }

    /// The strategy's risks, for pages.
    pub const fn risks(self) -> &'static str {
        dispatch!(self, RISKS)
    }

    pub(super) const fn read_mode(self) -> ReadMode {
        dispatch!(self, READ_MODE)
    }

    pub(super) async fn write<T: Cached, O: Writable<T>>(
        self,
        cache: &Cache,
        request: Request<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        dispatch!(self, write(cache, request, value, origin).await)
    }
}
