//! What the labs share.

pub mod action;
pub mod claims;
pub mod fields;
pub mod result_store;
pub mod run_lock;
pub mod timeline;
pub mod visitor_keys;
