//! Lua scripts: sent by their digest, and by their text if Redis does not have them
//! (redis.io/commands/evalsha).

use std::sync::OnceLock;

use redis::{Arg, Cmd, ToRedisArgs, Value};

/// A script and its digest.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    stores: bool,
    digest: OnceLock<String>,
}

impl Script {
    /// Creates a script from its text. The first line is a comment that says what
    /// it does.
    pub const fn new(text: &'static str) -> Self {
        Self { text, stores: false, digest: OnceLock::new() }
    }

    /// Creates a script that writes, and replies 0 if it did not.
    pub const fn storing(text: &'static str) -> Self {
        Self { text, stores: true, digest: OnceLock::new() }
    }

    /// Whether this reply says that the script wrote something.
    pub(super) fn has_stored(&self, reply: &Value) -> bool {
        let first = match reply {
            Value::Array(parts) => parts.first().unwrap_or(&Value::Nil),
            reply => reply,
        };
        self.stores && *first != Value::Int(0)
    }

    /// The first line, which the trace shows.
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default()
    }

    pub(super) fn digest(&self) -> &str {
        self.digest.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }

    /// `EVALSHA digest numkeys key …`
    pub(super) fn evalsha(&self, keys: &[impl ToRedisArgs]) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(self.digest()).arg(keys.len()).arg(keys);
        cmd
    }

    /// Converts the call to EVAL with the script's text, which Redis then caches.
    pub(super) fn eval(&self, call: &Cmd) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(self.text);
        for arg in call.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }
}

/// Whether Redis does not have the script, and so did nothing.
pub fn is_noscript(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eval_replaces_the_digest_by_the_text() {
        let script = Script::new("-- says hello\nreturn 'hello'");
        let mut call = script.evalsha(&["a".to_owned()]);
        call.arg("x");
        let args = |cmd: &Cmd| {
            let text = |arg| match arg {
                Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            };
            cmd.args_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(args(&call)[..1], ["EVALSHA"]);
        assert_eq!(args(&call)[2..], ["1", "a", "x"]);
        assert_eq!(args(&script.eval(&call)), ["EVAL", script.text, "1", "a", "x"]);
        assert_eq!(script.summary(), "-- says hello");
    }
}
