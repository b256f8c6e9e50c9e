//! Decides which commands a visitor may run, by the server's description of each and by
//! its possible cost.
//!
//! Nothing is allowed by default. A command runs if it works on one of the data types, on
//! keys that can be determined for certain, and does nothing that reaches beyond them,
//! blocks, or takes disproportionate memory or time.

use super::{catalogue::CommandSpec, command_line::Word, key_positions, rules};

/// Maximum length of a key, in bytes.
const NAME_MAX: usize = 200;
/// Maximum number of times a command may name one key, which bounds the reply to a
/// multiple of the stored data.
const REPEATS: usize = 2;

/// The reason why a command is not permitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPermitted(pub String);

/// A permitted command, before its keys are renamed.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The positions of the keys.
    pub keys: Vec<usize>,
    /// Whether it is a write command.
    pub writes: bool,
    /// Whether it may add keys or make values larger.
    pub grows: bool,
    /// Whether it has the wrong number of words, so that the server rejects it before
    /// accessing any key.
    pub has_wrong_arity: bool,
}

/// The permitted data types, as Redis command categories.
const TYPES: [&str; 10] = [
    "string",
    "hash",
    "list",
    "set",
    "sortedset",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "keyspace",
];
/// Permitted commands of no data type.
const TYPELESS: [&str; 4] = ["ping", "echo", "time", "memory|usage"];
/// Commands that need no keys: some of these, and help subcommands.
const KEYLESS: [&str; 3] = ["ping", "echo", "time"];
const HELP: [&str; 4] = ["object|help", "xinfo|help", "xgroup|help", "memory|help"];

/// Individual commands that are rejected, and the reason.
const REFUSED_COMMANDS: [(&[&str], &str); 9] = [
    (
        &["keys", "scan", "randomkey", "dbsize"],
        "it scans all keys of the server, including those of other visitors",
    ),
    (&["flushall", "flushdb"], "it removes all keys of the server, not only yours"),
    (&["move", "swapdb", "select"], "it accesses another database of the server"),
    (&["sort", "sort_ro"], "its BY and GET patterns read keys that it does not name"),
    (&["dump", "restore", "restore-asking", "migrate"], "it bypasses Redis's validation of values"),
    (&["lcs", "stralgo"], "its memory use is the product of both lengths"),
    (&["wait", "waitaof"], "it blocks until other servers respond"),
    (&["quit", "reset", "auth", "hello", "client"], "each command here uses its own connection"),
    (&["lolwut", "command", "info", "lastsave", "role"], "it concerns the server, not keys"),
];

/// Categories that are rejected, and the reason.
const REFUSED_CATEGORIES: [(&str, &str); 7] = [
    ("scripting", "a script can access any key"),
    ("pubsub", "it sends messages to other clients or receives them"),
    (
        "transaction",
        "each command here uses its own connection, and a transaction needs one for several commands",
    ),
    ("blocking", "it may block its connection"),
    ("admin", "it is for administrators"),
    (
        "dangerous",
        "Redis classifies it as dangerous: it affects more than single keys, or blocks other clients",
    ),
    ("connection", "each command here uses its own connection"),
];
/// Commands that block only with the option BLOCK, which is rejected.
const MAY_BLOCK: [&str; 2] = ["xread", "xreadgroup"];

/// Write commands that never add data. All others need room in the quota, whatever the
/// server says: XREADGROUP creates consumers but is not marked `denyoom`.
const SHRINKING: [&str; 31] = [
    "del",
    "unlink",
    "getdel",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "persist",
    "lpop",
    "rpop",
    "lrem",
    "ltrim",
    "spop",
    "srem",
    "hdel",
    "zrem",
    "zpopmin",
    "zpopmax",
    "zremrangebyrank",
    "zremrangebyscore",
    "zremrangebylex",
    "xdel",
    "xtrim",
    "xack",
    "lmpop",
    "zmpop",
    "hexpire",
    "hpexpire",
    "hpersist",
    "xgroup|destroy",
    "xgroup|delconsumer",
];

/// Checks whether these words may be sent, and returns what must be done before.
pub fn authorize(words: &[Word], spec: &CommandSpec) -> Result<Authorization, NotPermitted> {
    permitted(spec)?;
    rules::check(words, &spec.name).map_err(|why| refused(spec, &why))?;
    let keys = key_positions::keys(words, spec)
        .ok_or_else(|| refused(spec, "its keys can't be determined for certain"))?;
    let has_wrong_arity = !spec.takes(words.len());
    let needs_keys = !KEYLESS.contains(&spec.name.as_str()) && !is_help(words, spec);
    if keys.is_empty() && needs_keys && !has_wrong_arity {
        return Err(refused(spec, "it contains no key"));
    }
    check_names(words, &keys, spec)?;
    let writes = spec.flag("write");
    let grows = writes && !SHRINKING.contains(&spec.name.as_str());
    Ok(Authorization { keys, writes, grows, has_wrong_arity })
}

fn permitted(spec: &CommandSpec) -> Result<(), NotPermitted> {
    let name = spec.name.as_str();
    let family = name.split('|').next().unwrap_or(name);
    if KEYLESS.contains(&name) || HELP.contains(&name) {
        return Ok(());
    }
    if let Some((_, why)) = REFUSED_COMMANDS.iter().find(|(names, _)| names.contains(&family)) {
        return Err(refused(spec, why));
    }
    let excepted = |category: &str| category == "blocking" && MAY_BLOCK.contains(&name);
    let refusing = REFUSED_CATEGORIES.iter().filter(|(category, _)| !excepted(category));
    if let Some((_, why)) = refusing.into_iter().find(|(it, _)| spec.is_in(it) || spec.flag(it)) {
        return Err(refused(spec, why));
    }
    match TYPELESS.contains(&name) || TYPES.iter().any(|it| spec.is_in(it)) {
        true => Ok(()),
        false => Err(refused(spec, "it does not work on keys of the permitted data types")),
    }
}

/// `OBJECT HELP` and similar; before Redis 7 they have no entry of their own.
fn is_help(words: &[Word], spec: &CommandSpec) -> bool {
    let has_help = words.len() == 2 && words[1].eq_ignore_ascii_case(b"HELP");
    let family = spec.name.split('|').next().unwrap_or_default();
    has_help && HELP.iter().any(|it| it.split('|').next() == Some(family))
}

fn check_names(words: &[Word], keys: &[usize], spec: &CommandSpec) -> Result<(), NotPermitted> {
    let names: Vec<_> = keys.iter().map(|position| &words[*position]).collect();
    if names.iter().any(|name| name.is_empty() || name.len() > NAME_MAX) {
        return Err(refused(spec, &format!("a key must have 1 to {NAME_MAX} bytes")));
    }
    let is_repeated = |name: &&Word| names.iter().filter(|it| *it == name).count() > REPEATS;
    match names.iter().any(is_repeated) {
        true => Err(refused(spec, "it names a key more than twice")),
        false => Ok(()),
    }
}

/// `FLUSHALL is not permitted here: it removes all keys …`
fn refused(spec: &CommandSpec, why: &str) -> NotPermitted {
    let name = spec.name.replace('|', " ").to_ascii_uppercase();
    NotPermitted(format!("{name} is not permitted here: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Word> {
        super::super::command_line::split(line).unwrap()
    }

    fn spec(name: &str, arity: i64, flags: &str, categories: &str) -> CommandSpec {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (first, last, step) = if flags.contains("nokey") { (0, 0, 0) } else { (1, 1, 1) };
        let (flags, categories) = (list(flags), list(categories));
        CommandSpec {
            name: name.into(),
            arity,
            flags,
            first,
            last,
            step,
            categories,
            ..CommandSpec::default()
        }
    }

    #[test]
    fn unknown_types_and_rejected_categories_are_not_permitted() {
        let why = |line: &str, spec: &CommandSpec| authorize(&words(line), spec).unwrap_err().0;
        for (name, categories) in [
            ("config|set", "@admin @slow @dangerous"),
            ("eval", "@slow @scripting"),
            ("get", "@read @string @dangerous"),
            ("blpop", "@write @list @blocking"),
            ("new", "@read"),
            ("json.set", "@json @write"),
        ] {
            let message = why("X a b", &spec(name, -1, "", categories));
            assert!(message.contains("is not permitted here: "), "{message}");
        }
        let flagged = spec("get", 2, "blocking", "@read @string");
        assert!(why("GET a", &flagged).contains("may block"), "a flag counts as well");
        assert!(why("SCAN 0", &spec("scan", -2, "nokey", "@keyspace")).contains("all keys"));
    }

    #[test]
    fn keys_are_found_named_and_not_repeated() {
        let get = spec("get", 2, "readonly", "@read @string");
        let plan = authorize(&words("GET a"), &get).unwrap();
        assert_eq!(
            (plan.keys.as_slice(), plan.writes, plan.has_wrong_arity),
            (&[1][..], false, false)
        );
        assert!(authorize(&words("GET a b"), &get).unwrap().has_wrong_arity);
        assert!(authorize(&words("GET \"\""), &get).is_err());
        assert!(authorize(&words(&format!("GET {}", "x".repeat(201))), &get).is_err());
        let mget = CommandSpec { last: -1, arity: -2, ..get };
        assert!(authorize(&words("MGET a a b"), &mget).is_ok());
        assert!(authorize(&words("MGET a a a"), &mget).is_err());
    }

    #[test]
    fn numbers_that_allocate_memory_are_bounded() {
        let bit = spec("setbit", 4, "write denyoom", "@write @bitmap");
        assert!(authorize(&words("SETBIT a 1001 1"), &bit).unwrap().grows);
        for far in ["1048576", "4294967295", "99999999999999999999999", "-1048576"] {
            assert!(authorize(&words(&format!("SETBIT a {far} 1")), &bit).is_err(), "{far}");
        }
        let field = spec("bitfield", -2, "write denyoom", "@write @bitmap");
        assert!(authorize(&words("BITFIELD 99999999999 SET u8 #100 200"), &field).is_ok());
        for far in ["SET u8 #536870911 1", "SET u8 4294967295 1", "GET u8 0 SET u8 9999999 1"] {
            assert!(authorize(&words(&format!("BITFIELD a {far}")), &field).is_err(), "{far}");
        }
        let random = spec("srandmember", -2, "readonly", "@read @set");
        assert!(authorize(&words("SRANDMEMBER a -100"), &random).is_ok());
        assert!(authorize(&words("SRANDMEMBER a -101"), &random).is_err());
    }

    #[test]
    fn blocking_and_cross_database_options_are_rejected_in_any_case() {
        let xread = spec("xread", -4, "blocking movablekeys", "@read @stream @blocking");
        assert!(authorize(&words("XREAD STREAMS a 0"), &xread).is_ok());
        assert!(authorize(&words("XREAD bLoCk 0 STREAMS a $"), &xread).is_err());
        let copy = CommandSpec { last: 2, ..spec("copy", -3, "write denyoom", "@keyspace @write") };
        assert!(authorize(&words("COPY a b REPLACE"), &copy).is_ok());
        assert!(authorize(&words("COPY a b db 1"), &copy).is_err());
    }

    #[test]
    fn commands_that_may_grow_need_quota() {
        let plan = |name: &str| authorize(&words("X a b"), &spec(name, -1, "write", "@list"));
        assert!(plan("xreadgroup-like").unwrap().grows && plan("rename").unwrap().grows);
        assert!(!plan("lpop").unwrap().grows && plan("lpop").unwrap().writes);
        let scan = spec("hscan", -3, "readonly", "@read @hash");
        assert!(authorize(&words("HSCAN a 0 MATCH *a*"), &scan).is_ok());
        assert!(authorize(&words("HSCAN a 0 match *a*a*a*b"), &scan).is_err());
    }

    #[test]
    fn a_command_without_keys_is_one_of_a_few() {
        let ping = spec("ping", -1, "nokey", "@fast @connection");
        assert_eq!(authorize(&words("PING"), &ping).unwrap().keys, [0; 0]);
        assert!(authorize(&words("FOO"), &spec("foo", -1, "nokey", "@string")).is_err());
        let help = spec("object|help", 2, "nokey", "@keyspace @slow");
        assert!(authorize(&words("OBJECT HELP"), &help).is_ok());
    }
}
