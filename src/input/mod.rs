//! Values that a person sends: what a field accepts, and why a value is
//! rejected. Forms described by data and forms that are structs, a file that is
//! imported and the OpenAPI document all use the same [`Kind`].

mod error;
mod kind;
mod typed;

pub use self::{
    error::FieldError,
    kind::{Kind, Rejection, SEVERAL_MAX},
    typed::{Email, Input, Integer, Line, OnOff, deserialize},
};
