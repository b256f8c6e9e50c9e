//! What operators see: the panels' numbers, the metrics, and the Redis that
//! hitrate starts itself.

pub mod managed_redis;
pub mod metrics;
pub mod stats;
