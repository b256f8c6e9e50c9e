//! What can be wrong with Redis, in words a visitor understands.

use std::io;

use redis::{ErrorKind, RedisError as DriverError, ServerErrorKind};

/// Why a command has no usable reply. The texts show no address, no key and
/// none of Redis's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// Nothing listens there. The command was not sent.
    #[error("Redis can't be reached")]
    Unreachable,
    /// The connection broke under the command, which may have run.
    #[error("Redis went away before it answered")]
    ConnectionLost,
    /// Past the deadline. The command may still run later.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// The command was not sent, as others had waited in vain.
    #[error("Redis was not asked, as it did not answer a moment ago")]
    ShortCircuited,
    /// LOADING, BUSY or MASTERDOWN: there, but not ready.
    #[error("Redis is up but not ready yet")]
    NotReady,
    /// WRONGPASS, NOAUTH or NOPERM.
    #[error("Redis refuses hitrate's password or rights")]
    Denied,
    /// OOM: `maxmemory` is reached and the policy evicts nothing.
    #[error("Redis is full and takes no writes")]
    Full,
    /// READONLY or NOREPLICAS: this server takes no writes.
    #[error("Redis is read-only")]
    ReadOnly,
    /// MISCONF: it can't save to its disk.
    #[error("Redis can't write to its disk and takes no writes")]
    Disk,
    /// The key holds a copy that is known to be old, and it can't be removed yet.
    #[error("Redis holds an older copy that can't be removed yet")]
    Outdated,
    /// What is counted up is no number, or below zero.
    #[error("its key in Redis holds no count")]
    NoCount,
    /// WRONGTYPE: another kind of value is at the key.
    #[error("the key holds another type of value")]
    WrongType,
    /// Any other reply that is not what the command answers.
    #[error("Redis gave an unexpected reply ({0})")]
    Other(String),
}

impl RedisError {
    /// Whether it is about writing only: reads still work.
    pub fn is_refused_write(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly | Self::Disk)
    }

    /// Whether Redis refuses as a matter of its state, not of this one key.
    pub fn is_refusal(&self) -> bool {
        self.is_refused_write() || matches!(self, Self::Denied)
    }

    /// Whether the connection itself is in doubt.
    pub fn is_about_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::ConnectionLost | Self::TimedOut | Self::ShortCircuited
        )
    }

    /// Whether there is no connection, or none any more.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Unreachable | Self::ConnectionLost)
    }

    /// Whether the command may have run all the same.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::ConnectionLost | Self::TimedOut)
    }

    /// The same where no command of the caller's was sent yet.
    pub fn before_send(self) -> Self {
        if self == Self::ConnectionLost { Self::Unreachable } else { self }
    }

    /// What this is to a command that is not sent because of it.
    pub fn for_unsent(&self) -> Self {
        match self {
            Self::ConnectionLost => Self::Unreachable,
            Self::TimedOut => Self::ShortCircuited,
            other => other.clone(),
        }
    }
}

impl From<&DriverError> for RedisError {
    fn from(error: &DriverError) -> Self {
        match error.kind() {
            ErrorKind::Io if error.is_timeout() => Self::TimedOut,
            ErrorKind::Io => Self::ConnectionLost,
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::Server(kind) => Self::from_kind(kind, error.code()),
            // What can't be read as a reply has no end that could be found.
            ErrorKind::Parse => Self::ConnectionLost,
            // The library's own words for a database that it may not choose.
            _ if error.detail().is_some_and(is_denial) => Self::Denied,
            _ => Self::from_code(error.code()),
        }
    }
}

fn is_denial(detail: &str) -> bool {
    detail.contains("Authentication required") || detail.contains("no permissions")
}

impl From<io::Error> for RedisError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::ConnectionLost,
        }
    }
}

impl RedisError {
    fn from_kind(kind: ServerErrorKind, code: Option<&str>) -> Self {
        match kind {
            ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown => Self::NotReady,
            ServerErrorKind::ReadOnly => Self::ReadOnly,
            ServerErrorKind::NoPerm => Self::Denied,
            _ => Self::from_code(code),
        }
    }

    /// From the first word of an error reply (redis.io/docs: "RESP simple errors").
    pub fn from_code(code: Option<&str>) -> Self {
        match code.unwrap_or("ERR") {
            "WRONGTYPE" => Self::WrongType,
            "OOM" => Self::Full,
            "READONLY" | "NOREPLICAS" => Self::ReadOnly,
            "MISCONF" => Self::Disk,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Denied,
            "LOADING" | "BUSY" | "MASTERDOWN" => Self::NotReady,
            other => Self::Other(other.chars().take(24).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsent_command_is_not_ambiguous() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(RedisError::from(refused).is_ambiguous(), "it may have been in the middle");
        for error in [
            RedisError::Unreachable,
            RedisError::ConnectionLost,
            RedisError::TimedOut,
            RedisError::ShortCircuited,
        ] {
            let next = error.for_unsent();
            assert!(!next.is_ambiguous() && next.is_about_the_connection(), "{next}");
            assert_eq!(next.for_unsent(), next);
        }
        assert_eq!(RedisError::ConnectionLost.before_send(), RedisError::Unreachable);
        assert_eq!(RedisError::Full.for_unsent(), RedisError::Full);
    }
}
