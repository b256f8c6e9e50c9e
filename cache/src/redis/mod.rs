//! The Redis client: the only module that sends commands to Redis.
//!
//! Each worker thread has one multiplexed connection: requests share no lock and no
//! pool, and the driver runs on the thread that waits for it. [`supervisor`] keeps
//! the connection up; redis-rs's `ConnectionManager` would make a request wait for
//! the reconnect, and does not reconnect after a timeout. redis-rs carries every
//! command; this module adds what it lacks: a supervisor, deadlines, a circuit
//! breaker, deferred invalidations, and Redis's clock.

mod address;
mod batch;
mod breaker;
mod client;
mod clock;
mod command;
mod connection;
mod dedicated;
mod deferred;
mod delay_proxy;
mod error;
mod health;
mod info;
mod key;
mod memory;
mod notation;
mod reply;
mod script;
mod subscription;
mod supervisor;
mod tracking;

pub use redis::{FromRedisValue, Value};

pub use self::{
    address::{Address, BadAddress},
    breaker::BreakerState,
    client::{Client, DeferError},
    command::Command,
    dedicated::{BlockingConnection, DedicatedConnection, PipelineReplies},
    error::RedisError,
    health::{HealthMonitor, RedisStatus},
    info::{KeyCount, ServerInfo},
    key::Key,
    notation::Notation,
    reply::{Refusal, typed},
    script::Script,
    subscription::Subscription,
    tracking::{InvalidationListener, track},
};
