//! Input validation: the values that a field accepts, and the reasons for rejecting
//! others. HTML forms, form structs, imported files and the OpenAPI document share the
//! same [`Kind`].

mod error;
mod kind;
mod typed;

pub use self::{
    error::{FieldError, FieldErrors},
    kind::{Kind, LIST_MAX, Rejection},
    typed::{Email, Input, Integer, Line, OnOff, deserialize},
};
