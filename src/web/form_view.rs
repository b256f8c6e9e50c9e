//! A form as a page shows it: each field with its value and its error.

use std::{borrow::Cow, str::FromStr};

use actix_web::HttpRequest;

use super::{
    error::{Error, Result},
    form::Fields,
    page::{Page, wants_json},
};
use crate::{
    input::Input,
    labs::support::fields::{Field, Kind},
};

/// A rejected form, shown again with the submitted values; empty if none was rejected.
#[derive(Default)]
pub struct FormView {
    typed: Vec<(String, Vec<String>)>,
    errors: Vec<(String, String)>,
    message: Option<String>,
}

/// One field of a form.
pub struct FieldView {
    /// Id in the page.
    pub id: Cow<'static, str>,
    /// Name in the form.
    pub name: &'static str,
    /// Label.
    pub label: Cow<'static, str>,
    /// Value.
    pub value: String,
    /// Accepted values.
    pub kind: Kind,
    /// Options of a select; empty for an input.
    pub choices: Vec<Choice>,
    /// Error of the value.
    pub error: Option<String>,
    /// Whether it takes the remaining width of its row.
    pub grows: bool,
    /// Whether it is a profile id, for which the page has a list of suggestions.
    pub is_profile: bool,
}

/// An option of a select.
pub struct Choice {
    /// Submitted value.
    pub value: String,
    /// Displayed text.
    pub label: String,
}

impl Choice {
    /// An option of a select.
    pub fn of(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

impl FormView {
    /// A form with these fields that failed with `error`.
    pub fn of(fields: &Fields<'_>, error: &Error) -> Self {
        Self { typed: typed(fields), errors: error.fields(), message: Some(error.to_string()) }
    }

    /// The error message.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The submitted value of a field, if the form was rejected.
    pub fn typed(&self, name: &str) -> Option<&str> {
        self.all_typed(name)?.first().map(String::as_str)
    }

    /// The submitted value of a field, if it can be parsed.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.typed(name)?.parse().ok()
    }

    /// The submitted value of a field, if it is valid.
    pub fn accepted<T: Input>(&self, name: &str) -> Option<T> {
        T::KIND.check(self.typed(name)?).ok()?.pop().map(T::accept)
    }

    /// All submitted values of a field, if the form was rejected.
    pub fn all_typed(&self, name: &str) -> Option<&[String]> {
        self.message.as_ref()?;
        let typed = self.typed.iter().find(|(it, _)| it == name);
        Some(typed.map_or(&[], |(_, values)| values.as_slice()))
    }

    /// The error of a field.
    pub fn error_of(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|(field, _)| field == name).map(|(_, message)| message.as_str())
    }

    /// A field with its submitted value, or else with `value`.
    pub fn field(&self, field: &Field, value: impl ToString) -> FieldView {
        let typed = self.typed(field.name).map(str::to_owned);
        let value = typed.unwrap_or_else(|| value.to_string());
        FieldView::of(field, field.name, value).with_error(self.error_of(field.name))
    }

    /// A field of one of several forms, which sends one of these actions. The submitted
    /// value and its error belong to the form that was sent.
    pub fn field_of(&self, acts: &[&str], field: &Field, value: String) -> FieldView {
        let is_sent = self.typed("act").is_some_and(|act| acts.contains(&act));
        let typed = self.typed(field.name).filter(|_| is_sent);
        let id = format!("{}-{}", acts[0], field.name);
        FieldView::of(field, id, typed.map_or(value, str::to_owned))
            .with_error(self.error_of(field.name).filter(|_| is_sent))
    }
}

/// The page, or the response to a rejected request: the error itself for a JSON client, or
/// else the page that `refused` makes of the submitted values, with the status of the error.
pub async fn or_refused<'a, T>(
    page: Result<Page<T>, impl Into<Error>>,
    request: &HttpRequest,
    sent: impl FnOnce() -> Fields<'a>,
    refused: impl AsyncFnOnce(FormView) -> Result<Page<T>>,
) -> Result<Page<T>> {
    match page.map_err(Into::into) {
        Err(error) if !wants_json(request.headers()) => {
            let form = FormView::of(&sent(), &error);
            // Boxed, so that other requests don't carry its size.
            Ok(error.on(Box::pin(refused(form)).await?))
        }
        page => page,
    }
}

fn typed(fields: &Fields<'_>) -> Vec<(String, Vec<String>)> {
    let all = |name: &str| fields.all(name).map(str::to_owned).collect();
    fields.names().map(|name| (name.to_owned(), all(name))).collect()
}

impl FieldView {
    /// A field without an error.
    pub fn of(field: &Field, id: impl Into<Cow<'static, str>>, value: String) -> Self {
        let choices = field.kind.choices().iter().map(|word| Choice::of(*word, *word));
        Self {
            id: id.into(),
            name: field.name,
            label: field.label.into(),
            grows: matches!(field.kind, Kind::Text(_) | Kind::List(_) | Kind::Email(_)),
            is_profile: false,
            choices: Vec::new(),
            kind: field.kind,
            error: None,
            value,
        }
        .with_choices(choices)
    }

    /// Adds an error.
    pub fn with_error(self, error: Option<&str>) -> Self {
        Self { error: error.map(str::to_owned), ..self }
    }

    /// Adds the range of its number to the label.
    pub fn with_bounds(mut self) -> Self {
        if let Some((min, max, _)) = self.kind.bounds() {
            self.label = format!("{}, {min} to {max}", self.label).into();
        }
        self
    }

    /// Turns it into a select with these options. A value that is none of them, because it
    /// was rejected, is shown as well.
    pub fn with_choices(mut self, choices: impl Iterator<Item = Choice>) -> Self {
        self.choices = choices.collect();
        let is_offered = self.choices.iter().any(|choice| choice.value == self.value);
        if !self.choices.is_empty() && !is_offered && !self.value.is_empty() {
            self.choices.push(Choice::of(&self.value, &self.value));
        }
        self
    }

    /// Takes the remaining width of its row.
    pub fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// Marks it as a profile id.
    pub fn of_a_profile(self) -> Self {
        Self { is_profile: true, ..self }
    }

    /// `type` of its input.
    pub fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Integer(..) | Kind::Number(..) => "number",
            Kind::Email(_) => "email",
            _ => "text",
        }
    }
}
