//! A write, step by step: [`paths`] are the orders in which origin and cache are
//! told, [`write_behind`] takes the writes that wait in Redis to the origin.

pub mod paths;
pub mod write_behind;
