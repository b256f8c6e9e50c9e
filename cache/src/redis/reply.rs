//! Replies of Redis: values, and refusals in its own words.

use redis::{FromRedisValue, Value};

use crate::redis::{error::RedisError, notation::Notation};

/// What Redis says when it refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Its own words, for someone who typed the command: they may name keys.
    pub message: String,
    /// The same, as anything else sees it.
    pub error: RedisError,
}

/// The replies to several commands; the outer error means that there are none.
pub(super) type Replies = Result<Vec<Result<Value, Refusal>>, RedisError>;

/// A reply with its refusal in Redis's own words; an error in ours.
pub(super) fn or_refusal(reply: Result<Value, RedisError>) -> Result<Value, Refusal> {
    let refusal = |error: RedisError| Refusal { message: error.to_string(), error };
    reply.map_err(refusal).and_then(check_refusal)
}

/// An error reply as a refusal.
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

/// The reply of one of several commands, as health is told of it.
pub(super) fn outcome_at(replies: &Replies, n: usize) -> Result<Value, RedisError> {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(_) => Ok(Value::Nil),
            Err(refusal) => Err(refusal.error.clone()),
        },
        Err(error) => Err(error.clone()),
    }
}

/// The same, as the trace shows it.
pub(super) fn text_at(replies: &Replies, n: usize) -> String {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(value) => Notation::TRACE.value(value),
            Err(refusal) => format!("(error) {refusal}"),
        },
        Err(error) => format!("(error) {error}"),
    }
}

/// A reply as the type that the caller expects.
pub fn typed<T: FromRedisValue>(value: Value) -> Result<T, RedisError> {
    redis::from_redis_value(value).map_err(|_| RedisError::Other("wrong type".to_owned()))
}
