//! A linter for key names: rules as data, each with its reason. It checks names only and
//! does not query Redis.

mod name;
mod name_sets;
mod proposal;
mod rules;

use serde::Serialize;
use utoipa::ToSchema;

use self::name::KeyName;
pub use self::{
    name::{NamePart, NamePartKind},
    rules::{ALL as RULES, Rule},
};

/// Maximum number of names.
pub const NAMES_MAX: usize = 50;
/// Maximum length of a line, in characters.
pub const LINE_MAX: usize = 200;
/// The tutorial's own examples, good and bad, and some of their collisions.
pub const EXAMPLES: &str = "user:123:profile
user:123:settings
product:456:details
cache:product:123
u123
data1
temp
user:42 string
user:42 hash
user:profile:77 hash
online_users set
users_online bitmap
hits
page_hits";

/// Types that may follow a name.
const TYPES: [&str; 12] = [
    "string",
    "number",
    "json",
    "hash",
    "list",
    "set",
    "zset",
    "sorted-set",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
];

/// The error of an input that exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// More than [`NAMES_MAX`] names.
    #[error("At most {NAMES_MAX} names are allowed, one per line.")]
    Names,
    /// A line longer than [`LINE_MAX`].
    #[error("A line may have at most {LINE_MAX} characters.")]
    Line,
}

/// The findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LintReport {
    /// Each name, in the order of the input.
    pub names: Vec<CheckedName>,
    /// Findings about several names together.
    pub together: Vec<Finding>,
}

/// A name and its findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckedName {
    /// The name, without its type.
    pub name: String,
    /// The type after the name.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its parts.
    pub parts: Vec<NamePart>,
    /// The rules it violates.
    pub findings: Vec<Finding>,
    /// A better name, if it can be derived from this one.
    pub proposal: Option<String>,
}

/// The violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// The slug of the rule.
    pub rule: &'static str,
    /// The violation, in a sentence.
    pub message: String,
}

/// Checks names, one per line, each optionally followed by a type.
pub fn check(text: &str) -> Result<LintReport, LintError> {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > NAMES_MAX {
        return Err(LintError::Names);
    }
    if lines.iter().any(|line| line.chars().count() > LINE_MAX) {
        return Err(LintError::Line);
    }
    let names: Vec<_> = lines.into_iter().map(KeyName::parse).collect();
    Ok(LintReport {
        together: name_sets::findings(&names),
        names: names.iter().map(checked).collect(),
    })
}

fn checked(name: &KeyName<'_>) -> CheckedName {
    let findings: Vec<_> = RULES.iter().filter_map(|rule| rule.finding(name)).collect();
    CheckedName {
        name: name.text.to_owned(),
        kind: name.kind.map(str::to_owned),
        parts: name.parts.clone(),
        proposal: if findings.is_empty() { None } else { proposal::of(name) },
        findings,
    }
}

impl LintReport {
    /// Number of names without findings.
    pub fn good(&self) -> usize {
        self.names.iter().filter(|name| name.findings.is_empty()).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken(line: &str) -> Vec<&'static str> {
        let report = check(line).unwrap();
        report.names[0].findings.iter().map(|it| it.rule).collect()
    }

    fn together(lines: &str) -> Vec<&'static str> {
        check(lines).unwrap().together.iter().map(|it| it.rule).collect()
    }

    fn proposed(name: &str) -> Option<String> {
        check(name).unwrap().names[0].proposal.clone()
    }

    #[test]
    fn the_tutorials_good_names_pass() {
        for good in [
            "user:123:profile",
            "user:123:settings",
            "product:456:details",
            "cache:product:123",
            "user:42",
            "session:user:123",
            "page_hits",
            "views:homepage",
            "leaderboard",
            "token:abc123",
            "api:v2:users:3f2a9c",
            "active:2024-05-01",
            "demo:{4f2a:sets}:tags",
            "feed:7:1",
        ] {
            assert_eq!(broken(good), [""; 0], "{good}");
        }
    }

    #[test]
    fn the_tutorials_bad_names_fail() {
        assert_eq!(broken("u123"), ["says-what", "id-apart"]);
        assert_eq!(broken("data1"), ["says-what", "id-apart"]);
        assert_eq!(broken("temp"), ["says-what"]);
        assert_eq!(proposed("u123").as_deref(), Some("user:123"));
        assert_eq!(proposed("temp"), None, "only its owner knows what it is");
        assert_eq!(proposed("data1"), None);
    }

    #[test]
    fn every_rule_finds_its_bad_example_and_lets_its_good_one_pass() {
        for rule in &RULES {
            let lines = |example: &str| example.replace(" · ", "\n");
            let found = |example: &str| {
                let report = check(&lines(example)).unwrap();
                let names = report.names.into_iter().flat_map(|name| name.findings);
                names.chain(report.together).any(|it| it.rule == rule.slug)
            };
            assert!(found(rule.bad), "{}: {}", rule.slug, rule.bad);
            assert!(!found(rule.good), "{}: {}", rule.slug, rule.good);
        }
    }

    #[test]
    fn a_proposal_breaks_no_rule() {
        for (name, better) in [
            ("user-123", "user:123"),
            ("User_123", "user:123"),
            ("user.123.profile", "user:123:profile"),
            ("userProfile:77", "user_profile:77"),
            ("user::123", "user:123"),
            ("usr42", "user:42"),
            ("my key", "my_key"),
            ("prod/7", "product:7"),
        ] {
            assert_eq!(proposed(name).as_deref(), Some(better), "{name}");
            assert_eq!(broken(better), [""; 0], "{better}");
        }
    }

    #[test]
    fn names_are_compared_with_each_other() {
        assert_eq!(together("user:42 string\nuser:42 hash"), ["one-type"]);
        assert_eq!(together("user:42 string\nuser:42 string"), [""; 0]);
        assert_eq!(together("online_users\nusers_online"), ["look-alike"]);
        assert_eq!(together("hits\npage_hits"), ["look-alike"]);
        assert_eq!(together("user:1\nusers:1"), ["look-alike"]);
        assert_eq!(together("user:42\nuser:profile:77"), ["same-place"]);
        assert_eq!(together("user:1\nuser:2\nuser:1:profile\norder:1"), [""; 0]);
    }

    #[test]
    fn input_is_bounded() {
        assert_eq!(check(&"a\n".repeat(NAMES_MAX + 1)), Err(LintError::Names));
        assert_eq!(check(&"x".repeat(LINE_MAX + 1)), Err(LintError::Line));
        assert!(check(&"ü".repeat(LINE_MAX)).is_ok());
        assert_eq!(check(" \r\n\n").unwrap().names, []);
    }

    proptest! {
        #[test]
        fn nothing_typed_panics(text in "(\\PC{0,30}\n){0,20}", any in any::<String>()) {
            let _ = check(&text);
            let _ = check(&any);
        }

        #[test]
        fn what_is_proposed_is_never_proposed_again(name in "[a-zA-Z0-9:_.{}/ *-]{1,24}") {
            let report = check(&name).unwrap();
            for better in report.names.into_iter().filter_map(|it| it.proposal) {
                prop_assert_eq!(broken(&better), [""; 0], "{} -> {}", name, better);
            }
        }
    }
}
