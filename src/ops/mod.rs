//! Operations: metrics, the samples shown on the panels, and the managed Redis.

pub mod managed_redis;
pub mod metrics;
pub mod sampler;
pub mod stats;
