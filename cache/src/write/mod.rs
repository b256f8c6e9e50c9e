//! The steps of a write. [`paths`] holds the write paths, [`written`] the result,
//! and [`write_behind`] flushes queued writes to the origin.

pub mod paths;
pub mod write_behind;
pub mod written;
