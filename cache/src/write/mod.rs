//! A write, step by step: [`paths`] are the orders in which origin and cache are
//! told, [`written`] is what comes of it; [`write_behind`] takes the writes that
//! wait in Redis to the origin.

pub mod paths;
pub mod write_behind;
pub mod written;
