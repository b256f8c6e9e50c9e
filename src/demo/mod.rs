//! The demo application that uses the cache: a counter, profiles, products and
//! sessions, and the database behind them.

pub mod keys;
pub mod model;

pub mod db;

pub mod counter;
pub mod invalidation;
pub mod products;
pub mod profiles;
pub mod sessions;
