//! Tests that speak to the running program as its users do: over HTTP, on the
//! command line and in a browser, with real servers behind it. One module per
//! page, then one per concern.
//!
//! `proxy` is a network that delays, cuts, swallows and lies. `history` runs two
//! processes under random faults, records every operation and judges it: no
//! acknowledged write lost, nothing older read than was promised, the counter
//! exact. Each run has a seed of its own, `HITRATE_SEED` another one; `bin/soak`
//! tries ever new ones for as long as you like,
//! and deliberate faults (`failpoints`, in debug builds only) show that it would
//! find one. `imports`, `styles` and `tidy` hold the shape of the source.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

mod fields;
mod forms;
mod harness;
#[path = "../../cache/tests/cache/proxy.rs"]
mod proxy;
#[path = "../../cache/tests/cache/redis_server.rs"]
mod redis_server;
#[path = "../../cache/tests/cache/seed.rs"]
mod seed;
mod sources;

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
