//! Errors of a lookup or write: only the origin can fail one.

use std::{error::Error as StdError, sync::Arc};

/// Any error, as the origin and codecs return it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a lookup or write failed. A failure of Redis is never among these: it is a miss,
/// and [`Fill`](crate::Fill) tells of it.
///
/// All callers that share a load get the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The origin returned an error; [`Error::origin`] gives it back.
    #[error(transparent)]
    Origin(Arc<dyn StdError + Send + Sync>),
    /// The load or write took longer than the hard timeout. A write may still have
    /// happened; its copy is then invalidated.
    #[error("the origin did not answer in time")]
    TimedOut,
    /// The load was not started, as too many are queued for the origin.
    #[error("the origin is overloaded: too many loads are queued")]
    Overloaded,
    /// The load or write ended without an answer: its task panicked, or the runtime is
    /// stopping.
    #[error("the load was aborted")]
    Aborted,
}

impl Error {
    /// Wraps an error of the origin.
    pub fn from_origin(error: impl Into<BoxError>) -> Self {
        Self::Origin(error.into().into())
    }

    /// The origin's error, if it has this type.
    ///
    /// ```
    /// # use std::io;
    /// # let error = hitrate_cache::Error::from_origin(io::Error::from(io::ErrorKind::NotFound));
    /// let kind = error.origin::<io::Error>().map(io::Error::kind);
    /// # assert_eq!(kind, Some(io::ErrorKind::NotFound));
    /// ```
    pub fn origin<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Self::Origin(error) => error.downcast_ref(),
            _ => None,
        }
    }
}
