//! Actions: what a visitor can do in a lab, described once for the form, the
//! check and a program.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        schema::{AdditionalProperties, Schema, Type},
    },
};

use super::fields::Field;
use crate::input::FieldError;

/// Something to do. `R` is how it is done.
#[derive(Debug, Clone, Copy)]
pub struct Action<R: 'static> {
    /// The word that is sent as `act`.
    pub id: &'static str,
    /// The text of its button.
    pub label: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// What it needs to know.
    pub fields: &'static [Field],
    /// How it is done.
    pub run: R,
}

/// What a visitor put into the fields of an action, by their names.
pub type Values = BTreeMap<&'static str, Vec<String>>;

/// A form that is described by actions: `act`, and the fields of that action.
pub struct ActionForm;

/// An action that is a button of its own, not described any further.
pub const fn button<R>(id: &'static str, run: R) -> Action<R> {
    Action { id, label: "", about: "", fields: &[], run }
}

impl<R> Action<R> {
    /// The same action, done in another way.
    pub fn with<S>(&self, run: S) -> Action<S> {
        let Self { id, label, about, fields, .. } = *self;
        Action { id, label, about, fields, run }
    }

    /// The values of its fields; one that is not given has the value that its form offers.
    pub fn values<'a>(
        &self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Values, FieldError> {
        let value =
            |field: &Field| Ok((field.name, field.read(given(field.name).unwrap_or(field.usual))?));
        self.fields.iter().map(value).collect()
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
