//! What is behind the cache: the slow, true source of a value.

use crate::{Versioned, error::OriginError};

/// Where a value is loaded from. A closure that makes the future is one:
/// `move || { let db = Arc::clone(&db); async move { db.find(7).await } }`.
///
/// It owns what it needs: a load may go on after the caller has left.
pub trait Origin<T>: Send + Sync + 'static {
    /// What goes wrong there.
    type Error: OriginError;

    /// The value as of now; `None` when there is none. It is called again
    /// after a transient error.
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

/// An origin that takes writes.
pub trait Writable<T>: Origin<T> {
    /// Replaces the value, and returns its new version and stamp; `None` when
    /// there is no value to replace. The version must be above `order.floor`
    /// and above any version before, the stamp at least `order.stamp` and above
    /// any stamp before.
    fn write(
        &self,
        value: &T,
        order: WriteOrder,
    ) -> impl Future<Output = Result<Option<Committed>, Self::Error>> + Send;
}

/// Where a write belongs among the others of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOrder {
    /// The highest version that the cache knows of. With write-behind it may
    /// be ahead of the origin.
    pub floor: u64,
    /// When the write began, in microseconds since 1970 by Redis's clock. Of
    /// two writes the later stays.
    pub stamp: u64,
}

/// A version that the origin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub version: u64,
    /// When it was written, in microseconds since 1970 by Redis's clock.
    pub stamp: u64,
}
