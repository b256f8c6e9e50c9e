//! Types shared by the labs.

pub mod action;
pub mod claims;
pub mod fields;
pub mod result_store;
pub mod run_lock;
pub mod timeline;
pub mod visitor_keys;
