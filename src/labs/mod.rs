//! Interactive experiments: measurements, and Redis data types and commands on keys of
//! the visitor's own.

pub mod support;

pub mod console;
pub mod key_names;
pub mod patterns;
pub mod round_trips;
pub mod stampede;
pub mod strategies;
pub mod structures;
