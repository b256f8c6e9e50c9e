//! What a visitor sent: query, form or JSON, as one bounded set of [`Fields`].
//! They are parsed into types here, at the edge: a form that is a struct by
//! [`query`] and [`Body::parse`], one described by data field by field.

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
use crate::input::FieldError;

/// The largest body, in bytes: far more than any form here needs.
pub const BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive; a form takes milliseconds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// Why what was sent is not taken. Says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// 400 if it can't be understood, 422 if it is out of range.
    #[error(transparent)]
    Field(#[from] FieldError),
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
}

type Result<T> = std::result::Result<T, BadInput>;

/// The query of a page that shows results of POSTs.
#[derive(Deserialize)]
pub struct RunQuery {
    /// The token of a result.
    pub run: Option<String>,
}

/// A form or a query without fields.
#[derive(Deserialize)]
pub struct NoFields {}

/// For `deserialize_with`, beside `default`: an empty field counts as sent.
pub fn even_if_empty<'de, T, D>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The fields after the `?` as a struct, which has no others.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T> {
    Ok(Fields::of_query(request).parse()?)
}

/// The body of a request, within its bounds, not parsed yet.
pub struct Body {
    bytes: Vec<u8>,
    media_type: Option<String>,
}

impl Body {
    /// The body's fields as a struct, which has no others.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(self.fields()?.parse()?)
    }

    /// The body's fields.
    pub fn fields(&self) -> Result<Fields<'_>> {
        match self.media_type.as_deref() {
            None if self.bytes.is_empty() => Ok(Fields::default()),
            Some("application/x-www-form-urlencoded") => {
                let text = std::str::from_utf8(&self.bytes)
                    .map_err(|_| FieldError::malformed("The form is no text."))?;
                Ok(Fields::of_pairs(text))
            }
            Some("application/json") => Ok(Fields::of_json(&self.bytes)?),
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
        let chunk = chunk.map_err(|_| FieldError::malformed("The request's body broke off."))?;
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
            Self::Field(error) if error.is_malformed() => StatusCode::BAD_REQUEST,
            Self::Field(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
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
