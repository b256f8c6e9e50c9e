//! The steps of a lookup. [`probe`] looks for a copy, in this process and then in
//! Redis. [`load`] loads the value from its origin: one load at a time
//! ([`single_flight`] within this process, [`lease`] among processes), limited by
//! the [`bulkhead`], with a [`retry`] after a transient error. [`xfetch`] decides
//! on early refreshes, and [`stale`] keeps copies for when the origin fails. [`fill`] stores
//! what was loaded. [`read`] combines the steps, and [`lookup`] is the result.

pub mod bulkhead;
pub mod fill;
pub mod lease;
pub mod load;
pub mod load_outcome;
pub mod lookup;
pub mod probe;
pub mod read;
pub mod retry;
pub mod single_flight;
pub mod stale;
pub mod xfetch;
