//! Errors of a lookup or write: only the origin can fail one.

use std::sync::Arc;

/// An error of the origin.
pub trait OriginError: std::error::Error + Send + Sync + 'static {
    /// Whether the same call may succeed a moment later, so that it is retried
    /// within the deadline.
    fn is_transient(&self) -> bool {
        false
    }

    /// Whether the origin rejects this particular value, while it may accept
    /// others.
    fn is_value_error(&self) -> bool {
        false
    }
}

/// Why an operation failed. All callers that share a load get the same error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The origin returned an error.
    #[error("{0}")]
    Origin(Arc<dyn OriginError>),
    /// The load took longer than the hard timeout.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The load was not started, as too many loads are queued for the origin.
    #[error("the database is overloaded: too many loads are queued")]
    Rejected,
    /// The load ended without an answer: its task panicked, or the process is
    /// stopping.
    #[error("the load was aborted")]
    Aborted,
}

impl FetchError {
    /// Wraps an origin's error.
    pub fn of(error: impl OriginError) -> Self {
        Self::Origin(Arc::new(error))
    }

    /// Whether an immediate retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Origin(error) if error.is_transient())
    }
}
