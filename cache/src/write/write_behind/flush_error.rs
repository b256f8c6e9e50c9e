//! Why a flush ended early, and who is told.

use std::fmt;

use crate::{condition::Condition, redis::RedisError};

/// Why a round ended early.
pub enum FlushError {
    /// At the sink.
    At(String),
    /// At Redis, in this step.
    Redis(FlushStep, RedisError),
}

/// What the flusher asks of Redis, named after its command.
#[derive(Debug, Clone, Copy)]
pub enum FlushStep {
    /// Counting what waits.
    Count,
    /// Reading new entries.
    Read,
    /// Taking over abandoned ones.
    TakeOver,
    /// Removing consumers who are gone.
    ScanProgress,
    /// Turning pending copies into ordinary ones.
    Settle,
    /// Taking written ones off the stream.
    Acknowledge,
    /// Moving a rejected one to the second stream.
    SetAside,
}

impl FlushStep {
    /// Its command, for whoever reads the log.
    fn command(self) -> &'static str {
        match self {
            Self::Count => "XLEN",
            Self::Read => "XREADGROUP",
            Self::TakeOver => "XPENDING or XCLAIM",
            Self::ScanProgress => "XINFO or XGROUP",
            Self::Settle => "EVALSHA",
            Self::Acknowledge => "XACK or XDEL",
            Self::SetAside => "XADD",
        }
    }

    /// Turns Redis's error with this step into the end of the round.
    pub fn stuck(self) -> impl Fn(RedisError) -> FlushError {
        move |error| FlushError::Redis(self, error)
    }
}

impl FlushError {
    /// Whether the connection is the cause: then its own health tells it, once
    /// for everything that uses it.
    fn is_told_elsewhere(&self) -> bool {
        matches!(self, Self::Redis(_, error) if error.is_about_the_connection())
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(what) => f.write_str(what),
            Self::Redis(step, error) => write!(f, "{error} to {}", step.command()),
        }
    }
}

/// Told in the log once per change, and on the panel; what the connection
/// tells itself is neither good nor bad news here.
pub fn note(condition: &Condition<String>, outcome: &Result<(), FlushError>) {
    match outcome {
        Ok(()) => condition.recovered(),
        Err(error) if error.is_told_elsewhere() => log::debug!("write-behind: {error}"),
        Err(error) => condition.failing(&error.to_string()),
    }
}
