//! One module per page: its view model, its handlers, its form.
//!
//! A page asks the engine for plain data, puts it in its view model and sends
//! that to the template of its own name, or out as JSON.

pub mod console;
pub mod counter;
pub mod edits;
pub mod health;
pub mod heard;
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

mod as_json;
mod asked;
mod bars;
mod card;
mod done;
mod lanes;
mod listener;
mod lookup_form;
mod panels;
mod pictures;
mod recent;
mod recipes;
mod sequence;
mod sse;
mod structure;
mod visitor;
mod waterfall;
