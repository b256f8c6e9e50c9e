//! Tests of the cache crate as a program would use it: on a real Redis, in front of
//! an origin that can be slow, fail and panic.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

mod cell;
#[allow(dead_code, reason = "shared with the tests of the whole program")]
mod proxy;
#[allow(dead_code, reason = "shared with the tests of the whole program")]
mod seed;
#[allow(dead_code, reason = "shared with the tests of the whole program")]
mod timing;
mod world;

mod by_time;
mod cancellation;
mod codecs;
mod connections;
mod costs;
mod deferred;
mod expiry;
mod in_memory;
mod inspection;
mod invalidation;
mod keys;
mod leases;
mod loaders;
mod logs;
mod near;
mod negative;
mod off;
mod panics;
mod permissions;
mod races;
mod single_flight;
mod sizes;
mod stale;
mod tags;
mod test_redis;
mod versions;
mod write_behind;
