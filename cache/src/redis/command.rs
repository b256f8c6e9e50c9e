//! A command in the making: verb, keys, arguments.

use std::{borrow::Cow, io::Write as _};

use redis::{Arg, Cmd, RedisWrite, ToRedisArgs};

use crate::redis::{notation::traced_command, script::Script};

/// Room for the words of most commands, and for their bytes.
const ARG_CAPACITY: usize = 4;
const BYTE_CAPACITY: usize = 96;

/// A command, and the script it calls if it calls one.
pub struct Command {
    pub(super) cmd: Cmd,
    pub(super) script: Option<&'static Script>,
    verb: Cow<'static, str>,
}

impl Command {
    /// A command of this verb.
    pub(super) fn new(verb: &'static str) -> Self {
        let mut cmd = Cmd::with_capacity(ARG_CAPACITY, BYTE_CAPACITY);
        cmd.arg(verb);
        Self { cmd, script: None, verb: verb.into() }
    }

    /// A call of a script on these keys, by their whole names.
    pub(super) fn script(script: &'static Script, names: &[impl ToRedisArgs]) -> Self {
        let cmd = script.evalsha(names);
        Self { cmd, script: Some(script), verb: "EVALSHA".into() }
    }

    /// A command of any words, verb first.
    pub(super) fn raw<W: ToRedisArgs>(args: &[W]) -> Self {
        let mut cmd = Cmd::new();
        cmd.arg(args);
        let verb = match cmd.args_iter().next() {
            Some(Arg::Simple(verb)) => String::from_utf8_lossy(verb).into_owned(),
            _ => String::new(),
        };
        Self { cmd, script: None, verb: verb.into() }
    }

    /// Adds a key: prefix and name are one argument.
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

    /// As a person reads it, arguments shortened.
    pub(super) fn text(&self) -> String {
        traced_command(&self.cmd, self.script)
    }

    /// The call that works where Redis does not know the script by its digest.
    pub(super) fn eval_fallback(&self) -> Option<Cmd> {
        self.script.map(|script| script.eval(&self.cmd))
    }
}

/// Whether the success of a command says that Redis has memory left and takes
/// writes. Of a script its reply says so: see [`Script::has_stored`].
pub fn proves_writing(verb: &str) -> bool {
    let verb = verb.as_bytes();
    DENY_OOM.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(verb))
}

/// The commands that COMMAND flags `denyoom` (Redis 7.0): Redis refuses them when
/// it is full, as it refuses them when it is read-only. Left out are those
/// of which only some subcommands have the flag.
#[rustfmt::skip]
const DENY_OOM: [&str; 53] = [
    // The ones that are sent most come first.
    "SET", "INCR", "INCRBY", "HSET", "SADD", "ZADD", "LPUSH", "RPUSH", "XADD", "PFADD", "SETBIT",
    "APPEND", "BITFIELD", "BITOP", "BLMOVE", "BRPOPLPUSH", "COPY", "DECR", "DECRBY", "GEOADD",
    "GEORADIUS", "GEORADIUSBYMEMBER", "GEOSEARCHSTORE", "GETSET", "HINCRBY", "HINCRBYFLOAT", "HMSET",
    "HSETNX", "INCRBYFLOAT", "LINSERT", "LMOVE", "LPUSHX", "LSET", "MSET", "MSETNX", "PFMERGE",
    "PSETEX", "RESTORE", "RPOPLPUSH", "RPUSHX", "SDIFFSTORE", "SETEX", "SETNX", "SETRANGE",
    "SINTERSTORE", "SORT", "SUNIONSTORE", "XSETID", "ZDIFFSTORE", "ZINCRBY", "ZINTERSTORE",
    "ZRANGESTORE", "ZUNIONSTORE",
];

/// A key as Redis knows it, written into a command without a text in between.
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
