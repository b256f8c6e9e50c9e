//! A lookup, step by step: [`probe`] looks for a copy, in this process and then in
//! Redis; [`load`] gets the value from its origin, one load at a time for all who
//! ask ([`single_flight`] in this process, [`lease`] among processes), in its turn
//! ([`bulkhead`]), again after a passing fault ([`retry`]); [`xfetch`] decides on
//! early reloads. [`read`] puts the steps in order, [`lookup`] is what comes of it.

pub mod bulkhead;
pub mod lease;
pub mod load;
pub mod load_outcome;
pub mod lookup;
pub mod probe;
pub mod read;
pub mod retry;
pub mod single_flight;
pub mod xfetch;
