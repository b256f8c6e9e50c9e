//! What the labs share.

pub mod fields;
pub mod results;
pub mod run_lock;
pub mod timeline;
pub mod visitor_keys;
