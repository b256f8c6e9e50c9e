//! The one door to Redis: commands go out here, replies and errors come back.
//!
//! Each worker thread has one multiplexed connection: no lock and no pool stands
//! between requests, and the driver runs on the thread that waits for it. [`supervisor`]
//! keeps it connected; redis-rs's `ConnectionManager` would make a request wait for
//! the reconnect, and does not reconnect after a timeout. redis-rs carries every
//! command; what is ours is what it does not offer: a supervisor, deadlines, a
//! breaker, deferred invalidations, and Redis's clock.

mod address;
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
    client::{DeferError, Store},
    command::Command,
    dedicated::{BlockingConnection, DedicatedConnection, PipelineReplies},
    error::RedisError,
    health::{Health, HealthStatus},
    info::{KeyCount, ServerInfo},
    notation::Notation,
    reply::{Refusal, typed},
    script::Script,
    subscription::Subscription,
    tracking::{InvalidationListener, track},
};
