//! Types of form fields. Each accepts the same values as its [`Kind`], from form text and
//! from JSON strings and numbers alike.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{Kind, Rejection};

/// A type whose values are validated by a [`Kind`].
pub trait Input: Sized {
    /// The accepted values.
    const KIND: Kind;

    /// Converts a text that [`Kind::check`] has accepted.
    fn accept(text: String) -> Self;
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer<const MIN: u32, const MAX: u32>(u32);

/// One line of 1 to `MAX` characters, with surrounding spaces removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<const MAX: usize>(String);

/// An e-mail address of at most `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email<const MAX: usize>(String);

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnOff {
    /// Enabled.
    On,
    /// Disabled.
    Off,
}

impl<const MIN: u32, const MAX: u32> Integer<MIN, MAX> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Input for Integer<MIN, MAX> {
    const KIND: Kind = Kind::Integer(MIN as i64, MAX as i64);

    fn accept(text: String) -> Self {
        Self(text.parse().unwrap_or(MIN))
    }
}

impl<const MAX: usize> Input for Line<MAX> {
    const KIND: Kind = Kind::Text(MAX);

    fn accept(text: String) -> Self {
        Self(text)
    }
}

impl<const MAX: usize> Input for Email<MAX> {
    const KIND: Kind = Kind::Email(MAX);

    fn accept(text: String) -> Self {
        Self(text)
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> From<Email<MAX>> for String {
    fn from(email: Email<MAX>) -> Self {
        email.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Line<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Email<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

/// Deserializes a value and checks it against its [`Kind`].
///
/// # Errors
/// `invalid_type` for a malformed value, `invalid_value` for one out of range.
pub fn deserialize<'de, T: Input, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(InputVisitor(PhantomData))
}

struct InputVisitor<T>(PhantomData<T>);

impl<T: Input> Visitor<'_> for InputVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::KIND.takes())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match T::KIND.check(text) {
            Ok(mut values) => Ok(T::accept(values.pop().unwrap_or_default())),
            Err(Rejection::Malformed(format)) => {
                Err(E::invalid_type(Unexpected::Str(text), &format.as_str()))
            }
            Err(Rejection::OutOfRange(accepted)) => {
                Err(E::invalid_value(Unexpected::Str(text), &accepted.as_str()))
            }
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<const MIN: u32, const MAX: u32> PartialSchema for Integer<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        Self::KIND.schema().into()
    }
}

impl<const MAX: usize> PartialSchema for Line<MAX> {
    fn schema() -> RefOr<Schema> {
        Self::KIND.schema().into()
    }
}

impl<const MAX: usize> PartialSchema for Email<MAX> {
    fn schema() -> RefOr<Schema> {
        Self::KIND.schema().into()
    }
}

// Form structs inline these schemas, because a bound has no name in the OpenAPI document.
// A required field has no doc comment: utoipa would turn it into an object with that
// description.
impl<const MIN: u32, const MAX: u32> ToSchema for Integer<MIN, MAX> {}
impl<const MAX: usize> ToSchema for Line<MAX> {}
impl<const MAX: usize> ToSchema for Email<MAX> {}
