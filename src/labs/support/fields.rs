//! Fields of actions, with a type and bounds. One description drives the HTML form,
//! validation and the JSON output.

use serde::Serialize;
use utoipa::ToSchema;

use crate::input::FieldError;
pub use crate::input::Kind;

/// A field of an action.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the form and in the action's command.
    pub name: &'static str,
    /// Its label on the page.
    pub label: &'static str,
    /// The accepted values.
    pub kind: Kind,
    /// The value that the form offers, and that applies if the field is not sent.
    pub default: &'static str,
}

/// A field, as JSON describes it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldDescription {
    /// The name.
    name: &'static str,
    /// The accepted values, in words.
    takes: String,
    /// The value that applies if the field is not sent.
    default: &'static str,
}

/// One line of text.
pub const fn text(
    name: &'static str,
    label: &'static str,
    max: usize,
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Text(max), default }
}

/// Several texts, separated by commas.
pub const fn list(
    name: &'static str,
    label: &'static str,
    max: usize,
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::List(max), default }
}

/// A whole number.
pub const fn integer(
    name: &'static str,
    label: &'static str,
    (min, max): (i64, i64),
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Integer(min, max), default }
}

/// A finite number.
pub const fn number(
    name: &'static str,
    label: &'static str,
    (min, max): (f64, f64),
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Number(min, max), default }
}

/// One of these words.
pub const fn choice(
    name: &'static str,
    label: &'static str,
    words: &'static [&'static str],
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Choice(words), default }
}

impl Field {
    /// Parses the field: exactly one value, or one or more for [`Kind::List`].
    pub fn read(&self, text: &str) -> Result<Vec<String>, FieldError> {
        self.kind.check(text).map_err(|rejection| FieldError::rejected(self.name, rejection))
    }

    /// Describes the field for JSON.
    pub fn description(&self) -> FieldDescription {
        FieldDescription { name: self.name, takes: self.kind.takes(), default: self.default }
    }
}
