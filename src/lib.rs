//! hitrate: a workbench where a person sees, measures and chooses a Redis
//! caching design.
//!
//! A request travels one way, and each step knows only the steps below it:
//!
//! ```text
//! routes -> pages -> profiles, products -> cache -> store -> Redis
//!                 \-> counter, session, stats ---/
//!                  \-> db -> SQLite
//! ```
//!
//! What comes back up is plain data; `pages` turns it into a view model, and
//! that is shown by the template of the same name, or as JSON.

// Ground: what hitrate is told and what it talks about. No IO.
pub mod assets;
pub mod broken;
pub mod clock;
pub mod config;
pub mod field;
pub mod figures;
pub mod kept;
pub mod lately;
pub mod metrics;
pub mod model;
pub mod mood;
pub mod nav;
pub mod story;
pub mod token;
pub mod turns;
pub mod wire;

// Every key in Redis, typed.
pub mod keys;

// The two doors: Redis and the database.
pub mod db;
pub mod store;

// The engine: everything worth seeing. No HTTP and no HTML.
pub mod cache;
pub mod console;
pub mod counter;
pub mod demo;
pub mod invalidation;
pub mod key_names;
pub mod patterns;
pub mod products;
pub mod profiles;
pub mod round_trips;
pub mod session;
pub mod stampede;
pub mod stats;
pub mod strategies;
pub mod structures;

// The web: what a browser sees.
#[cfg(feature = "web")]
pub mod app;
#[cfg(feature = "web")]
pub mod html;
#[cfg(feature = "web")]
pub mod input;

#[cfg(feature = "web")]
pub mod error;

#[cfg(feature = "web")]
pub mod pages;

#[cfg(feature = "web")]
pub mod guard;
#[cfg(feature = "web")]
pub mod routes;

// The program: how it starts and ends.
#[cfg(feature = "web")]
pub mod server;

#[cfg(feature = "web")]
pub mod cli;
