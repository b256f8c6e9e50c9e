//! What a visitor may put into an act: fields with a type and bounds,
//! described once for the form, the check and a program.

use serde::Serialize;
use utoipa::ToSchema;

use crate::input::FieldError;
pub use crate::input::Kind;

/// One field of an act.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// What it is called in a form, and in the act's command.
    pub name: &'static str,
    /// What a person calls it.
    pub label: &'static str,
    /// What may be in it.
    pub kind: Kind,
    /// What the form offers, and what is taken when it is not sent.
    pub usual: &'static str,
}

/// A field, for a program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Described {
    /// What it is called.
    name: &'static str,
    /// What may be in it, in words.
    takes: String,
    /// What is taken when it is not sent.
    usual: &'static str,
}

/// One line of text.
pub const fn text(
    name: &'static str,
    label: &'static str,
    max: usize,
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Text(max), usual }
}

/// Several texts, with commas between.
pub const fn several(
    name: &'static str,
    label: &'static str,
    max: usize,
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Several(max), usual }
}

/// A whole number.
pub const fn integer(
    name: &'static str,
    label: &'static str,
    (min, max): (i64, i64),
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Integer(min, max), usual }
}

/// A finite number.
pub const fn number(
    name: &'static str,
    label: &'static str,
    (min, max): (f64, f64),
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Number(min, max), usual }
}

/// One of a few words.
pub const fn choice(
    name: &'static str,
    label: &'static str,
    words: &'static [&'static str],
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Choice(words), usual }
}

impl Field {
    /// The values in it: one, or with [`Kind::Several`] at least one.
    pub fn read(&self, text: &str) -> Result<Vec<String>, FieldError> {
        self.kind.check(text).map_err(|rejection| FieldError::rejected(self.name, rejection))
    }

    /// For a program.
    pub fn described(&self) -> Described {
        Described { name: self.name, takes: self.kind.takes(), usual: self.usual }
    }
}
