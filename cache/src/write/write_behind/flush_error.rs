//! Errors of a flush, and how they are reported.

use std::fmt;

use crate::{condition::Condition, redis::RedisError};

/// Why a flush ended early.
pub enum FlushError {
    /// The sink failed.
    Sink(String),
    /// Redis failed in this step.
    Redis(FlushStep, RedisError),
}

/// A step of the flusher in Redis.
#[derive(Debug, Clone, Copy)]
pub enum FlushStep {
    /// Counting queued writes.
    Count,
    /// Reading new entries.
    Read,
    /// Claiming abandoned entries.
    TakeOver,
    /// Removing idle consumers.
    Sweep,
    /// Turning pending copies into ordinary ones.
    Settle,
    /// Removing flushed writes from the stream.
    Acknowledge,
    /// Moving a rejected write to the dead-letter stream.
    DeadLetter,
}

impl FlushStep {
    /// The command, for the log.
    fn command(self) -> &'static str {
        match self {
            Self::Count => "XLEN",
            Self::Read => "XREADGROUP",
            Self::TakeOver => "XPENDING or XCLAIM",
            Self::Sweep => "XINFO or XGROUP",
            Self::Settle => "EVALSHA",
            Self::Acknowledge => "XACK or XDEL",
            Self::DeadLetter => "XADD",
        }
    }

    /// Wraps an error of this step.
    pub fn error(self) -> impl Fn(RedisError) -> FlushError {
        move |error| FlushError::Redis(self, error)
    }
}

impl FlushError {
    /// Whether the connection failed: then [`HealthMonitor`](crate::redis::HealthMonitor) reports
    /// it, once for everything that uses it.
    fn is_connection_error(&self) -> bool {
        matches!(self, Self::Redis(_, error) if error.is_about_the_connection())
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sink(message) => f.write_str(message),
            Self::Redis(step, error) => write!(f, "{}: {error}", step.command()),
        }
    }
}

/// Updates the condition, which is logged once per change and shown on the panel. A
/// connection error says nothing about write-behind, so it changes nothing.
pub fn report(condition: &Condition<String>, outcome: &Result<(), FlushError>) {
    match outcome {
        Ok(()) => condition.recovered(),
        Err(error) if error.is_connection_error() => log::debug!("write-behind: {error}"),
        Err(error) => condition.failing(&error.to_string()),
    }
}
