//! Several commands in one round trip, and a second one for the scripts that Redis does not
//! have.

use std::borrow::Cow;

use redis::{Pipeline, Value};

use crate::redis::{
    command::Command,
    error::RedisError,
    script::{Script, is_noscript},
};

/// Commands to send together.
pub(super) struct Batch {
    pub pipeline: Pipeline,
    pub verbs: Vec<Cow<'static, str>>,
    pub scripts: Vec<Option<&'static Script>>,
    /// As shown in the trace; empty if it is disabled.
    pub texts: Vec<String>,
}

/// The scripts of a batch that Redis did not have, to be sent again by their text. They did
/// nothing the first time.
pub(super) struct Retry {
    pub pipeline: Pipeline,
    indices: Vec<usize>,
}

/// One result per command; an error where Redis did not reply.
pub(super) type BatchReplies = Vec<Result<Value, RedisError>>;

impl Batch {
    pub fn of(commands: impl IntoIterator<Item = Command>, is_recorded: bool) -> Self {
        let (verbs, scripts, texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = Self { pipeline: Pipeline::new(), verbs, scripts, texts };
        for command in commands {
            if is_recorded {
                batch.texts.push(command.text());
            }
            batch.verbs.push(command.verb());
            batch.scripts.push(command.script);
            batch.pipeline.add_command(command.cmd);
        }
        batch
    }

    /// The second round trip, if these replies ask for one.
    pub fn retry(&self, replies: &[Value]) -> Option<Retry> {
        let mut retry = Retry { pipeline: Pipeline::new(), indices: Vec::new() };
        for (n, call) in self.pipeline.cmd_iter().enumerate() {
            if let Some(script) = self.scripts[n].filter(|_| is_noscript(&replies[n])) {
                retry.pipeline.add_command(script.eval(call));
                retry.indices.push(n);
            }
        }
        (!retry.indices.is_empty()).then_some(retry)
    }
}

impl Retry {
    /// Puts the replies of the second round trip in place. Its error concerns only the
    /// scripts that were sent again.
    pub fn merge(self, replies: Vec<Value>, again: Result<Vec<Value>, RedisError>) -> BatchReplies {
        let mut replies: BatchReplies = replies.into_iter().map(Ok).collect();
        for (n, index) in self.indices.into_iter().enumerate() {
            replies[index] = match &again {
                Ok(again) => Ok(again[n].clone()),
                Err(error) => Err(error.clone()),
            };
        }
        replies
    }
}

#[cfg(test)]
mod tests {
    use redis::{ServerError, parse_redis_value};

    use super::*;

    static SCRIPT: Script = Script::new("-- adds one\nreturn redis.call('INCR', KEYS[1])");

    fn noscript() -> Value {
        let reply = parse_redis_value(b"-NOSCRIPT No matching script.\r\n");
        reply.unwrap_or_else(|error| Value::ServerError(ServerError::try_from(error).unwrap()))
    }

    #[test]
    fn only_unknown_scripts_are_sent_again_and_only_they_have_the_error() {
        let script = || Command::script(&SCRIPT, &["k"]);
        let batch = Batch::of([script(), Command::new("PING"), script()], false);
        assert!(batch.retry(&[Value::Int(1), Value::Okay, Value::Int(2)]).is_none());
        let replies = || vec![noscript(), Value::Okay, Value::Int(2)];
        let retry = batch.retry(&replies()).unwrap();
        assert_eq!(retry.pipeline.cmd_iter().count(), 1);
        let merged = retry.merge(replies(), Ok(vec![Value::Int(1)]));
        assert_eq!(merged, [Ok(Value::Int(1)), Ok(Value::Okay), Ok(Value::Int(2))]);
        let retry = batch.retry(&replies()).unwrap();
        let merged = retry.merge(replies(), Err(RedisError::TimedOut));
        assert_eq!(merged, [Err(RedisError::TimedOut), Ok(Value::Okay), Ok(Value::Int(2))]);
    }
}
