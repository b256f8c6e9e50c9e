//! What can go wrong with a lookup: only what goes wrong at the origin.

use std::sync::Arc;

/// An origin's own error.
pub trait OriginError: std::error::Error + Send + Sync + 'static {
    /// Whether the same call may well work a moment later, so that trying
    /// again within the deadline is worth it.
    fn is_transient(&self) -> bool {
        false
    }

    /// Whether it is about this one value, and others may well be taken.
    fn is_value_error(&self) -> bool {
        false
    }
}

/// Why there is no answer. Shared by all who waited for the same load.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The origin failed.
    #[error("{0}")]
    Origin(Arc<dyn OriginError>),
    /// The load took longer than the hard timeout.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Too many loads wait for the origin already: this one was not begun.
    #[error("the database has more to do than it can")]
    Rejected,
    /// The load ended without an answer: it panicked, or its process is stopping.
    #[error("the lookup broke off")]
    Aborted,
}

impl FetchError {
    /// The origin's error, for all who wait.
    pub fn of(error: impl OriginError) -> Self {
        Self::Origin(Arc::new(error))
    }

    /// Whether trying again at once may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Origin(error) if error.is_transient())
    }
}
