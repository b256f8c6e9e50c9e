//! Replies: values, and error replies in Redis's words.

use redis::{FromRedisValue, Value};

use crate::redis::{error::RedisError, notation::Notation};

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The reply's text, for the user who typed the command; it may contain keys.
    pub message: String,
    /// The reply as an error without text from Redis.
    pub error: RedisError,
}

/// The replies of a pipeline; the outer error means that there are none.
pub(super) type Replies = Result<Vec<Result<Value, Refusal>>, RedisError>;

/// Turns an error reply into a [`Refusal`] in Redis's words, and any other error
/// into one in ours.
pub(super) fn or_refusal(reply: Result<Value, RedisError>) -> Result<Value, Refusal> {
    let refusal = |error: RedisError| Refusal { message: error.to_string(), error };
    reply.map_err(refusal).and_then(check_refusal)
}

/// Turns an error reply into a [`Refusal`].
pub(super) fn check_refusal(value: Value) -> Result<Value, Refusal> {
    match value {
        Value::ServerError(error) => {
            let message = [error.code(), error.details().unwrap_or_default()].join(" ");
            let error = RedisError::from_code(Some(error.code()));
            Err(Refusal { message: message.trim_end().to_owned(), error })
        }
        value => Ok(value),
    }
}

/// The outcome of the `n`th command, as recorded in health.
pub(super) fn outcome_at(replies: &Replies, n: usize) -> Result<Value, RedisError> {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(_) => Ok(Value::Nil),
            Err(refusal) => Err(refusal.error.clone()),
        },
        Err(error) => Err(error.clone()),
    }
}

/// The reply of the `n`th command, as shown in the trace.
pub(super) fn text_at(replies: &Replies, n: usize) -> String {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(value) => Notation::TRACE.value(value),
            Err(refusal) => format!("(error) {refusal}"),
        },
        Err(error) => format!("(error) {error}"),
    }
}

/// Converts a reply to the expected type.
///
/// # Errors
/// Returns [`RedisError::Other`] if the reply has another type.
pub fn typed<T: FromRedisValue>(value: Value) -> Result<T, RedisError> {
    redis::from_redis_value(value).map_err(|_| RedisError::Other("wrong type".to_owned()))
}
