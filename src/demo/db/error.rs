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
    /// This value can't be kept: a constraint, its type or its size forbids it.
    /// Others may well be.
    #[error("the database does not accept this value")]
    Unfit,
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
            // TOOBIG, CONSTRAINT, MISMATCH, RANGE: the only ones about a value.
            18 | 19 | 20 | 25 => Self::Unfit,
            _ => Self::Other(code.unwrap_or("no code").to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_value_can_cause_is_about_the_value() {
        for code in ["18", "19", "20", "25", "275", "1299", "3091"] {
            assert_eq!(Error::from_code(Some(code)), Error::Unfit, "{code}");
        }
        for code in ["1", "7", "9", "12", "15", "17", "21", "nonsense"] {
            assert_eq!(Error::from_code(Some(code)), Error::Other(code.to_owned()), "{code}");
        }
    }
}
