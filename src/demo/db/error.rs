//! Database errors, with messages for visitors.

/// Error of a statement. Messages contain neither paths nor SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// Another process or connection holds the lock.
    #[error("the database is locked by another program")]
    Locked,
    /// The deadline passed, or no connection became free in time.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The file, its directory or its file system is read-only.
    #[error("the database is read-only")]
    ReadOnly,
    /// No space is left on the disk.
    #[error("the database's disk is full")]
    Full,
    /// The file can't be opened or read.
    #[error("the database file can't be used")]
    Unreadable,
    /// A constraint, the type or the size forbids this value; other values may be
    /// accepted.
    #[error("the database does not accept this value")]
    ValueRejected,
    /// Any other error, by its code.
    #[error("the database failed ({0})")]
    Other(String),
    /// At start: the file can't be opened or migrated.
    #[error("DATABASE_URL can't be used: {0}")]
    Unusable(String),
    /// At start: the URL does not name a SQLite file.
    #[error("DATABASE_URL must name a SQLite file, as in sqlite://var/hitrate.db")]
    Unsupported,
}

impl From<&sqlx::Error> for DbError {
    fn from(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::TimedOut,
            sqlx::Error::Database(error) => Self::from_code(error.code().as_deref()),
            sqlx::Error::Io(_) => Self::Unreadable,
            other => {
                log::debug!("database: {other}");
                Self::Other("no code".to_owned())
            }
        }
    }
}

impl DbError {
    /// Converts a SQLite result code, primary or extended (sqlite.org/rescode.html).
    fn from_code(code: Option<&str>) -> Self {
        let number: u32 = code.and_then(|code| code.parse().ok()).unwrap_or_default();
        match number & 0xff {
            5 | 6 => Self::Locked,
            8 => Self::ReadOnly,
            13 => Self::Full,
            10 | 11 | 14 | 26 => Self::Unreadable,
            // TOOBIG, CONSTRAINT, MISMATCH and RANGE: the codes that depend on the value.
            18 | 19 | 20 | 25 => Self::ValueRejected,
            _ => Self::Other(code.unwrap_or("no code").to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_depend_on_the_value_reject_it() {
        for code in ["18", "19", "20", "25", "275", "1299", "3091"] {
            assert_eq!(DbError::from_code(Some(code)), DbError::ValueRejected, "{code}");
        }
        for code in ["1", "7", "9", "12", "15", "17", "21", "nonsense"] {
            assert_eq!(DbError::from_code(Some(code)), DbError::Other(code.to_owned()), "{code}");
        }
    }
}
