//! Tests that speak to the running program as its users do: over HTTP, on the
//! command line and in a browser. One module per page, then one per concern.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

mod fields;
mod harness;
mod proxy;

mod console;
mod counter;
mod edits;
mod health;
mod heard;
mod html;
mod invalidation;
mod key_names;
mod openapi;
mod patterns;
mod product;
mod profiles;
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
mod containers;
mod database_faults;
mod faults;
mod history;
mod nav;
mod recipes;
mod safety;
mod secured;
mod socket_faults;
mod start;
mod tidy;
