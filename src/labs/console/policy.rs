//! Which commands a visitor may run: by what the server says of each, and by
//! what it would cost.
//!
//! Nothing is allowed by default. A command runs if it works on one of the
//! types, on keys that can be told for certain, and does nothing that reaches
//! beyond them, waits, or takes memory or time out of proportion.

use super::{catalogue::CommandSpec, key_positions, rules, words::Word};

/// The longest name of a key, in bytes.
const NAME_MAX: usize = 200;
/// How often a command may name one key: a reply is at most so many times as
/// large as what is stored.
const REPEATS: usize = 2;

/// Why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// What may be sent, once the keys are renamed.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The places of the keys.
    pub keys: Vec<usize>,
    /// Whether it changes something.
    pub writes: bool,
    /// Whether something may be larger, or more, after it.
    pub grows: bool,
    /// Whether the server will refuse it before it looks at any key, for the
    /// number of its words.
    pub is_misspelt: bool,
}

/// Types that a visitor can work on, as categories of Redis.
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
/// Commands of no type.
const EXTRA: [&str; 4] = ["ping", "echo", "time", "memory|usage"];
/// Of these, and of those that explain themselves, keys are not expected.
const KEYLESS: [&str; 3] = ["ping", "echo", "time"];
const EXPLAINED: [&str; 4] = ["object|help", "xinfo|help", "xgroup|help", "memory|help"];

/// Single commands that are refused, and why.
const NOT_HERE: [(&[&str], &str); 9] = [
    (
        &["keys", "scan", "randomkey", "dbsize"],
        "it looks at all keys of the server, and yours are only some of them",
    ),
    (&["flushall", "flushdb"], "it removes all keys of the server, not only yours"),
    (&["move", "swapdb", "select"], "it reaches into another database of the server"),
    (&["sort", "sort_ro"], "its BY and GET patterns read keys that it does not name"),
    (
        &["dump", "restore", "restore-asking", "migrate"],
        "it carries values past Redis's own checks of them",
    ),
    (&["lcs", "stralgo"], "it takes memory as one length times the other"),
    (&["wait", "waitaof"], "it waits for other servers"),
    (
        &["quit", "reset", "auth", "hello", "client"],
        "here each command has a connection of its own",
    ),
    (&["lolwut", "command", "info", "lastsave", "role"], "it is about the server, not about keys"),
];

/// Categories that are refused, and why.
const CATEGORIES: [(&str, &str); 7] = [
    ("scripting", "a script may name any key while it runs"),
    ("pubsub", "it makes the connection listen or speak to others"),
    (
        "transaction",
        "here each command has a connection of its own, and a transaction needs one for several",
    ),
    ("blocking", "it may wait, and keep its connection waiting"),
    ("admin", "it is for who runs the server"),
    (
        "dangerous",
        "Redis itself calls it dangerous: it reaches beyond single keys, or stops everyone else",
    ),
    ("connection", "here each command has a connection of its own"),
];
/// Commands that wait only with the option BLOCK, which is refused.
const MAY_BLOCK: [&str; 2] = ["xread", "xreadgroup"];

/// Commands that write and leave no more than there was. Any other has to find
/// room first, whatever the server says of it: XREADGROUP makes consumers, and
/// is not marked as needing memory.
const REMOVE: [&str; 31] = [
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

/// Whether these words may be sent, and what has to be done to them before.
pub fn authorize(words: &[Word], spec: &CommandSpec) -> Result<Authorization, Refused> {
    permitted(spec)?;
    rules::kept(words, &spec.name).map_err(|why| refused(spec, &why))?;
    let keys = key_positions::keys(words, spec)
        .ok_or_else(|| refused(spec, "which of its words are keys can't be told for certain"))?;
    let is_misspelt = !spec.takes(words.len());
    let needs_keys = !KEYLESS.contains(&spec.name.as_str()) && !is_explained(words, spec);
    if keys.is_empty() && needs_keys && !is_misspelt {
        return Err(refused(spec, "no key is found in it"));
    }
    named_well(words, &keys, spec)?;
    let writes = spec.flag("write");
    let grows = writes && !REMOVE.contains(&spec.name.as_str());
    Ok(Authorization { keys, writes, grows, is_misspelt })
}

fn permitted(spec: &CommandSpec) -> Result<(), Refused> {
    let name = spec.name.as_str();
    let family = name.split('|').next().unwrap_or(name);
    if KEYLESS.contains(&name) || EXPLAINED.contains(&name) {
        return Ok(());
    }
    if let Some((_, why)) = NOT_HERE.iter().find(|(names, _)| names.contains(&family)) {
        return Err(refused(spec, why));
    }
    let excepted = |category: &str| category == "blocking" && MAY_BLOCK.contains(&name);
    let refusing = CATEGORIES.iter().filter(|(category, _)| !excepted(category));
    if let Some((_, why)) = refusing.into_iter().find(|(it, _)| spec.is_in(it) || spec.flag(it)) {
        return Err(refused(spec, why));
    }
    match EXTRA.contains(&name) || TYPES.iter().any(|it| spec.is_in(it)) {
        true => Ok(()),
        false => Err(refused(spec, "it does not work on keys of one of the types shown here")),
    }
}

/// `OBJECT HELP` and its like; before Redis 7 they have no entry of their own.
fn is_explained(words: &[Word], spec: &CommandSpec) -> bool {
    let asks = words.len() == 2 && words[1].eq_ignore_ascii_case(b"HELP");
    let family = spec.name.split('|').next().unwrap_or_default();
    asks && EXPLAINED.iter().any(|it| it.split('|').next() == Some(family))
}

fn named_well(words: &[Word], keys: &[usize], spec: &CommandSpec) -> Result<(), Refused> {
    let names: Vec<_> = keys.iter().map(|place| &words[*place]).collect();
    if names.iter().any(|name| name.is_empty() || name.len() > NAME_MAX) {
        return Err(refused(spec, &format!("a key has a name of 1 to {NAME_MAX} bytes here")));
    }
    let is_repeated = |name: &&Word| names.iter().filter(|it| *it == name).count() > REPEATS;
    match names.iter().any(is_repeated) {
        true => Err(refused(spec, "it names one key more than twice")),
        false => Ok(()),
    }
}

/// `FLUSHALL is not run here: it removes all keys …`
fn refused(spec: &CommandSpec, why: &str) -> Refused {
    let name = spec.name.replace('|', " ").to_ascii_uppercase();
    Refused(format!("{name} is not run here: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Word> {
        super::super::words::split(line).unwrap()
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
    fn what_is_in_no_type_or_in_a_refused_category_does_not_run() {
        let why = |line: &str, spec: &CommandSpec| authorize(&words(line), spec).unwrap_err().0;
        for (name, categories) in [
            ("config|set", "@admin @slow @dangerous"),
            ("eval", "@slow @scripting"),
            ("get", "@read @string @dangerous"),
            ("blpop", "@write @list @blocking"),
            ("new", "@read"),
            ("json.set", "@json @write"),
        ] {
            let told = why("X a b", &spec(name, -1, "", categories));
            assert!(told.contains("is not run here: "), "{told}");
        }
        let flagged = spec("get", 2, "blocking", "@read @string");
        assert!(why("GET a", &flagged).contains("may wait"), "a flag counts as well");
        assert!(why("SCAN 0", &spec("scan", -2, "nokey", "@keyspace")).contains("all keys"));
    }

    #[test]
    fn keys_are_found_named_and_not_repeated() {
        let get = spec("get", 2, "readonly", "@read @string");
        let plan = authorize(&words("GET a"), &get).unwrap();
        assert_eq!((plan.keys.as_slice(), plan.writes, plan.is_misspelt), (&[1][..], false, false));
        assert!(authorize(&words("GET a b"), &get).unwrap().is_misspelt);
        assert!(authorize(&words("GET \"\""), &get).is_err());
        assert!(authorize(&words(&format!("GET {}", "x".repeat(201))), &get).is_err());
        let mget = CommandSpec { last: -1, arity: -2, ..get };
        assert!(authorize(&words("MGET a a b"), &mget).is_ok());
        assert!(authorize(&words("MGET a a a"), &mget).is_err());
    }

    #[test]
    fn numbers_that_make_room_are_bounded_before() {
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
    fn options_that_wait_or_reach_further_are_refused_in_any_case() {
        let xread = spec("xread", -4, "blocking movablekeys", "@read @stream @blocking");
        assert!(authorize(&words("XREAD STREAMS a 0"), &xread).is_ok());
        assert!(authorize(&words("XREAD bLoCk 0 STREAMS a $"), &xread).is_err());
        let copy = CommandSpec { last: 2, ..spec("copy", -3, "write denyoom", "@keyspace @write") };
        assert!(authorize(&words("COPY a b REPLACE"), &copy).is_ok());
        assert!(authorize(&words("COPY a b db 1"), &copy).is_err());
    }

    #[test]
    fn what_is_not_known_to_remove_has_to_find_room() {
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
