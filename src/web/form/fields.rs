//! The fields of a request by name, before they are parsed.

use std::borrow::Cow;

use actix_web::HttpRequest;
use serde_json::Value;

use crate::{
    input::{FieldError, FieldErrors},
    labs::support::action::{Action, Values},
};

/// Maximum number of names: many more than any form has. Each name is compared with the
/// others.
const NAMES_MAX: usize = 64;

/// The fields of a request in order. A JSON null counts as absent.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<SentField<'a>>);

/// A name and its value.
pub(super) type SentField<'a> = (Cow<'a, str>, Sent<'a>);

/// The value of one field.
#[derive(Debug)]
pub(super) enum Sent<'a> {
    /// A string, or a JSON number.
    One(Cow<'a, str>),
    /// Values of a repeated field.
    Repeated(Vec<Cow<'a, str>>),
    /// A JSON array of strings and numbers.
    Array(Vec<Cow<'a, str>>),
    /// Any other JSON value.
    Other,
}

impl<'a> Fields<'a> {
    /// The fields of the query string.
    ///
    /// # Errors
    /// If there are more than 64.
    pub fn of_query(request: &'a HttpRequest) -> Result<Self, FieldError> {
        Self::of_pairs(request.query_string())
    }

    pub(super) fn of_pairs(text: &'a str) -> Result<Self, FieldError> {
        let mut fields = Self::default();
        for (name, value) in pairs(text) {
            fields.push(name, value);
            fields.check_count()?;
        }
        Ok(fields)
    }

    pub(super) fn of_json(bytes: &[u8]) -> Result<Self, FieldError> {
        let json: serde_json::Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| {
                FieldError::malformed(format!("The body is not a JSON object: {error}."))
            })?;
        let sent = json.into_iter().filter(|(_, value)| !value.is_null());
        let fields = Self(sent.map(|(name, value)| (name.into(), Sent::of_json(value))).collect());
        fields.check_count()?;
        Ok(fields)
    }

    fn check_count(&self) -> Result<(), FieldError> {
        match self.0.len() > NAMES_MAX {
            true => Err(FieldError::malformed(format!("More than {NAMES_MAX} fields were sent."))),
            false => Ok(()),
        }
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let known = self.0.iter_mut().find(|(it, _)| *it == name);
        match known.map(|(_, sent)| sent) {
            None => self.0.push((name, Sent::One(value))),
            Some(Sent::Repeated(values)) => values.push(value),
            Some(sent) => {
                let first = std::mem::replace(sent, Sent::Other);
                let first = if let Sent::One(first) = first { first } else { Cow::default() };
                *sent = Sent::Repeated(vec![first, value]);
            }
        }
    }

    /// The action that the field `act` names, and the values of its fields. Other fields
    /// are rejected.
    pub fn action<R: Copy>(&self, actions: &[Action<R>]) -> Result<(R, Values), FieldErrors> {
        let id = self.optional("act").unwrap_or_default();
        let action = actions.iter().find(|action| action.id == id).ok_or_else(|| {
            let ids: Vec<_> = actions.iter().map(|action| action.id).collect();
            FieldError::out_of_range(format!("The field act is needed: {}.", ids.join(" or ")))
        })?;
        let names = action.fields.iter().map(|field| field.name);
        self.check(&["act"].into_iter().chain(names).collect::<Vec<_>>())?;
        let sent = |name: &str| self.all(name).next();
        Ok((action.run, action.values(sent)?))
    }

    /// Rejects unknown fields, and values other than a single string or number.
    pub fn check(&self, known: &[&str]) -> Result<(), FieldError> {
        check_names(&self.0, known)?;
        let mut wrong = self.0.iter().filter_map(|(name, sent)| Some(sent.text().err()?.of(name)));
        wrong.next().map_or(Ok(()), Err)
    }

    pub(super) fn as_slice(&self) -> &[SentField<'a>] {
        &self.0
    }

    /// Names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The value of a field; an empty one counts as absent.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let sent = self.0.iter().find(|(it, _)| it == name).map(|(_, sent)| sent);
        sent.map(Sent::texts).unwrap_or_default().iter().map(|text| &**text)
    }

    /// Whether the field is present, even if empty.
    pub fn sent(&self, name: &str) -> bool {
        self.names().any(|it| it == name)
    }
}

impl<'a> Sent<'a> {
    fn of_json(value: Value) -> Self {
        match value {
            Value::Array(values) => {
                let values = values.into_iter().filter(|value| !value.is_null());
                values.map(scalar).collect::<Option<_>>().map_or(Self::Other, Self::Array)
            }
            value => scalar(value).map_or(Self::Other, Self::One),
        }
    }

    fn texts(&self) -> &[Cow<'a, str>] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Repeated(texts) | Self::Array(texts) => texts,
            Self::Other => &[],
        }
    }

    /// The value of a field with a single value.
    pub(super) fn text(&self) -> Result<&str, FieldError> {
        match self {
            Self::One(text) => Ok(text),
            Self::Repeated(_) => Err(FieldError::repeated()),
            Self::Array(_) | Self::Other => Err(FieldError::not_a_scalar()),
        }
    }

    /// The values of a field that may have several; empty ones count as absent.
    pub(super) fn list(&self) -> Result<impl Iterator<Item = &str>, FieldError> {
        match self {
            Self::Other => Err(FieldError::not_a_scalar()),
            sent => Ok(sent.texts().iter().map(|text| &**text).filter(|text| !text.is_empty())),
        }
    }
}

/// Rejects unknown fields.
pub(super) fn check_names(fields: &[SentField<'_>], known: &[&str]) -> Result<(), FieldError> {
    let unknown = fields.iter().find(|(name, _)| !known.contains(&&**name));
    let Some((unknown, _)) = unknown else { return Ok(()) };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let unknown = quoted(unknown);
    Err(FieldError::malformed(format!("Unknown field {unknown}. Known fields: {known}.")))
}

/// A JSON string or number as text.
fn scalar(value: Value) -> Option<Cow<'static, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// Parses names and values (URL Standard, 5.1). Most need no decoding.
fn pairs(text: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    if text.contains(['%', '+']) {
        return form_urlencoded::parse(text.as_bytes()).collect();
    }
    let sent = text.split('&').filter(|pair| !pair.is_empty());
    let split = sent.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.map(|(name, value)| (name.into(), value.into())).collect()
}

/// A submitted name in quotation marks, shortened.
fn quoted(name: &str) -> String {
    format!("\u{201c}{}\u{201d}", hitrate_cache::trace::shortened(name, 40))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_plain_query_is_split_as_any_other(query in "[a-c=&é?;]{0,12}") {
            let decoded: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            prop_assert_eq!(pairs(&query), decoded);
        }
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        let none = Fields::of_pairs("x=1").unwrap().check(&[]).unwrap_err();
        assert_eq!(none.to_string(), "Unknown field “x”. Known fields: none.");
        let twice = Fields::of_pairs("id=1&id=2").unwrap().check(&["id"]).unwrap_err();
        assert_eq!(twice.to_string(), "The field id was sent twice.");
        for bad in ["x=1", "id=1&id=2", "id=1&ID=2"] {
            assert!(
                Fields::of_pairs(bad).unwrap().check(&["id"]).unwrap_err().is_malformed(),
                "{bad}"
            );
        }
    }

    #[test]
    fn json_carries_texts_and_numbers() {
        let fields = Fields::of_json(br#"{"name": "Ann", "age": 30, "email": null}"#).unwrap();
        assert_eq!(fields.check(&["name", "age"]), Ok(()));
        assert_eq!((fields.optional("name"), fields.optional("age")), (Some("Ann"), Some("30")));
        assert!(!fields.sent("email"));
        for bad in [&b"{"[..], b"[]", b"\xff"] {
            assert!(Fields::of_json(bad).is_err());
        }
        let object = Fields::of_json(br#"{"name": {}}"#).unwrap();
        assert!(!object.check(&["name"]).unwrap_err().is_malformed());
    }

    #[test]
    fn the_number_of_names_is_limited() {
        let query = |count: usize| (0..count).map(|n| format!("f{n}=1&")).collect::<String>();
        let json = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!("\"f{n}\": 1")).collect();
            format!("{{{}}}", fields.join(", "))
        };
        assert!(Fields::of_pairs(&query(NAMES_MAX)).is_ok());
        assert!(Fields::of_pairs(&query(NAMES_MAX + 1)).is_err());
        assert!(Fields::of_json(json(NAMES_MAX).as_bytes()).is_ok());
        assert!(Fields::of_json(json(NAMES_MAX + 1).as_bytes()).is_err());
        assert!(Fields::of_pairs(&"id=1&".repeat(1_000)).is_ok(), "one name, many values");
    }
}
