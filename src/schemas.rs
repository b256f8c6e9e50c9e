//! How OpenAPI describes the cache crate's types, which know nothing of OpenAPI.
//! The tests hold each to what serde writes.

use serde::Serialize;
use utoipa::ToSchema;

/// Where the answer to a lookup came from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Redis held it.
    Cache,
    /// The database was asked.
    Database,
    /// This process held it, and nobody else was asked.
    Memory,
    /// A copy past its TTL: the database failed, was slow, or Redis is away.
    Stale,
}

/// Whether calls go out.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They don't; a probe is under way.
    HalfOpen,
    /// They don't.
    Open,
}

/// One command and its reply.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Span {
    /// Who was asked.
    pub target: Target,
    /// The command or statement, arguments shortened.
    pub command: String,
    /// The reply, shortened.
    pub reply: String,
    /// Microseconds from the start of the request to the sending.
    pub start_us: u64,
    /// Microseconds from the sending to the reply, simulated time included.
    pub elapsed_us: u64,
    /// How much of `elapsed_us` was simulated, in microseconds.
    pub simulated_us: u64,
    /// Which round trip this was: commands of one pipeline share a number.
    pub round_trip: usize,
}

/// Who a [`Span`] spoke to.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The Redis server.
    Redis,
    /// The SQL database.
    Database,
    /// The near cache, in this process.
    Memory,
    /// hitrate itself: what it decided, or waited for.
    Hitrate,
}

#[cfg(test)]
mod tests {
    use hitrate_cache::{redis, trace};

    use super::*;

    fn written<T: Serialize>(value: T) -> serde_json::Value {
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
    fn a_source_is_described_as_it_is_written() {
        for source in hitrate_cache::Source::ALL {
            let described = match source {
                hitrate_cache::Source::Cache => Source::Cache,
                hitrate_cache::Source::Database => Source::Database,
                hitrate_cache::Source::Memory => Source::Memory,
                hitrate_cache::Source::Stale => Source::Stale,
            };
            assert_eq!(written(source), written(described));
        }
    }

    #[test]
    fn a_breaker_is_described_as_it_is_written() {
        use redis::BreakerState::{Closed, HalfOpen, Open};
        for state in [Closed, HalfOpen, Open] {
            let described = match state {
                Closed => BreakerState::Closed,
                HalfOpen => BreakerState::HalfOpen,
                Open => BreakerState::Open,
            };
            assert_eq!(written(state), written(described));
        }
    }

    #[test]
    fn a_step_is_described_as_it_is_written() {
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
            let step = trace::Span {
                target: of,
                command,
                reply,
                start_us,
                elapsed_us,
                simulated_us,
                round_trip,
            };
            assert_eq!(written(step), written(described));
        }
    }
}
