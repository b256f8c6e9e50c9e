//! Tests of the cache layer itself, as a program that uses it would: on a real
//! Redis, in front of an origin that can be told to be slow, to fail and to panic.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

#[allow(dead_code, reason = "shared with the tests of the whole program")]
mod proxy;
#[allow(dead_code, reason = "shared with the tests of the whole program")]
mod redis_server;
mod world;

mod negative;
mod write_behind;
mod deferred;
mod single_flight;
mod stale;
mod invalidation;
mod leases;
mod near;
mod races;
mod sizes;
mod versions;
