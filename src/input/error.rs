//! The error of a field.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::Rejection;

/// Why a field is rejected, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    field: Option<String>,
    is_malformed: bool,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// A sentence.
    Says(String),
    /// The format of the field.
    MustBe(String),
    /// The values that the field accepts.
    Takes(String),
    Needed,
    Repeated,
}

impl FieldError {
    /// The rejection of a field's value.
    pub fn rejected(field: &str, rejection: Rejection) -> Self {
        let (is_malformed, reason) = match rejection {
            Rejection::Malformed(format) => (true, Reason::MustBe(format)),
            Rejection::OutOfRange(accepted) => (false, Reason::Takes(accepted)),
        };
        Self { field: Some(field.to_owned()), is_malformed, reason }
    }

    /// A request that can't be understood, for a reason in a sentence.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self { field: None, is_malformed: true, reason: Reason::Says(reason.into()) }
    }

    /// A value out of range, for a reason in a sentence.
    pub fn out_of_range(reason: impl Into<String>) -> Self {
        Self { field: None, is_malformed: false, reason: Reason::Says(reason.into()) }
    }

    /// A field that may be there only once.
    pub fn repeated() -> Self {
        Self { field: None, is_malformed: true, reason: Reason::Repeated }
    }

    /// A field of a type that no form has.
    pub fn not_a_scalar() -> Self {
        let reason = Reason::MustBe("a text or a number".to_owned());
        Self { field: None, is_malformed: false, reason }
    }

    /// The error of this field, unless it has the name of another already.
    pub fn of(self, field: &str) -> Self {
        Self { field: self.field.or_else(|| Some(field.to_owned())), ..self }
    }

    /// The field, if the error is of one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Whether the value can't be understood at all, rather than being out of range.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_deref().unwrap_or_default();
        match &self.reason {
            Reason::Says(sentence) => f.write_str(sentence),
            Reason::MustBe(format) => write!(f, "The field {field} must be {format}."),
            Reason::Takes(accepted) => write!(f, "The field {field} takes {accepted}."),
            Reason::Needed => write!(f, "The field {field} is needed."),
            Reason::Repeated => write!(f, "The field {field} was sent twice."),
        }
    }
}

impl std::error::Error for FieldError {}

/// What a type of [`typed`](super::typed) rejects arrives here; the deserializer
/// of a form adds the field's name.
impl de::Error for FieldError {
    fn custom<T: fmt::Display>(sentence: T) -> Self {
        Self::malformed(sentence.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = Reason::MustBe(expected.to_string());
        Self { field: None, is_malformed: true, reason }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = Reason::Takes(expected.to_string());
        Self { field: None, is_malformed: false, reason }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let reason = Reason::Takes(expected.join(" or "));
        Self { field: None, is_malformed: false, reason }
    }

    fn missing_field(field: &'static str) -> Self {
        let field = Some(field.to_owned());
        Self { field, is_malformed: false, reason: Reason::Needed }
    }
}
