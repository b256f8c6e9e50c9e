//! Tests of the running program, as its users see it: over HTTP, on the command line
//! and in a browser, with real servers. One module per page, then one per concern.
//!
//! `proxy` is a network that delays, cuts and drops data. `history` runs two processes
//! under random faults, records every operation and checks the results: no acknowledged
//! write is lost, no read is older than guaranteed, and the counter is exact. Every run
//! has a seed; `HITRATE_SEED` sets another one, and `bin/soak` runs successive seeds for
//! as long as requested. Deliberate bugs (`failpoints`, in debug builds only) show that
//! the checker finds violations. `imports`, `styles` and `tidy` test the structure of the
//! source.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

mod fields;
mod forms;
mod harness;
#[path = "../../cache/tests/cache/proxy.rs"]
mod proxy;
#[path = "../../cache/tests/cache/seed.rs"]
mod seed;
mod sources;
#[path = "../../cache/tests/cache/timing.rs"]
mod timing;

mod console;
mod counter;
mod edits;
mod health;
mod html;
mod invalidation;
mod key_names;
mod openapi;
mod patterns;
mod product;
mod profiles;
mod pubsub_live;
mod round_trips;
mod sessions;
mod stampede;
mod statics;
mod stats;
mod strategies;
mod structures;

mod bad_input;
mod browser;
mod command_line;
mod compression;
mod containers;
mod database_faults;
mod faults;
mod history;
mod imports;
mod nav;
mod policies;
mod safety;
mod schemas;
mod secured;
mod socket_faults;
mod start;
mod styles;
mod tidy;
