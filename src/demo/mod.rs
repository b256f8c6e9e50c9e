//! The demo application that uses the cache: a counter, profiles, products and
//! sessions, and the database behind them.

/// The name of the cache in the header `Cache-Status`.
pub const CACHE_NAME: &str = "hitrate";

pub mod keys;
pub mod load_error;
pub mod model;
pub mod policy;
pub mod strategy;

pub mod db;

pub mod counter;
pub mod invalidation;
pub mod products;
pub mod profiles;
pub mod sessions;
