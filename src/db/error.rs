//! What can be wrong with the database, in words a visitor understands.

/// Why a statement has no result. The texts show no path and no SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process or connection holds the lock.
    #[error("the database is locked by another program")]
    Locked,
    /// Past the deadline, or no connection was free in time.
    #[error("the database did not answer in time")]
    Slow,
    /// The file, its directory or its file system takes no writes.
    #[error("the database is read-only")]
    ReadOnly,
    /// No space left.
    #[error("the database's disk is full")]
    Full,
    /// The file can't be opened or read.
    #[error("the database file can't be used")]
    Broken,
    /// Anything else, by its code.
    #[error("the database failed ({0})")]
    Other(String),
    /// At the start: the file or its tables can't be prepared.
    #[error("DATABASE_URL can't be used: {0}")]
    Unusable(String),
    /// At the start: no URL of a SQLite file.
    #[error("DATABASE_URL must name a SQLite file, as in sqlite://var/hitrate.db")]
    Unsupported,
}

impl From<&sqlx::Error> for Error {
    fn from(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Slow,
            sqlx::Error::Database(error) => Self::from_code(error.code().as_deref()),
            sqlx::Error::Io(_) => Self::Broken,
            other => {
                log::debug!("database: {other}");
                Self::Other("no code".to_owned())
            }
        }
    }
}

impl Error {
    /// From SQLite's result code, extended or not (sqlite.org/rescode.html).
    fn from_code(code: Option<&str>) -> Self {
        let number: u32 = code.and_then(|code| code.parse().ok()).unwrap_or_default();
        match number & 0xff {
            5 | 6 => Self::Locked,
            8 => Self::ReadOnly,
            13 => Self::Full,
            10 | 11 | 14 | 26 => Self::Broken,
            _ => Self::Other(code.unwrap_or("no code").to_owned()),
        }
    }
}
