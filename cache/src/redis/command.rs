//! A command builder: verb, keys, arguments.

use std::{borrow::Cow, io::Write as _};

use redis::{Arg, Cmd, RedisWrite, ToRedisArgs};

use crate::redis::{notation::traced_command, script::Script};

/// Initial capacity: enough for the arguments of most commands, and their bytes.
const ARG_CAPACITY: usize = 4;
const BYTE_CAPACITY: usize = 96;

/// A command, and the script it calls, if any.
pub struct Command {
    pub(super) cmd: Cmd,
    pub(super) script: Option<&'static Script>,
    verb: Cow<'static, str>,
}

impl Command {
    /// Starts a command with this verb.
    pub(super) fn new(verb: &'static str) -> Self {
        let mut cmd = Cmd::with_capacity(ARG_CAPACITY, BYTE_CAPACITY);
        cmd.arg(verb);
        Self { cmd, script: None, verb: verb.into() }
    }

    /// Starts a script call on these full keys.
    pub(super) fn script(script: &'static Script, keys: &[impl ToRedisArgs]) -> Self {
        let cmd = script.evalsha(keys);
        Self { cmd, script: Some(script), verb: "EVALSHA".into() }
    }

    /// Builds a command from raw arguments, verb first.
    pub(super) fn raw<W: ToRedisArgs>(args: &[W]) -> Self {
        let mut cmd = Cmd::new();
        cmd.arg(args);
        let verb = match cmd.args_iter().next() {
            Some(Arg::Simple(verb)) => String::from_utf8_lossy(verb).into_owned(),
            _ => String::new(),
        };
        Self { cmd, script: None, verb: verb.into() }
    }

    /// Adds a key: prefix and name form one argument.
    pub(super) fn key(mut self, prefix: &str, key: &str) -> Self {
        self.cmd.arg(PrefixedKey { prefix, key });
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.cmd.arg(argument);
        self
    }

    pub(super) fn verb(&self) -> Cow<'static, str> {
        self.verb.clone()
    }

    /// The command as text, with arguments shortened.
    pub(super) fn text(&self) -> String {
        traced_command(&self.cmd, self.script)
    }

    /// The EVAL command to send if Redis does not have the script.
    pub(super) fn eval_fallback(&self) -> Option<Cmd> {
        self.script.map(|script| script.eval(&self.cmd))
    }
}

/// Whether success of this command proves that Redis has memory left and accepts
/// writes. For a script, its reply does: see [`Script::has_stored`].
pub fn proves_writing(verb: &str) -> bool {
    let verb = verb.as_bytes();
    DENY_OOM.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(verb))
}

/// The commands that COMMAND flags `denyoom` (Redis 7.0): Redis rejects them when
/// it is full or read-only. Commands that have the flag on some subcommands only
/// are left out.
#[rustfmt::skip]
const DENY_OOM: [&str; 53] = [
    // The most frequent ones come first.
    "SET", "INCR", "INCRBY", "HSET", "SADD", "ZADD", "LPUSH", "RPUSH", "XADD", "PFADD", "SETBIT",
    "APPEND", "BITFIELD", "BITOP", "BLMOVE", "BRPOPLPUSH", "COPY", "DECR", "DECRBY", "GEOADD",
    "GEORADIUS", "GEORADIUSBYMEMBER", "GEOSEARCHSTORE", "GETSET", "HINCRBY", "HINCRBYFLOAT", "HMSET",
    "HSETNX", "INCRBYFLOAT", "LINSERT", "LMOVE", "LPUSHX", "LSET", "MSET", "MSETNX", "PFMERGE",
    "PSETEX", "RESTORE", "RPOPLPUSH", "RPUSHX", "SDIFFSTORE", "SETEX", "SETNX", "SETRANGE",
    "SINTERSTORE", "SORT", "SUNIONSTORE", "XSETID", "ZDIFFSTORE", "ZINCRBY", "ZINTERSTORE",
    "ZRANGESTORE", "ZUNIONSTORE",
];

/// A full key, written into a command without an intermediate string.
struct PrefixedKey<'a> {
    prefix: &'a str,
    key: &'a str,
}

impl ToRedisArgs for PrefixedKey<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        for part in [self.prefix, self.key] {
            argument.write_all(part.as_bytes()).expect("writing to memory does not fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_redis_rejects_when_full_proves_writing() {
        for verb in ["SET", "set", "BITOP", "XADD"] {
            assert!(proves_writing(verb), "{verb}");
        }
        for verb in ["GET", "UNLINK", "EXPIRE", "EVALSHA", ""] {
            assert!(!proves_writing(verb), "{verb}");
        }
    }
}
