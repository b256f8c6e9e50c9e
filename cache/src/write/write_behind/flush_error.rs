//! Why a flush ended early, and who is told.

use std::fmt;

use crate::{condition::Condition, redis::RedisError};

/// Why a round ended early.
pub enum FlushError {
    /// At the sink.
    Sink(String),
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
    Sweep,
    /// Turning pending copies into ordinary ones.
    Settle,
    /// Taking written ones off the stream.
    Acknowledge,
    /// Moving a rejected one to the second stream.
    DeadLetter,
}

impl FlushStep {
    /// Its command, for whoever reads the log.
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

    /// Turns Redis's error with this step into the end of the round.
    pub fn error(self) -> impl Fn(RedisError) -> FlushError {
        move |error| FlushError::Redis(self, error)
    }
}

impl FlushError {
    /// Whether the connection is the cause: then its own health tells it, once
    /// for everything that uses it.
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

/// Told in the log once per change, and on the panel; what the connection
/// tells itself is neither good nor bad news here.
pub fn report(condition: &Condition<String>, outcome: &Result<(), FlushError>) {
    match outcome {
        Ok(()) => condition.recovered(),
        Err(error) if error.is_connection_error() => log::debug!("write-behind: {error}"),
        Err(error) => condition.failing(&error.to_string()),
    }
}
