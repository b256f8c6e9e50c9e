//! What the words of a command have to keep to, so that it costs no more than
//! what it was given: checked before it runs, as Redis would make room first.

use super::words::Word;

/// The highest bit that can be set: 128 KiB.
const BIT_MAX: u64 = (1 << 20) - 1;
/// The highest byte that can be written at.
const BYTE_MAX: u64 = (1 << 16) - 1;
/// Members asked for at random, which may repeat.
const RANDOM_MAX: u64 = 100;
/// Entries that one command may look through.
const ENTRIES_MAX: u64 = 1_000;
/// Stars in a pattern.
const STARS_MAX: usize = 2;

/// What the words of one command have to keep to.
enum Rule {
    /// The number at this place, without its sign.
    At(usize, u64),
    /// The number after this word.
    After(&'static [u8], u64),
    /// All numbers; those of `#n`, which count fields of up to 64 bits, less.
    Everywhere(u64),
    /// The pattern after MATCH has no more stars: each one more multiplies the
    /// steps that comparing takes.
    Stars(usize),
    /// This option is not there.
    Without(&'static [u8]),
}

/// Rules, by command; the reason follows "because".
const RULES: [(&str, Rule, &str); 18] = [
    ("setbit", Rule::At(2, BIT_MAX), "Redis makes room for every bit before it"),
    ("setrange", Rule::At(2, BYTE_MAX), "Redis makes room for every byte before it"),
    ("bitfield", Rule::Everywhere(BIT_MAX), "Redis makes room for every bit before it"),
    ("srandmember", Rule::At(2, RANDOM_MAX), "members may repeat without end"),
    ("hrandfield", Rule::At(2, RANDOM_MAX), "fields may repeat without end"),
    ("zrandmember", Rule::At(2, RANDOM_MAX), "members may repeat without end"),
    ("xautoclaim", Rule::After(b"COUNT", ENTRIES_MAX), "Redis makes room for as many"),
    ("xread", Rule::Without(b"BLOCK"), "it would wait"),
    ("xreadgroup", Rule::Without(b"BLOCK"), "it would wait"),
    ("hscan", Rule::Stars(STARS_MAX), "comparing takes longer with each"),
    ("sscan", Rule::Stars(STARS_MAX), "comparing takes longer with each"),
    ("zscan", Rule::Stars(STARS_MAX), "comparing takes longer with each"),
    ("copy", Rule::Without(b"DB"), "it reaches into another database of the server"),
    ("georadius", Rule::Without(b"STORE"), "GEOSEARCHSTORE is the way to store the result"),
    ("georadius", Rule::Without(b"STOREDIST"), "GEOSEARCHSTORE is the way to store the result"),
    ("georadiusbymember", Rule::Without(b"STORE"), "GEOSEARCHSTORE is the way to store the result"),
    (
        "georadiusbymember",
        Rule::Without(b"STOREDIST"),
        "GEOSEARCHSTORE is the way to store the result",
    ),
    ("memory|usage", Rule::After(b"SAMPLES", ENTRIES_MAX), "it looks at as many members"),
];

/// Whether the words keep to the rules of this command; else which one not, and why.
pub fn kept(words: &[Word], name: &str) -> Result<(), String> {
    for (_, rule, why) in RULES.iter().filter(|(command, ..)| *command == name) {
        if let Some(limit) = rule.broken_by(words) {
            return Err(format!("{limit} here, because {why}"));
        }
    }
    Ok(())
}

impl Rule {
    /// What is demanded, when the words don't keep to it.
    fn broken_by(&self, words: &[Word]) -> Option<String> {
        let at_most = |max: &u64| format!("that number is at most {max}");
        match self {
            Self::At(place, max) => {
                words.get(*place).is_some_and(|it| is_over(it, *max)).then(|| at_most(max))
            }
            Self::After(option, max) => {
                let mut pairs = words.windows(2);
                let over = |pair: &[Word]| is(&pair[0], option) && is_over(&pair[1], *max);
                pairs.any(over).then(|| at_most(max))
            }
            Self::Everywhere(max) => {
                let over = |word: &Word| match word.strip_prefix(b"#") {
                    Some(fields) => is_over(fields, max / 64),
                    None => is_over(word, *max),
                };
                // Behind the verb and the key, which may be any text.
                words.iter().skip(2).any(over).then(|| format!("numbers are at most {max}"))
            }
            Self::Stars(max) => {
                let stars = |word: &Word| word.iter().filter(|byte| **byte == b'*').count();
                let mut pairs = words.windows(2);
                let over = |pair: &[Word]| is(&pair[0], b"MATCH") && stars(&pair[1]) > *max;
                pairs.any(over).then(|| format!("a pattern has at most {max} stars"))
            }
            Self::Without(option) => {
                let there = words.iter().skip(1).any(|word| is(word, option));
                let option = String::from_utf8_lossy(option);
                there.then(|| format!("the option {option} is left out"))
            }
        }
    }
}

fn is(word: &[u8], option: &[u8]) -> bool {
    word.eq_ignore_ascii_case(option)
}

/// Whether it is a number above this, or below its negative. What is no number
/// of Redis's is none here, and Redis refuses it.
fn is_over(word: &[u8], max: u64) -> bool {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    is_number && number.is_none_or(|number| number > max)
}
