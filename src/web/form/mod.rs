//! Parses input: query, form or JSON, as a bounded set of [`Fields`]. [`query`] and
//! [`Body::parse`] parse them into a struct; forms that are described by data are parsed
//! field by field.

mod deserializer;
mod fields;

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest, ResponseError,
    dev::Payload,
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
};
use futures_util::{StreamExt as _, future::LocalBoxFuture};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use tokio::time::timeout;

pub use self::fields::Fields;
use crate::input::{FieldError, FieldErrors};

/// Maximum size of a body in bytes, far above the size of any form.
pub const BODY_MAX: usize = 64 * 1024;
/// Maximum time for a body to arrive; a form takes milliseconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(8);

/// Error of invalid input. The text says what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// 400 if malformed, 422 if out of range.
    #[error(transparent)]
    Fields(#[from] FieldErrors),
    /// 408: the body did not arrive in time.
    #[error("The request body did not arrive in time.")]
    TooSlow,
    /// 413: the body is too large.
    #[error("The request body is larger than 64 KiB.")]
    TooLarge,
    /// 415: neither a form nor JSON.
    #[error(
        "Send the fields as a form (application/x-www-form-urlencoded) or as JSON (application/json)."
    )]
    WrongType,
}

type Result<T> = std::result::Result<T, BadInput>;

/// Query of a page that shows results of POSTs.
#[derive(Deserialize)]
pub struct RunQuery {
    /// Token of a result.
    pub run: Option<String>,
}

/// A form or a query without fields.
#[derive(Deserialize)]
pub struct NoFields {}

/// For `deserialize_with`, together with `default`: an empty field counts as present.
pub fn even_if_empty<'de, T, D>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Parses the query string into a struct. Unknown fields are rejected.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T> {
    Ok(Fields::of_query(request)?.parse()?)
}

/// The fields of the query string, to be shown again; none if it can't be parsed.
pub fn sent(request: &HttpRequest) -> Fields<'_> {
    Fields::of_query(request).unwrap_or_default()
}

/// The body of a request, limited in size, before it is parsed.
pub struct Body {
    bytes: Vec<u8>,
    media_type: Option<String>,
}

impl Body {
    /// Parses the body into a struct. Unknown fields are rejected.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(self.fields()?.parse()?)
    }

    /// The fields of the body.
    pub fn fields(&self) -> Result<Fields<'_>> {
        match self.media_type.as_deref() {
            None if self.bytes.is_empty() => Ok(Fields::default()),
            Some("application/x-www-form-urlencoded") => {
                let text = std::str::from_utf8(&self.bytes)
                    .map_err(|_| FieldError::malformed("The form is not valid UTF-8."))?;
                Ok(Fields::of_pairs(text)?)
            }
            Some("application/json") => Ok(Fields::of_json(&self.bytes)?),
            _ => Err(BadInput::WrongType),
        }
    }

    /// The fields of the body, to be shown again; none if it can't be parsed.
    pub fn sent(&self) -> Fields<'_> {
        self.fields().unwrap_or_default()
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
            let bytes = timeout(BODY_TIMEOUT, collected(payload));
            let bytes = bytes.await.unwrap_or(Err(BadInput::TooSlow))?;
            Ok(Self { bytes, media_type })
        })
    }
}

async fn collected(mut payload: Payload) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| FieldError::malformed("The request body was cut off."))?;
        if bytes.len() + chunk.len() > BODY_MAX {
            return Err(BadInput::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

impl From<FieldError> for BadInput {
    fn from(error: FieldError) -> Self {
        Self::Fields(error.into())
    }
}

impl ResponseError for BadInput {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Fields(errors) if errors.is_malformed() => StatusCode::BAD_REQUEST,
            Self::Fields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// Headers by which browsers announce a prefetch.
static PREFETCH_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];

/// Whether a person visits the page: a GET that is not a prefetch.
pub fn is_visit(request: &HttpRequest) -> bool {
    let is_prefetch = PREFETCH_HEADERS.iter().any(|name| {
        let purpose = request.headers().get(name).and_then(|value| value.to_str().ok());
        let purpose = purpose.map(str::to_ascii_lowercase);
        purpose.is_some_and(|purpose| purpose.contains("prefetch") || purpose.contains("prerender"))
    });
    request.method() == Method::GET && !is_prefetch
}
