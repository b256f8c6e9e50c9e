//! The system of record behind the cache.

use crate::{Versioned, error::OriginError};

/// A source that values are loaded from. A closure that returns a future is one:
/// `move || { let db = Arc::clone(&db); async move { db.find(7).await } }`.
///
/// An origin owns what it needs, because a load may continue after its caller has
/// left.
pub trait Origin<T>: Send + Sync + 'static {
    /// The error of a load or write.
    type Error: OriginError;

    /// Loads the current value; `None` if there is none. Called again after a
    /// transient error.
    fn load(&self) -> impl Future<Output = Result<Option<Versioned<T>>, Self::Error>> + Send;
}

impl<T, E, F, Fut> Origin<T> for F
where
    E: OriginError,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Versioned<T>>, E>> + Send,
{
    type Error = E;

    fn load(&self) -> impl Future<Output = Result<Option<Versioned<T>>, E>> + Send {
        self()
    }
}

/// An origin that accepts writes.
pub trait Writable<T>: Origin<T> {
    /// Replaces the value. Returns the new version and stamp, or `None` if there is
    /// no value to replace. The new version must be above `order.floor` and all
    /// earlier versions; the stamp must be at least `order.stamp` and above all
    /// earlier stamps.
    fn write(
        &self,
        value: &T,
        order: WriteOrder,
    ) -> impl Future<Output = Result<Option<Committed>, Self::Error>> + Send;
}

/// The position of a write among the other writes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOrder {
    /// The highest version known to the cache. With write-behind it may be ahead of
    /// the origin.
    pub floor: u64,
    /// When the write began, in microseconds since 1970 by Redis's clock. The last
    /// write wins, by stamp.
    pub stamp: u64,
}

/// A write that the origin has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The version.
    pub version: u64,
    /// When it was written, in microseconds since 1970 by Redis's clock.
    pub stamp: u64,
}
