//! The rules, each with its reason and an example of either kind.

use super::{
    Finding,
    name::{Kind, Name, numbered, words},
};

/// Longer names cost memory with every key, and room in every log.
const LONG: usize = 100;
/// Words that could be anything.
const VAGUE: [&str; 20] = [
    "data", "temp", "tmp", "test", "key", "keys", "val", "value", "item", "items", "obj", "object",
    "thing", "things", "stuff", "misc", "foo", "bar", "var", "info",
];
/// A word of fewer letters is a riddle to whoever finds it.
const LETTERS_MIN: usize = 3;

/// What a name should keep to.
pub struct Rule {
    /// For programs.
    pub slug: &'static str,
    /// In a line.
    pub title: &'static str,
    /// The reason.
    pub why: &'static str,
    /// Names that keep to it.
    pub good: &'static str,
    /// Names that don't.
    pub bad: &'static str,
    /// What is wrong, of one name; rules about several names find nothing here.
    broken_by: fn(&Name<'_>) -> Option<String>,
}

impl Rule {
    /// What is wrong with this name.
    pub fn finding(&self, name: &Name<'_>) -> Option<Finding> {
        (self.broken_by)(name).map(|message| Finding { rule: self.slug, message })
    }
}

/// All of them: of one name, then of several.
pub const ALL: [Rule; 12] = [
    Rule {
        slug: "says-what",
        title: "Begin with what it is",
        why: "A key is found in a log, in SLOWLOG or in a memory report, without the code beside it. A vague or shortened first word says nothing there, and sooner or later two things share it.",
        good: "user:123:profile",
        bad: "u123 · data1 · temp",
        broken_by: says_nothing,
    },
    Rule {
        slug: "id-apart",
        title: "Set the id apart by a colon",
        why: "With the id as a part of its own, a pattern such as user:* names a kind, tools show the keys as a tree, and user:12 is no beginning of user:123.",
        good: "user:123",
        bad: "user123 · user-123",
        broken_by: id_not_apart,
    },
    Rule {
        slug: "colons",
        title: "Separate by colons, and nothing else",
        why: "Every tool and every pattern expects the colon. Names that separate by other signs are missed by both. Within a part, - and _ are fine.",
        good: "user:123:profile",
        bad: "user.123.profile · user/123",
        broken_by: other_separator,
    },
    Rule {
        slug: "no-empty-part",
        title: "Leave no part empty",
        why: "An empty part mostly is an id that was missing when the name was made: every user without an id then shares one key.",
        good: "cart:7:items",
        bad: "cart::items",
        broken_by: empty_part,
    },
    Rule {
        slug: "lower-case",
        title: "Write words in lower case",
        why: "Redis tells User:1 from user:1. Whoever types the other one finds nothing, and no error says so.",
        good: "user:123:last_login",
        bad: "User:123:lastLogin",
        broken_by: upper_case,
    },
    Rule {
        slug: "plain",
        title: "Use plain characters",
        why: "Spaces need quotation marks in redis-cli, some characters look alike, and * ? [ ] mean something in patterns: SCAN and ACL rules then match other keys, or not this one.",
        good: "report:2024-05-01",
        bad: "my report · report:[1] · grüße:1",
        broken_by: not_plain,
    },
    Rule {
        slug: "short",
        title: "Keep it short",
        why: "The name is stored with every key and sent with every command. Put a digest where a long text, such as a URL, would stand.",
        good: "api:users:3f2a9c",
        bad: "api:users:sort=name&direction=ascending&filter=active-in-the-last-thirty-days&fields=id,name,email&page=1",
        broken_by: long,
    },
    Rule {
        slug: "no-secret",
        title: "No e-mail address, no secret",
        why: "Names end up in logs, backups and monitoring, where nobody expects personal data. Use the id, or a digest.",
        good: "session:9f86d081",
        bad: "session:ann@example.com",
        broken_by: personal,
    },
    Rule {
        slug: "hash-tag",
        title: "Braces are hash tags, in pairs and not empty",
        why: "In a cluster only what is between { and } decides where a key lives. A brace by chance puts keys together that don't belong, or keeps those apart that do.",
        good: "cart:{7}:items",
        bad: "cart:{7:items · cart:{}:items",
        broken_by: odd_braces,
    },
    Rule {
        slug: "one-type",
        title: "One name, one type",
        why: "A name that holds a string here and a hash there answers one of the two with WRONGTYPE, or with somebody else's value.",
        good: "user:42 hash · token:42 string",
        bad: "user:42 string · user:42 hash",
        broken_by: nothing,
    },
    Rule {
        slug: "look-alike",
        title: "No two names that look alike",
        why: "The same words in another order, or one letter more: someone will take one for the other, and Redis creates what is not there.",
        good: "online_users · logins:2024-05-01",
        bad: "online_users · users_online",
        broken_by: nothing,
    },
    Rule {
        slug: "same-place",
        title: "The same place means the same thing",
        why: "If after user: there is an id in one name and a word in another, the pattern user:* that should drop users drops the others, too.",
        good: "user:42 · user:77:profile",
        bad: "user:42 · user:profile:77",
        broken_by: nothing,
    },
];

fn nothing(_: &Name<'_>) -> Option<String> {
    None
}

fn says_nothing(name: &Name<'_>) -> Option<String> {
    let first = name.parts.first()?;
    if first.kind == Kind::Id {
        return Some(format!(
            "It begins with {}, which does not say of what.",
            quoted(&first.text)
        ));
    }
    let word = numbered(&first.text).map_or(first.text.as_str(), |(word, _)| word);
    let words = words(word);
    let is_vague = |word: &String| VAGUE.contains(&word.as_str());
    match words.as_slice() {
        [] => None,
        all if all.iter().all(is_vague) => Some(format!("{} could be anything.", quoted(word))),
        [one] if one.chars().count() < LETTERS_MIN => {
            Some(format!("{} is too short to say what it is.", quoted(word)))
        }
        _ => None,
    }
}

fn id_not_apart(name: &Name<'_>) -> Option<String> {
    let words = name.parts.iter().filter(|part| part.kind == Kind::Word);
    let (word, number) = words.filter_map(|part| numbered(&part.text)).next()?;
    Some(format!("The id {number} is not apart from {}.", quoted(word)))
}

fn other_separator(name: &Name<'_>) -> Option<String> {
    let of_words = name.parts.iter().filter(|part| part.kind == Kind::Word);
    let sign = of_words.flat_map(|part| part.text.chars()).find(|c| "./|,;>#".contains(*c))?;
    Some(format!("It separates by {}.", quoted(&sign.to_string())))
}

fn empty_part(name: &Name<'_>) -> Option<String> {
    let is_empty = name.parts.iter().any(|part| part.text.trim().is_empty());
    is_empty.then(|| "A part of it is empty.".to_owned())
}

fn upper_case(name: &Name<'_>) -> Option<String> {
    let has_capitals = |text: &str| text.chars().any(char::is_uppercase);
    let mut parts = name.parts.iter();
    let part = parts.find(|part| part.kind == Kind::Word && has_capitals(&part.text))?;
    Some(format!("{} has capital letters.", quoted(&part.text)))
}

fn not_plain(name: &Name<'_>) -> Option<String> {
    let strange = |c: &char| !c.is_ascii_graphic() || "*?[]\\\"'`".contains(*c);
    let sign = name.text.chars().find(strange)?;
    Some(match sign {
        c if c.is_whitespace() => "It has a space in it.".to_owned(),
        c => format!("It has {} in it.", quoted(&c.escape_debug().to_string())),
    })
}

fn long(name: &Name<'_>) -> Option<String> {
    let length = name.text.len();
    (length > LONG).then(|| format!("It has {length} bytes; {LONG} are plenty."))
}

fn personal(name: &Name<'_>) -> Option<String> {
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
    let told = pairs
        .find(|pair| words(&pair[0].text).iter().any(is_secret) && pair[1].kind == Kind::Id)?;
    Some(format!("What follows {} looks like a secret.", quoted(&told[0].text)))
}

fn odd_braces(name: &Name<'_>) -> Option<String> {
    let braces: String = name.text.chars().filter(|c| "{}".contains(*c)).collect();
    match braces.as_str() {
        "" => None,
        "{}" if name.text.contains("{}") => Some("Its hash tag is empty.".to_owned()),
        "{}" => None,
        _ => Some("Its braces are not one pair.".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    format!("“{text}”")
}
