//! OpenAPI schemas of the cache crate's types; that crate does not depend on utoipa.
//! Tests compare each schema with the JSON that serde writes.

use serde::Serialize;
use utoipa::ToSchema;

/// Source of the answer to a lookup.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Redis.
    Cache,
    /// The database.
    Database,
    /// The near cache in this process.
    Memory,
    /// A copy past its TTL: the database failed or was slow, or Redis is unreachable.
    Stale,
}

/// State of the circuit breaker of Redis.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Commands are sent.
    Closed,
    /// Commands are not sent while a probe is in progress.
    HalfOpen,
    /// Commands are not sent.
    Open,
}

/// One command or statement of a trace, and its reply.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Span {
    /// The system that received the command.
    pub target: Target,
    /// The command or statement, with long arguments shortened.
    pub command: String,
    /// The reply, shortened.
    pub reply: String,
    /// Microseconds from the start of the request until the command was sent.
    pub start_us: u64,
    /// Microseconds from sending to reply, including simulated time.
    pub elapsed_us: u64,
    /// Simulated part of `elapsed_us`, in microseconds.
    pub simulated_us: u64,
    /// Number of the round trip; commands of one pipeline share it.
    pub round_trip: usize,
}

/// Target of a [`Span`].
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The Redis server.
    Redis,
    /// The SQL database.
    Database,
    /// The near cache, in this process.
    Memory,
    /// hitrate itself: a decision, or time spent waiting.
    Hitrate,
}

#[cfg(test)]
mod tests {
    use hitrate_cache::{redis, trace};

    use super::*;

    fn json<T: Serialize>(value: T) -> serde_json::Value {
        serde_json::to_value(value).unwrap()
    }

    fn target(of: trace::Target) -> Target {
        match of {
            trace::Target::Redis => Target::Redis,
            trace::Target::Database => Target::Database,
            trace::Target::Memory => Target::Memory,
            trace::Target::Hitrate => Target::Hitrate,
        }
    }

    #[test]
    fn the_schema_of_a_source_matches_its_json() {
        for source in hitrate_cache::Source::ALL {
            let described = match source {
                hitrate_cache::Source::Cache => Source::Cache,
                hitrate_cache::Source::Database => Source::Database,
                hitrate_cache::Source::Memory => Source::Memory,
                hitrate_cache::Source::Stale => Source::Stale,
            };
            assert_eq!(json(source), json(described));
        }
    }

    #[test]
    fn the_schema_of_a_breaker_state_matches_its_json() {
        use redis::BreakerState::{Closed, HalfOpen, Open};
        for state in [Closed, HalfOpen, Open] {
            let described = match state {
                Closed => BreakerState::Closed,
                HalfOpen => BreakerState::HalfOpen,
                Open => BreakerState::Open,
            };
            assert_eq!(json(state), json(described));
        }
    }

    #[test]
    fn the_schema_of_a_span_matches_its_json() {
        use trace::Target::{Database, Hitrate, Memory, Redis};
        for of in [Redis, Database, Memory, Hitrate] {
            let (command, reply) = ("GET a".to_owned(), "1".to_owned());
            let (start_us, elapsed_us, simulated_us, round_trip) = (1, 2, 3, 4);
            let described = Span {
                target: target(of),
                command: command.clone(),
                reply: reply.clone(),
                start_us,
                elapsed_us,
                simulated_us,
                round_trip,
            };
            let span = trace::Span {
                target: of,
                command,
                reply,
                start_us,
                elapsed_us,
                simulated_us,
                round_trip,
            };
            assert_eq!(json(span), json(described));
        }
    }
}
