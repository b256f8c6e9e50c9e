//! What a visitor sent: query, form or JSON, as one bounded set of fields
//! that are parsed into types here, at the edge.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, ResponseError,
    dev::Payload,
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
};
use futures_util::{StreamExt as _, future::LocalBoxFuture};
use serde_json::Value;
use tokio::time::timeout;

use crate::labs::support::fields::Wrong;

/// The largest body, in bytes: far more than any form here needs.
pub const BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive; a form takes milliseconds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// Why what was sent is not taken. Says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// 400: it can't be understood.
    #[error("{0}")]
    Malformed(String),
    /// 408: the body did not come.
    #[error("The request's body did not arrive in time.")]
    TooSlow,
    /// 413: too much.
    #[error("The request's body is larger than 64 KiB.")]
    TooLarge,
    /// 415: neither form nor JSON.
    #[error(
        "Send the fields as a form (application/x-www-form-urlencoded) or as JSON (application/json)."
    )]
    WrongType,
    /// 422: understood, but out of range.
    #[error("{0}")]
    OutOfRange(String),
}

type Result<T> = std::result::Result<T, BadInput>;

impl From<Wrong> for BadInput {
    fn from(why: Wrong) -> Self {
        match why {
            Wrong::Malformed(what) => Self::Malformed(what),
            Wrong::OutOfRange(what) => Self::OutOfRange(what),
        }
    }
}

/// Fields by name. Each is there at most once, but for those of which a list
/// was allowed.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<Pair<'a>>);

/// A name and a value. What has nothing to decode is not copied.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The names of the fields that may be there.
#[derive(Clone, Copy)]
struct Known<'a> {
    once: &'a [&'a str],
    /// These may be there several times.
    lists: &'a [&'a str],
}

impl<'a> Known<'a> {
    fn once(once: &'a [&'a str]) -> Self {
        Self { once, lists: &[] }
    }

    fn all(self) -> impl Iterator<Item = &'a str> {
        self.once.iter().chain(self.lists).copied()
    }
}

impl<'a> Fields<'a> {
    /// The fields after the `?`, of which only `known` may be there.
    pub fn of_query(request: &'a HttpRequest, known: &[&str]) -> Result<Self> {
        Self::of_pairs(request.query_string(), Known::once(known))
    }

    fn of_pairs(text: &'a str, known: Known<'_>) -> Result<Self> {
        Self::collect(pairs(text), known)
    }

    fn of_json(bytes: &[u8], known: Known<'_>) -> Result<Self> {
        let json: serde_json::Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| malformed(&format!("The body is no JSON object: {error}.")))?;
        let mut pairs = Vec::new();
        for (name, value) in json {
            let values = match value {
                Value::Array(values) if known.lists.contains(&name.as_str()) => values,
                value => vec![value],
            };
            for value in values {
                pairs.extend(scalar(&name, value)?.map(|text| (name.clone().into(), text.into())));
            }
        }
        Self::collect(pairs, known)
    }

    fn collect(pairs: Vec<Pair<'a>>, known: Known<'_>) -> Result<Self> {
        for (n, (name, _)) in pairs.iter().enumerate() {
            if !known.all().any(|it| it == name) {
                let (name, known) = (quoted(name), known.all().collect::<Vec<_>>().join(", "));
                let only = if known.is_empty() { "nor any other" } else { "only" };
                let what = format!("There is no field {name} here, {only} {known}");
                return Err(malformed(&format!("{}.", what.trim_end())));
            }
            let may_repeat = known.lists.contains(&&**name);
            if !may_repeat && pairs[..n].iter().any(|(it, _)| it == name) {
                return Err(malformed(&format!("The field {} was sent twice.", quoted(name))));
            }
        }
        Ok(Self(pairs))
    }

    /// A field as it came; an empty one counts as not sent.
    pub fn optional(&self, name: &str) -> Option<&str> {
        let values = self.0.iter().filter(|(it, value)| it == name && !value.is_empty());
        values.map(|(_, value)| &**value).next()
    }

    /// Every value of a field, in the order they came; an empty one counts as not sent.
    pub fn list<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        let values = self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| &**value);
        values.filter(|text| !text.is_empty())
    }

    /// Whether the field was sent, empty or not.
    pub fn sent(&self, name: &str) -> bool {
        self.0.iter().any(|(it, _)| it == name)
    }

    /// One line of text, without its outer spaces.
    pub fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<String> {
        let text = self.optional(name).unwrap_or_default().trim();
        if text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            return Err(malformed(&format!("The {name} must be one line of plain text.")));
        }
        if !length.contains(&text.chars().count()) {
            let (min, max) = length.into_inner();
            let what = format!("The {name} must have {min} to {max} characters.");
            return Err(BadInput::OutOfRange(what));
        }
        Ok(text.to_owned())
    }

    /// A whole number; `None` when the field was not sent.
    pub fn number(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        let (min, max) = (*range.start(), *range.end());
        let what = format!("The field {name} must be a whole number from {min} to {max}.");
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadInput::OutOfRange(what));
        }
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(BadInput::OutOfRange(what)),
        }
    }

    /// One of a few words; `None` when the field was not sent.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                let what = format!("The field {name} must be {}.", words.join(" or "));
                Err(BadInput::OutOfRange(what))
            }
        }
    }
}

/// Names and values (URL Standard, 5.1). Nearly none has anything to decode.
fn pairs(text: &str) -> Vec<Pair<'_>> {
    if text.contains(['%', '+']) {
        return form_urlencoded::parse(text.as_bytes()).collect();
    }
    let sent = text.split('&').filter(|pair| !pair.is_empty());
    let split = sent.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.map(|(name, value)| (name.into(), value.into())).collect()
}

/// The body of a request, within its bounds, not parsed yet.
pub struct Body {
    bytes: Vec<u8>,
    media_type: Option<String>,
}

impl Body {
    /// The body's fields, of which only `known` may be there.
    pub fn fields(&self, known: &[&str]) -> Result<Fields<'_>> {
        self.parsed(Known::once(known))
    }

    /// The same, and each of `lists` may be there several times; in JSON as an
    /// array, too.
    pub fn fields_and_lists(&self, once: &[&str], lists: &[&str]) -> Result<Fields<'_>> {
        self.parsed(Known { once, lists })
    }

    fn parsed(&self, known: Known<'_>) -> Result<Fields<'_>> {
        match self.media_type.as_deref() {
            None if self.bytes.is_empty() => Ok(Fields::default()),
            Some("application/x-www-form-urlencoded") => {
                let text = std::str::from_utf8(&self.bytes)
                    .map_err(|_| malformed("The form is no text."))?;
                Fields::of_pairs(text, known)
            }
            Some("application/json") => Fields::of_json(&self.bytes, known),
            _ => Err(BadInput::WrongType),
        }
    }
}

impl FromRequest for Body {
    type Error = BadInput;
    type Future = LocalBoxFuture<'static, std::result::Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = media_type
            .map(|it| it.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let payload = payload.take();
        Box::pin(async move {
            let bytes = timeout(BODY_DEADLINE, collected(payload));
            let bytes = bytes.await.unwrap_or(Err(BadInput::TooSlow))?;
            Ok(Self { bytes, media_type })
        })
    }
}

async fn collected(mut payload: Payload) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("The request's body broke off."))?;
        if bytes.len() + chunk.len() > BODY_MAX {
            return Err(BadInput::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

impl ResponseError for BadInput {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OutOfRange(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Where browsers say that they only look ahead.
static AHEAD: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];

/// Whether a person comes to see the page: a GET, and not one that a browser
/// sends ahead in case they do.
pub fn is_visit(request: &HttpRequest) -> bool {
    let ahead = AHEAD.iter().any(|name| {
        let purpose = request.headers().get(name).and_then(|value| value.to_str().ok());
        let purpose = purpose.map(str::to_ascii_lowercase);
        purpose.is_some_and(|purpose| purpose.contains("prefetch") || purpose.contains("prerender"))
    });
    request.method() == Method::GET && !ahead
}

/// A value of JSON as a form would have it; `None` for null.
fn scalar(name: &str, value: Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => {
            let what = format!("The field {} must be a text or a number.", quoted(name));
            Err(BadInput::OutOfRange(what))
        }
    }
}

fn malformed(what: &str) -> BadInput {
    BadInput::Malformed(what.to_owned())
}

/// A name as it was sent, for a sentence.
fn quoted(name: &str) -> String {
    format!("\u{201c}{}\u{201d}", hitrate_cache::trace::shortened(name, 40))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(query: &str) -> Fields<'_> {
        Fields::of_pairs(query, Known::once(&["id", "ttl", "name", "cache"])).unwrap()
    }

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
        let none = Fields::of_pairs("x=1", Known::once(&[])).unwrap_err();
        assert_eq!(none.to_string(), "There is no field “x” here, nor any other.");
        for bad in ["x=1", "id=1&id=2", "id=1&ID=2"] {
            let known = Known::once(&["id"]);
            assert!(matches!(Fields::of_pairs(bad, known), Err(BadInput::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn a_list_may_be_sent_in_pieces_and_as_an_array() {
        let known = Known { once: &["id"], lists: &["policy"] };
        let list = |fields: Result<Fields<'_>>| -> Vec<String> {
            fields.unwrap().list("policy").map(str::to_owned).collect()
        };
        let json = |text: &str| Fields::of_json(text.as_bytes(), known);
        assert_eq!(list(Fields::of_pairs("policy=a&id=1&policy=&policy=b", known)), ["a", "b"]);
        assert_eq!(list(json(r#"{"policy": ["a", null, "b"]}"#)), ["a", "b"]);
        assert_eq!(list(json(r#"{"policy": "a"}"#)), ["a"]);
        assert!(list(json("{}")).is_empty());
        for bad in [r#"{"id": ["1"]}"#, r#"{"policy": [["a"]]}"#, r#"{"policy": {"a": 1}}"#] {
            assert!(matches!(json(bad), Err(BadInput::OutOfRange(_))), "{bad}");
        }
    }

    #[test]
    fn a_number_keeps_to_its_range() {
        assert_eq!(fields("ttl=10").number("ttl", 1..=86_400), Ok(Some(10)));
        assert_eq!(fields("").number("ttl", 1..=86_400), Ok(None));
        for bad in ["0", "-1", "86401", "99999999999999999999", "1.5", "1e3", "NaN", "%2010", "x"] {
            let query = format!("ttl={bad}");
            let fields = fields(&query);
            assert!(
                matches!(fields.number("ttl", 1..=86_400), Err(BadInput::OutOfRange(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_text_is_one_bounded_line() {
        assert_eq!(fields("name=+Ann+").text("name", 1..=5).as_deref(), Ok("Ann"));
        for bad in ["name=", "name=+", "name=abcdef", "name=a%0ab", "name=%00", "name=%ff"] {
            assert!(fields(bad).text("name", 1..=5).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        let choices = [("on", true), ("off", false)];
        assert_eq!(fields("cache=off").choice("cache", &choices), Ok(Some(false)));
        assert!(fields("cache=maybe").choice("cache", &choices).is_err());
    }

    #[test]
    fn json_carries_texts_and_numbers() {
        let json = br#"{"name": "Ann", "age": 30, "email": null}"#;
        let fields = Fields::of_json(json, Known::once(&["name", "age", "email"])).unwrap();
        assert_eq!(fields.number("age", 0..=150), Ok(Some(30)));
        assert!(fields.optional("email").is_none());
        for bad in [&b"{"[..], b"[]", br#"{"name": {}}"#, br#"{"x": 1}"#, b"\xff"] {
            assert!(Fields::of_json(bad, Known::once(&["name"])).is_err());
        }
    }
}
