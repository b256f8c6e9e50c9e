//! Why a lookup or an edit failed.

use hitrate_cache::Error as CacheError;

use crate::demo::db::DbError;

/// Why a lookup or an edit failed. Redis is never the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The database did not answer within the hard timeout.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Too many loads wait for the database.
    #[error("the database is overloaded: too many loads are queued")]
    Rejected,
    /// The load ended without an answer: it panicked, or hitrate is stopping.
    #[error("the load was aborted")]
    Aborted,
}

impl From<CacheError> for LoadError {
    fn from(error: CacheError) -> Self {
        match &error {
            CacheError::TimedOut => Self::TimedOut,
            CacheError::Overloaded => Self::Rejected,
            error => error.origin::<DbError>().cloned().map_or(Self::Aborted, Self::Database),
        }
    }
}
