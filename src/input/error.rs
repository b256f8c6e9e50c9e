//! The errors of form fields.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::Rejection;

/// The rejection of a field, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    field: Option<String>,
    is_malformed: bool,
    reason: Reason,
}

/// The rejections of a request's fields, at least one. The text joins their sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// A complete message.
    Message(String),
    /// The required format.
    MustBe(String),
    /// The accepted values.
    Accepts(String),
    Required,
    Repeated,
}

impl FieldError {
    /// The rejection of a field's value.
    pub fn rejected(field: &str, rejection: Rejection) -> Self {
        let (is_malformed, reason) = match rejection {
            Rejection::Malformed(format) => (true, Reason::MustBe(format)),
            Rejection::OutOfRange(accepted) => (false, Reason::Accepts(accepted)),
        };
        Self { field: Some(field.to_owned()), is_malformed, reason }
    }

    /// A request that can't be parsed. `reason` is a complete sentence.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self { field: None, is_malformed: true, reason: Reason::Message(reason.into()) }
    }

    /// A value out of range. `reason` is a complete sentence.
    pub fn out_of_range(reason: impl Into<String>) -> Self {
        Self { field: None, is_malformed: false, reason: Reason::Message(reason.into()) }
    }

    /// A field that was sent more than once.
    pub fn repeated() -> Self {
        Self { field: None, is_malformed: true, reason: Reason::Repeated }
    }

    /// A field of a type that forms don't have.
    pub fn not_a_scalar() -> Self {
        let reason = Reason::MustBe("a text or a number".to_owned());
        Self { field: None, is_malformed: false, reason }
    }

    /// Sets the field's name, unless the error already has one.
    pub fn of(self, field: &str) -> Self {
        Self { field: self.field.or_else(|| Some(field.to_owned())), ..self }
    }

    /// The name of the field, if the error concerns one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Whether the value can't be parsed, as opposed to being out of range.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }
}

impl FieldErrors {
    /// The value of each result, or all errors.
    pub fn collect<T, C: FromIterator<T>>(
        results: impl Iterator<Item = Result<T, FieldError>>,
    ) -> Result<C, Self> {
        let mut errors = Vec::new();
        let values = results.filter_map(|it| it.map_err(|error| errors.push(error)).ok()).collect();
        if errors.is_empty() { Ok(values) } else { Err(Self(errors)) }
    }

    /// Each error.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.iter()
    }

    /// Whether a value can't be parsed, as opposed to being out of range.
    pub fn is_malformed(&self) -> bool {
        self.iter().any(FieldError::is_malformed)
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<_> = self.iter().map(FieldError::to_string).collect();
        f.write_str(&sentences.join(" "))
    }
}

impl std::error::Error for FieldErrors {}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_deref().unwrap_or_default();
        match &self.reason {
            Reason::Message(sentence) => f.write_str(sentence),
            Reason::MustBe(format) => write!(f, "The field {field} must be {format}."),
            Reason::Accepts(accepted) => write!(f, "The field {field} takes {accepted}."),
            Reason::Required => write!(f, "The field {field} is needed."),
            Reason::Repeated => write!(f, "The field {field} was sent twice."),
        }
    }
}

impl std::error::Error for FieldError {}

/// Receives the rejections of the types in [`typed`](super::typed); the form deserializer
/// adds the field's name.
impl de::Error for FieldError {
    fn custom<T: fmt::Display>(sentence: T) -> Self {
        Self::malformed(sentence.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = Reason::MustBe(expected.to_string());
        Self { field: None, is_malformed: true, reason }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = Reason::Accepts(expected.to_string());
        Self { field: None, is_malformed: false, reason }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let reason = Reason::Accepts(expected.join(" or "));
        Self { field: None, is_malformed: false, reason }
    }

    fn missing_field(field: &'static str) -> Self {
        let field = Some(field.to_owned());
        Self { field, is_malformed: false, reason: Reason::Required }
    }
}
