//! One module per page: its view model, its handlers, its form. What belongs to
//! one page alone is in that page's folder.
//!
//! A page asks the engine for plain data, puts it in its view model and sends
//! that to the template of its own name, or out as JSON.

pub mod console;
pub mod counter;
pub mod health;
pub mod invalidation;
pub mod key_names;
pub mod openapi;
pub mod patterns;
pub mod product;
pub mod profiles;
pub mod round_trips;
pub mod sessions;
pub mod stampede;
pub mod statics;
pub mod stats;
pub mod strategies;
pub mod structures;

mod panels;
mod policies;
mod sse;
mod visitor;
mod waterfall;
