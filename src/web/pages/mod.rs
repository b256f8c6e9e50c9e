//! One module per page: its view model, handlers and form. Modules that only one page
//! uses are in its folder.
//!
//! A handler puts plain data from the layers below into the view model, which is
//! rendered by the template of the same name or serialized as JSON.

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
