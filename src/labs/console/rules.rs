//! Limits on the arguments of commands, so that the cost is proportionate: checked before
//! the command runs, because Redis would allocate memory first.

use super::command_line::Word;

/// Maximum bit offset: 128 KiB.
const BIT_MAX: u64 = (1 << 20) - 1;
/// Maximum byte offset.
const BYTE_MAX: u64 = (1 << 16) - 1;
/// Maximum number of random members, which may repeat.
const RANDOM_MAX: u64 = 100;
/// Maximum number of entries that a command may scan.
const ENTRIES_MAX: u64 = 1_000;
/// Maximum number of stars in a pattern.
const STARS_MAX: usize = 2;

/// A limit on the arguments of a command.
enum Limit {
    /// A maximum for the absolute value of the number at this position.
    At(usize, u64),
    /// A maximum for the number after this option.
    After(&'static [u8], u64),
    /// A maximum for all numbers; lower for `#n`, which counts fields of up to 64 bits.
    Everywhere(u64),
    /// A maximum number of stars in the pattern after MATCH: each star multiplies the
    /// cost of matching.
    Stars(usize),
    /// The option is not permitted.
    Without(&'static [u8]),
}

/// The limits by command; the reason follows "because".
const LIMITS: [(&str, Limit, &str); 18] = [
    ("setbit", Limit::At(2, BIT_MAX), "Redis allocates every bit before it"),
    ("setrange", Limit::At(2, BYTE_MAX), "Redis allocates every byte before it"),
    ("bitfield", Limit::Everywhere(BIT_MAX), "Redis allocates every bit before it"),
    ("srandmember", Limit::At(2, RANDOM_MAX), "members may repeat without limit"),
    ("hrandfield", Limit::At(2, RANDOM_MAX), "fields may repeat without limit"),
    ("zrandmember", Limit::At(2, RANDOM_MAX), "members may repeat without limit"),
    ("xautoclaim", Limit::After(b"COUNT", ENTRIES_MAX), "Redis allocates memory for as many"),
    ("xread", Limit::Without(b"BLOCK"), "it would block"),
    ("xreadgroup", Limit::Without(b"BLOCK"), "it would block"),
    ("hscan", Limit::Stars(STARS_MAX), "each star makes matching slower"),
    ("sscan", Limit::Stars(STARS_MAX), "each star makes matching slower"),
    ("zscan", Limit::Stars(STARS_MAX), "each star makes matching slower"),
    ("copy", Limit::Without(b"DB"), "it accesses another database of the server"),
    ("georadius", Limit::Without(b"STORE"), "GEOSEARCHSTORE stores the result"),
    ("georadius", Limit::Without(b"STOREDIST"), "GEOSEARCHSTORE stores the result"),
    ("georadiusbymember", Limit::Without(b"STORE"), "GEOSEARCHSTORE stores the result"),
    ("georadiusbymember", Limit::Without(b"STOREDIST"), "GEOSEARCHSTORE stores the result"),
    ("memory|usage", Limit::After(b"SAMPLES", ENTRIES_MAX), "it samples as many elements"),
];

/// Checks the limits of a command. Returns the violated limit and its reason.
pub fn check(words: &[Word], name: &str) -> Result<(), String> {
    for (_, limit, why) in LIMITS.iter().filter(|(command, ..)| *command == name) {
        if let Some(violation) = limit.violation(words) {
            return Err(format!("{violation}, because {why}"));
        }
    }
    Ok(())
}

impl Limit {
    /// The limit, if the words violate it.
    fn violation(&self, words: &[Word]) -> Option<String> {
        let at_most = |max: &u64| format!("the number may be at most {max}");
        match self {
            Self::At(position, max) => {
                words.get(*position).is_some_and(|it| is_over(it, *max)).then(|| at_most(max))
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
                // After the command and the key, which may be any text.
                words.iter().skip(2).any(over).then(|| format!("numbers may be at most {max}"))
            }
            Self::Stars(max) => {
                let stars = |word: &Word| word.iter().filter(|byte| **byte == b'*').count();
                let mut pairs = words.windows(2);
                let over = |pair: &[Word]| is(&pair[0], b"MATCH") && stars(&pair[1]) > *max;
                pairs.any(over).then(|| format!("a pattern may have at most {max} stars"))
            }
            Self::Without(option) => {
                let there = words.iter().skip(1).any(|word| is(word, option));
                let option = String::from_utf8_lossy(option);
                there.then(|| format!("the option {option} is not permitted"))
            }
        }
    }
}

fn is(word: &[u8], option: &[u8]) -> bool {
    word.eq_ignore_ascii_case(option)
}

/// Whether the absolute value of a number exceeds `max`. Redis rejects everything else
/// that is not a number.
fn is_over(word: &[u8], max: u64) -> bool {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    is_number && number.is_none_or(|number| number > max)
}
