//! A form as a page shows it: each field with its value, and beside the one that
//! is wrong the reason.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Serialize;

use super::{
    error::{Error, Result},
    form::{Body, Fields},
    page::{Page, wants_json},
};
use crate::{
    input::Input,
    labs::support::fields::{Field, Kind},
};

/// A form that was refused, shown again as it was sent; empty otherwise.
#[derive(Default)]
pub struct FormView {
    typed: Vec<(String, Vec<String>)>,
    field: Option<String>,
    message: Option<String>,
}

/// One field of a form.
pub struct FieldView {
    /// Its id in the page.
    pub id: String,
    /// Its name in the form.
    pub name: &'static str,
    /// Its label.
    pub label: String,
    /// Its value.
    pub value: String,
    /// What it accepts.
    pub kind: Kind,
    /// What to choose from; empty for an input.
    pub choices: Vec<Choice>,
    /// What is wrong with the value.
    pub error: Option<String>,
    /// Whether it takes the room that is left in its row.
    pub grows: bool,
    /// Whether it is the id of a profile, of which the page lists some.
    pub is_profile: bool,
}

/// A line of a select.
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// Whether it is the present one.
    pub chosen: bool,
}

impl FormView {
    /// The form of a request that led to `error`.
    pub fn refused(body: &Body, error: &Error) -> Self {
        Self::of(&body.fields().unwrap_or_default(), error)
    }

    /// A form of these fields that led to `error`.
    pub fn of(fields: &Fields<'_>, error: &Error) -> Self {
        Self {
            typed: typed(fields),
            field: error.field().map(str::to_owned),
            message: Some(error.to_string()),
        }
    }

    /// What is wrong.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// What was sent as this field, if the form was refused.
    pub fn typed(&self, name: &str) -> Option<&str> {
        self.all_typed(name)?.first().map(String::as_str)
    }

    /// What was sent as this field, if it is accepted in spite of the refusal.
    pub fn accepted<T: Input>(&self, name: &str) -> Option<T> {
        T::KIND.check(self.typed(name)?).ok()?.pop().map(T::accept)
    }

    /// Every value that was sent under this name, if the form was refused.
    pub fn all_typed(&self, name: &str) -> Option<&[String]> {
        self.message.as_ref()?;
        let typed = self.typed.iter().find(|(it, _)| it == name);
        Some(typed.map_or(&[], |(_, values)| values.as_slice()))
    }

    /// What is wrong with this field.
    pub fn error_of(&self, name: &str) -> Option<&str> {
        self.message().filter(|_| self.field.as_deref() == Some(name))
    }

    /// A field, with `value` unless the form was refused with another.
    pub fn field(&self, field: &Field, value: impl ToString) -> FieldView {
        let typed = self.typed(field.name).map(str::to_owned);
        let value = typed.unwrap_or_else(|| value.to_string());
        FieldView::of(field, field.name, value).with_error(self.error_of(field.name))
    }
}

/// The answer to a form that led to an error: the error itself where the client
/// wants JSON, else the form's page, as it was sent.
pub fn refused<T: Template + Serialize>(
    request: &HttpRequest,
    body: &Body,
    error: Error,
    page: impl FnOnce(FormView) -> T,
) -> Result<HttpResponse> {
    if wants_json(request.headers()) {
        return Err(error);
    }
    let page = Page::new(page(FormView::refused(body, &error)));
    Ok(error.on(page).respond(request.headers()))
}

fn typed(fields: &Fields<'_>) -> Vec<(String, Vec<String>)> {
    let all = |name: &str| fields.all(name).map(str::to_owned).collect();
    fields.names().map(|name| (name.to_owned(), all(name))).collect()
}

impl FieldView {
    /// A field with nothing wrong.
    pub fn of(field: &Field, id: impl Into<String>, value: String) -> Self {
        let choice = |word: &&str| Choice {
            value: (*word).to_owned(),
            label: (*word).to_owned(),
            chosen: *word == value,
        };
        Self {
            id: id.into(),
            name: field.name,
            label: field.label.to_owned(),
            grows: matches!(field.kind, Kind::Text(_) | Kind::List(_) | Kind::Email(_)),
            is_profile: false,
            choices: field.kind.choices().iter().map(choice).collect(),
            kind: field.kind,
            error: None,
            value,
        }
    }

    /// With what is wrong with the value.
    pub fn with_error(self, error: Option<&str>) -> Self {
        Self { error: error.map(str::to_owned), ..self }
    }

    /// With the bounds of its number in the label.
    pub fn with_bounds(mut self) -> Self {
        if let Some((min, max, _)) = self.kind.bounds() {
            self.label = format!("{}, {min} to {max}", self.label);
        }
        self
    }

    /// With these to choose from.
    pub fn with_choices(self, choices: Vec<Choice>) -> Self {
        Self { choices, ..self }
    }

    /// One that takes the room that is left in its row.
    pub fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// One for the id of a profile.
    pub fn of_a_profile(self) -> Self {
        Self { is_profile: true, ..self }
    }

    /// The `type` of its input.
    pub fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Integer(..) | Kind::Number(..) => "number",
            Kind::Email(_) => "email",
            _ => "text",
        }
    }
}
