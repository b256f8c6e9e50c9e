//! The rules, each with its reason, a good and a bad example.

use super::{
    Finding,
    name::{KeyName, NamePartKind, numbered, words},
};

/// Recommended maximum length in bytes: longer names cost memory with every key and space
/// in every log.
const LONG: usize = 100;
/// Words without a specific meaning.
const VAGUE: [&str; 20] = [
    "data", "temp", "tmp", "test", "key", "keys", "val", "value", "item", "items", "obj", "object",
    "thing", "things", "stuff", "misc", "foo", "bar", "var", "info",
];
/// Minimum length of a meaningful word.
const LETTERS_MIN: usize = 3;

/// A rule for key names.
pub struct Rule {
    /// Its id.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The reason.
    pub why: &'static str,
    /// Names that follow it.
    pub good: &'static str,
    /// Names that violate it.
    pub bad: &'static str,
    /// Describes the violation by one name; rules about several names return none.
    violation: fn(&KeyName<'_>) -> Option<String>,
}

impl Rule {
    /// The violation by this name, if there is one.
    pub fn finding(&self, name: &KeyName<'_>) -> Option<Finding> {
        (self.violation)(name).map(|message| Finding { rule: self.slug, message })
    }
}

/// All rules: about one name, then about several.
pub const ALL: [Rule; 12] = [
    Rule {
        slug: "says-what",
        title: "Start with the kind of data",
        why: "Keys appear in logs, in SLOWLOG and in memory reports, without the code next to them. A vague or abbreviated first word means nothing there, and sooner or later two kinds of data share it.",
        good: "user:123:profile",
        bad: "u123 · data1 · temp",
        violation: vague_start,
    },
    Rule {
        slug: "id-apart",
        title: "Separate the id by a colon",
        why: "With the id as a separate part, a pattern such as user:* matches one kind of data, tools show keys as a tree, and patterns can tell user:12 from user:123.",
        good: "user:123",
        bad: "user123 · user-123",
        violation: id_not_separated,
    },
    Rule {
        slug: "colons",
        title: "Use colons as separators",
        why: "Tools and patterns expect colons and miss names with other separators. Within a part, - and _ are fine.",
        good: "user:123:profile",
        bad: "user.123.profile · user/123",
        violation: other_separator,
    },
    Rule {
        slug: "no-empty-part",
        title: "Leave no part empty",
        why: "An empty part is usually a missing id: all users without an id then share one key.",
        good: "cart:7:items",
        bad: "cart::items",
        violation: empty_part,
    },
    Rule {
        slug: "lower-case",
        title: "Use lower case",
        why: "Redis distinguishes User:1 from user:1. A client that uses the wrong one finds nothing and gets no error.",
        good: "user:123:last_login",
        bad: "User:123:lastLogin",
        violation: upper_case,
    },
    Rule {
        slug: "plain",
        title: "Use plain characters",
        why: "Spaces need quotes in redis-cli, some characters look alike, and * ? [ ] are special in patterns: SCAN and ACL rules may match other keys, or miss this one.",
        good: "report:2024-05-01",
        bad: "my report · report:[1] · grüße:1",
        violation: not_plain,
    },
    Rule {
        slug: "short",
        title: "Keep it short",
        why: "The name is stored with every key and sent with every command. Use a digest instead of a long text such as a URL.",
        good: "api:users:3f2a9c",
        bad: "api:users:sort=name&direction=ascending&filter=active-in-the-last-thirty-days&fields=id,name,email&page=1",
        violation: long,
    },
    Rule {
        slug: "no-secret",
        title: "Don’t include e-mail addresses or secrets",
        why: "Names end up in logs, backups and monitoring, where personal data does not belong. Use the id or a digest.",
        good: "session:9f86d081",
        bad: "session:ann@example.com",
        violation: personal,
    },
    Rule {
        slug: "hash-tag",
        title: "Use braces only for hash tags",
        why: "In a cluster, only the text between { and } determines the node of a key. Accidental braces put unrelated keys on one node, or separate related ones.",
        good: "cart:{7}:items",
        bad: "cart:{7:items · cart:{}:items",
        violation: odd_braces,
    },
    Rule {
        slug: "one-type",
        title: "Use one type per name",
        why: "If one part of the code uses a name for a string and another for a hash, one of them gets WRONGTYPE, or the other’s value.",
        good: "user:42 hash · token:42 string",
        bad: "user:42 string · user:42 hash",
        violation: nothing,
    },
    Rule {
        slug: "look-alike",
        title: "Avoid similar names",
        why: "Names with the same words in another order, or one more letter, get confused, and Redis creates a missing key without an error.",
        good: "online_users · logins:2024-05-01",
        bad: "online_users · users_online",
        violation: nothing,
    },
    Rule {
        slug: "same-place",
        title: "Keep the meaning of each position",
        why: "If user: is followed by an id in one name and a word in another, deleting users by the pattern user:* deletes the others, too.",
        good: "user:42 · user:77:profile",
        bad: "user:42 · user:profile:77",
        violation: nothing,
    },
];

fn nothing(_: &KeyName<'_>) -> Option<String> {
    None
}

fn vague_start(name: &KeyName<'_>) -> Option<String> {
    let first = name.parts.first()?;
    if first.kind == NamePartKind::Id {
        return Some(format!(
            "It starts with the id {}, without the kind of data.",
            quoted(&first.text)
        ));
    }
    let word = numbered(&first.text).map_or(first.text.as_str(), |(word, _)| word);
    let words = words(word);
    let is_vague = |word: &String| VAGUE.contains(&word.as_str());
    match words.as_slice() {
        [] => None,
        all if all.iter().all(is_vague) => Some(format!("{} is too vague.", quoted(word))),
        [one] if one.chars().count() < LETTERS_MIN => {
            Some(format!("{} is too short to be meaningful.", quoted(word)))
        }
        _ => None,
    }
}

fn id_not_separated(name: &KeyName<'_>) -> Option<String> {
    let words = name.parts.iter().filter(|part| part.kind == NamePartKind::Word);
    let (word, number) = words.filter_map(|part| numbered(&part.text)).next()?;
    Some(format!("The id {number} is not separated from {}.", quoted(word)))
}

fn other_separator(name: &KeyName<'_>) -> Option<String> {
    let of_words = name.parts.iter().filter(|part| part.kind == NamePartKind::Word);
    let sign = of_words.flat_map(|part| part.text.chars()).find(|c| "./|,;>#".contains(*c))?;
    Some(format!("It uses {} as a separator.", quoted(&sign.to_string())))
}

fn empty_part(name: &KeyName<'_>) -> Option<String> {
    let is_empty = name.parts.iter().any(|part| part.text.trim().is_empty());
    is_empty.then(|| "It has an empty part.".to_owned())
}

fn upper_case(name: &KeyName<'_>) -> Option<String> {
    let has_capitals = |text: &str| text.chars().any(char::is_uppercase);
    let mut parts = name.parts.iter();
    let part = parts.find(|part| part.kind == NamePartKind::Word && has_capitals(&part.text))?;
    Some(format!("{} has capital letters.", quoted(&part.text)))
}

fn not_plain(name: &KeyName<'_>) -> Option<String> {
    let strange = |c: &char| !c.is_ascii_graphic() || "*?[]\\\"'`".contains(*c);
    let sign = name.text.chars().find(strange)?;
    Some(match sign {
        c if c.is_whitespace() => "It contains a space.".to_owned(),
        c => format!("It contains {}.", quoted(&c.escape_debug().to_string())),
    })
}

fn long(name: &KeyName<'_>) -> Option<String> {
    let length = name.text.len();
    (length > LONG).then(|| format!("It has {length} bytes; use at most {LONG}."))
}

fn personal(name: &KeyName<'_>) -> Option<String> {
    let is_secret =
        |word: &String| ["password", "passwd", "secret", "apikey"].contains(&word.as_str());
    let parts = &name.parts;
    let address = parts.iter().find(|part| {
        let halves = part.text.split_once('@');
        halves.is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    });
    if let Some(part) = address {
        return Some(format!("{} looks like an e-mail address.", quoted(&part.text)));
    }
    let mut pairs = parts.windows(2);
    let findings = pairs.find(|pair| {
        words(&pair[0].text).iter().any(is_secret) && pair[1].kind == NamePartKind::Id
    })?;
    Some(format!("The part after {} looks like a secret.", quoted(&findings[0].text)))
}

fn odd_braces(name: &KeyName<'_>) -> Option<String> {
    let braces: String = name.text.chars().filter(|c| "{}".contains(*c)).collect();
    match braces.as_str() {
        "" => None,
        "{}" if name.text.contains("{}") => Some("Its hash tag is empty.".to_owned()),
        "{}" => None,
        _ => Some("Its braces are not a single pair.".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    format!("“{text}”")
}
