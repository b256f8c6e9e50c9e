//! Errors of Redis, in words a visitor understands.

use std::io;

use redis::{ErrorKind, RedisError as DriverError, ServerErrorKind};

/// Why a command has no usable reply. The texts contain no address, no key and no
/// text from Redis, except an error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// No connection could be made. The command was not sent.
    #[error("Redis can't be reached")]
    Unreachable,
    /// The connection broke while the command was in flight; it may have run.
    #[error("Redis disconnected before replying")]
    ConnectionLost,
    /// The deadline passed. The command may still run later.
    #[error("Redis did not reply in time")]
    TimedOut,
    /// The circuit breaker is open, as earlier commands timed out. The command was
    /// not sent.
    #[error("Redis is not responding")]
    ShortCircuited,
    /// LOADING, BUSY or MASTERDOWN: running, but not ready.
    #[error("Redis is running but not ready yet")]
    NotReady,
    /// WRONGPASS, NOAUTH or NOPERM: wrong credentials, or missing permissions.
    #[error("Redis denied access: check the password and the ACL rules")]
    Denied,
    /// OOM: `maxmemory` is reached and the policy evicts nothing.
    #[error("Redis has reached maxmemory and rejects writes")]
    Full,
    /// READONLY or NOREPLICAS: this server accepts no writes.
    #[error("Redis is read-only")]
    ReadOnly,
    /// MISCONF: Redis can't save to disk.
    #[error("Redis can't save to disk and rejects writes")]
    Disk,
    /// The copy in Redis may be outdated: its invalidation is deferred.
    #[error("Redis holds an outdated copy that can't be invalidated yet")]
    Outdated,
    /// The counter's value is not a number, or is negative.
    #[error("its key in Redis does not hold a number")]
    NoCount,
    /// WRONGTYPE: the key holds another type.
    #[error("the key holds a value of another type")]
    WrongType,
    /// Any other unexpected reply, with its error code.
    #[error("Redis sent an unexpected reply ({0})")]
    Other(String),
}

impl RedisError {
    /// Whether only writes are affected: reads still work.
    pub fn is_refused_write(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly | Self::Disk)
    }

    /// Whether the cause is Redis's state rather than this key.
    pub fn is_refusal(&self) -> bool {
        self.is_refused_write() || matches!(self, Self::Denied)
    }

    /// Whether the connection itself failed.
    pub fn is_about_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::ConnectionLost | Self::TimedOut | Self::ShortCircuited
        )
    }

    /// Whether there is no connection, or no longer one.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Unreachable | Self::ConnectionLost)
    }

    /// Whether the command may nevertheless have run.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::ConnectionLost | Self::TimedOut)
    }

    /// The error to report if no command was sent yet.
    pub fn before_send(self) -> Self {
        if self == Self::ConnectionLost { Self::Unreachable } else { self }
    }

    /// The error to report for a command that is not sent because of this one.
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
            // After a reply that can't be parsed, the start of the next one is
            // unknown.
            ErrorKind::Parse => Self::ConnectionLost,
            // redis-rs's text when selecting the database is denied.
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

    /// Maps the first word of an error reply (redis.io/docs: "RESP simple errors").
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
        assert!(RedisError::from(refused).is_ambiguous(), "the command may have been in flight");
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
