//! The server's own descriptions of its commands: syntax, keys, categories and cost.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    redis::{Client, DedicatedConnection, RedisError, Refusal, Value},
    trace::Trace,
};
use moka::sync::Cache;

use super::command_line::Word;

/// Maximum number of cached commands: twice as many as a server without modules has.
const MAX_ENTRIES: u64 = 1_024;
/// TTL of a cached command: a different server may be connected later.
const CACHE_TTL: Duration = Duration::from_secs(600);
/// Commands that are deprecated before the server says so (redis.io/docs, each command's
/// page).
const DEPRECATED: [(&str, &str); 3] = [
    ("setex", "SET with the EX argument"),
    ("psetex", "SET with the PX argument"),
    ("setnx", "SET with the NX argument"),
];
/// Maximum length of a command's name.
const NAME_MAX: usize = 32;

/// A command, by `COMMAND INFO` and, since Redis 7, `COMMAND DOCS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name in lower case; `object|encoding` for a subcommand.
    pub name: String,
    /// Number of words, including its name; a minimum if negative.
    pub arity: i64,
    /// `write`, `denyoom`, `movablekeys` …
    pub flags: Vec<String>,
    /// The position of its first key; 0 if there is none.
    pub first: i64,
    /// The position of its last key; negative counts from the end.
    pub last: i64,
    /// The distance from one key to the next.
    pub step: i64,
    /// `@string`, `@read` …
    pub categories: Vec<String>,
    /// Whether it has subcommands.
    pub has_subcommands: bool,
    /// Its description.
    pub summary: Option<String>,
    /// Its time complexity.
    pub complexity: Option<String>,
    /// Its replacement, if it is deprecated.
    pub replaced_by: Option<String>,
}

impl CommandSpec {
    /// Whether it has this flag.
    pub fn flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|it| it == flag)
    }

    /// Whether it is in this category, named without its `@`.
    pub fn is_in(&self, category: &str) -> bool {
        self.categories.iter().any(|it| it.strip_prefix('@') == Some(category))
    }

    /// Whether the command may have this many words.
    pub fn takes(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        if self.arity < 0 { words >= -self.arity } else { words == self.arity }
    }

    /// Parses one element of the reply to `COMMAND INFO`.
    fn of_info(info: &Value) -> Option<Self> {
        let parts = array(info)?;
        let number = |n: usize| match parts.get(n) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        Some(Self {
            name: text(parts.first()?)?.to_ascii_lowercase(),
            arity: number(1)?,
            flags: texts(parts.get(2)?),
            first: number(3)?,
            last: number(4)?,
            step: number(5)?,
            // Since Redis 6; without categories nothing is allowed.
            categories: parts.get(6).map(texts).unwrap_or_default(),
            has_subcommands: parts.get(9).and_then(array).is_some_and(|it| !it.is_empty()),
            ..Self::default()
        })
    }

    /// Adds the reply to `COMMAND DOCS`, if there is one.
    fn and_docs(mut self, docs: &Value) -> Self {
        let docs = array(docs).and_then(|it| it.get(1)).and_then(array).unwrap_or_default();
        let field = |name: &str| {
            let pairs = docs.as_chunks::<2>().0.iter();
            let mut found = pairs.filter(|pair| text(&pair[0]).as_deref() == Some(name));
            found.find_map(|pair| text(&pair[1]))
        };
        self.summary = field("summary");
        self.complexity = field("complexity");
        let known = DEPRECATED.iter().find(|(name, _)| *name == self.name);
        let known = || known.map(|(_, instead)| (*instead).to_owned());
        self.replaced_by = field("replaced_by").map(|it| it.replace('`', "")).or_else(known);
        self
    }
}

/// A cache of command descriptions.
pub struct Catalogue(Cache<String, Option<Arc<CommandSpec>>>);

impl Default for Catalogue {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(CACHE_TTL).build())
    }
}

impl Catalogue {
    /// The command that these words call; none if the server does not have it.
    pub async fn find(
        &self,
        words: &[Word],
        store: &Client,
        connection: &mut DedicatedConnection,
        trace: &Trace,
    ) -> Result<Option<Arc<CommandSpec>>, RedisError> {
        let Some(name) = words.first().and_then(|word| name(word)) else { return Ok(None) };
        let found = self.named(&name, store, connection, trace).await?;
        match (found, words.get(1)) {
            (Some(family), Some(word)) if family.has_subcommands => {
                let Some(second) = self::name(word) else { return Ok(None) };
                self.named(&format!("{name}|{second}"), store, connection, trace).await
            }
            (found, _) => Ok(found),
        }
    }

    /// The command of this name.
    pub async fn named(
        &self,
        name: &str,
        store: &Client,
        connection: &mut DedicatedConnection,
        trace: &Trace,
    ) -> Result<Option<Arc<CommandSpec>>, RedisError> {
        if let Some(known) = self.0.get(name) {
            return Ok(known);
        }
        let command = |subcommand| store.raw_command(&["COMMAND", subcommand, name]);
        let answers =
            connection.pipeline_raw(vec![command("INFO"), command("DOCS")], trace).await?;
        let spec = read(&answers.replies)?.map(Arc::new);
        self.0.insert(name.to_owned(), spec.clone());
        Ok(spec)
    }
}

/// Parses both replies. A missing `COMMAND DOCS`, before Redis 7, is not an error.
fn read(replies: &[Result<Value, Refusal>]) -> Result<Option<CommandSpec>, RedisError> {
    let info = match &replies[0] {
        Ok(info) => array(info).and_then(|it| it.first()),
        Err(refusal) => return Err(refusal.error.clone()),
    };
    let spec = info.and_then(CommandSpec::of_info);
    Ok(spec.map(|spec| match &replies[1] {
        Ok(docs) => spec.and_docs(docs),
        Err(_) => spec,
    }))
}

/// A word as a command name, if it can be one. (`SET|GET` in one word can't.)
fn name(word: &[u8]) -> Option<String> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let text = std::str::from_utf8(word).ok()?;
    let is_name = (1..=NAME_MAX).contains(&word.len()) && word.iter().all(fits);
    is_name.then(|| text.to_ascii_lowercase())
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(parts) | Value::Set(parts) => Some(parts),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    array(value).unwrap_or_default().iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Value {
        Value::SimpleString(text.to_owned())
    }

    #[test]
    fn a_command_is_read_from_info_and_docs() {
        let info = Value::Array(vec![
            Value::BulkString(b"SetEx".to_vec()),
            Value::Int(4),
            Value::Set(vec![status("write"), status("denyoom")]),
            Value::Int(1),
            Value::Int(1),
            Value::Int(1),
            Value::Set(vec![status("@write"), status("@string")]),
        ]);
        let words = ["summary", "Sets it.", "replaced_by", "`SET` with `EX`"];
        let docs = words.iter().map(|it| Value::BulkString(it.as_bytes().to_vec())).collect();
        let docs = Value::Array(vec![status("setex"), Value::Array(docs)]);
        let spec = read(&[Ok(Value::Array(vec![info])), Ok(docs)]).unwrap().unwrap();
        assert_eq!((spec.name.as_str(), spec.arity, spec.first), ("setex", 4, 1));
        assert!(spec.flag("denyoom") && spec.is_in("string") && !spec.is_in("@string"));
        assert!(spec.takes(4) && !spec.takes(3) && !spec.has_subcommands);
        assert_eq!(spec.summary.as_deref(), Some("Sets it."));
        assert_eq!(spec.replaced_by.as_deref(), Some("SET with EX"));
    }

    #[test]
    fn an_unknown_command_is_nil_and_odd_names_are_not_sent() {
        let nothing = Ok(Value::Array(vec![Value::Nil]));
        assert_eq!(read(&[nothing, Ok(Value::Array(vec![]))]), Ok(None));
        for odd in [&b""[..], b"get|x", b"a b", b"\x00", "gét".as_bytes(), &[b'x'; 33]] {
            assert_eq!(name(odd), None, "{odd:?}");
        }
        assert_eq!(name(b"GeT").as_deref(), Some("get"));
    }
}
