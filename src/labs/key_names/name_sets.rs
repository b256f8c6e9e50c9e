//! Rules about sets of names, each of which may be valid by itself.

use std::collections::BTreeMap;

use super::{
    Finding,
    name::{KeyName, NamePartKind},
};

/// All findings; each pair or group is reported once.
pub fn findings(names: &[KeyName<'_>]) -> Vec<Finding> {
    let all = [two_types(names), look_alikes(names), mixed_positions(names)];
    all.into_iter().flatten().collect()
}

fn two_types(names: &[KeyName<'_>]) -> Vec<Finding> {
    let mut kinds = BTreeMap::<&str, Vec<&str>>::new();
    for name in names {
        let known = kinds.entry(name.text).or_default();
        known.extend(name.kind.filter(|kind| !known.contains(kind)));
    }
    let clashes = kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1);
    let findings = clashes.map(|(name, kinds)| {
        let message = format!("{name} is used with several types: {}.", kinds.join(", "));
        Finding { rule: "one-type", message }
    });
    findings.collect()
}

fn look_alikes(names: &[KeyName<'_>]) -> Vec<Finding> {
    let mut shapes: Vec<(Vec<String>, &str)> = Vec::new();
    for name in names {
        let words = name.words();
        if !words.is_empty() && shapes.iter().all(|(known, _)| *known != words) {
            shapes.push((words, name.text));
        }
    }
    let mut found = Vec::new();
    for (n, (words, name)) in shapes.iter().enumerate() {
        let alike = shapes[n + 1..].iter().filter(|(other, _)| are_alike(words, other));
        found.extend(alike.map(|(_, other)| Finding {
            rule: "look-alike",
            message: format!("{name} and {other} are easily confused."),
        }));
    }
    found
}

/// Whether two names have the same words in another order or number, or one is the last
/// word of the other.
fn are_alike(one: &[String], other: &[String]) -> bool {
    let bag = |words: &[String]| {
        let mut bag: Vec<_> = words.iter().map(|word| singular(word).to_owned()).collect();
        bag.sort();
        bag
    };
    let is_last_of = |short: &[String], long: &[String]| matches!(short, [word] if word != "#" && long.last() == Some(word));
    bag(one) == bag(other) || is_last_of(one, other) || is_last_of(other, one)
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|it| it.len() > 1).unwrap_or(word)
}

fn mixed_positions(names: &[KeyName<'_>]) -> Vec<Finding> {
    let mut positions = BTreeMap::<&str, [Option<&str>; 2]>::new();
    for name in names {
        let [first, second, ..] = name.parts.as_slice() else { continue };
        if first.kind == NamePartKind::Word && !second.text.is_empty() {
            let seen = positions.entry(first.text.as_str()).or_default();
            seen[usize::from(second.kind == NamePartKind::Id)].get_or_insert(name.text);
        }
    }
    let findings = positions.into_iter().filter_map(|(first, seen)| {
        let [Some(word), Some(id)] = seen else { return None };
        let message = format!(
            "After {first}:, {id} has an id and {word} has a word, so the pattern {first}:* matches both."
        );
        Some(Finding { rule: "same-place", message })
    });
    findings.collect()
}
