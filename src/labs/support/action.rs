//! Actions that a visitor can perform in a lab. One description drives the HTML form,
//! validation and the JSON output.
//!
//! Structures and patterns have a list of actions, each with fields of its own. A lab with
//! the same fields for every action (strategies, stampede, round trips) has a form struct
//! with `Deserialize` instead: its fields have types, and OpenAPI describes them.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        schema::{AdditionalProperties, Schema, Type},
    },
};

use super::fields::Field;
use crate::input::FieldErrors;

/// An action. `R` is its implementation.
#[derive(Debug, Clone, Copy)]
pub struct Action<R: 'static> {
    /// The value of the form field `act`.
    pub id: &'static str,
    /// The label of its button.
    pub label: &'static str,
    /// A description of one or two sentences.
    pub about: &'static str,
    /// Its form fields.
    pub fields: &'static [Field],
    /// Its implementation.
    pub run: R,
}

/// The values of an action's fields, by field name.
pub type Values = BTreeMap<&'static str, Vec<String>>;

/// The schema of a form with actions: `act`, and the fields of that action.
pub struct ActionForm;

/// An action without label, description or fields.
pub const fn button<R>(id: &'static str, run: R) -> Action<R> {
    Action { id, label: "", about: "", fields: &[], run }
}

impl<R> Action<R> {
    /// Replaces the implementation.
    pub fn with<S>(&self, run: S) -> Action<S> {
        let Self { id, label, about, fields, .. } = *self;
        Action { id, label, about, fields, run }
    }

    /// Reads the values of the fields. A field that was not sent has its default.
    pub fn values<'a>(
        &self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Values, FieldErrors> {
        FieldErrors::collect(
            self.fields.iter().map(|field| {
                Ok((field.name, field.read(given(field.name).unwrap_or(field.default))?))
            }),
        )
    }
}

impl PartialSchema for ActionForm {
    fn schema() -> RefOr<Schema> {
        let act = ObjectBuilder::new().schema_type(Type::String);
        let others = AdditionalProperties::FreeForm(true);
        let form = ObjectBuilder::new().property("act", act).required("act");
        Schema::from(form.additional_properties(Some(others))).into()
    }
}

impl ToSchema for ActionForm {}
