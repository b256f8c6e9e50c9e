//! The steps of a write. [`plain`] awaits a write at the origin, and [`supersede`] then
//! drops older copies; [`written`] is the result. [`ordered`] gives writes their order,
//! so that they can be queued, and [`write_behind`] flushes queued writes to the origin.

#[cfg(feature = "write-behind")]
pub mod ordered;
pub mod plain;
pub mod supersede;
#[cfg(feature = "write-behind")]
pub mod write_behind;
pub mod written;
