//! What is wrong with names together, though each may be good by itself.

use std::collections::BTreeMap;

use super::{
    Finding,
    name::{Kind, Name},
};

/// All of it; each pair or group is told once.
pub fn findings(names: &[Name<'_>]) -> Vec<Finding> {
    let all = [two_types(names), look_alikes(names), mixed_places(names)];
    all.into_iter().flatten().collect()
}

fn two_types(names: &[Name<'_>]) -> Vec<Finding> {
    let mut kinds = BTreeMap::<&str, Vec<&str>>::new();
    for name in names {
        let known = kinds.entry(name.text).or_default();
        known.extend(name.kind.filter(|kind| !known.contains(kind)));
    }
    let clashes = kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1);
    let told = clashes.map(|(name, kinds)| {
        let message = format!("{name} is of several types: {}.", kinds.join(", "));
        Finding { rule: "one-type", message }
    });
    told.collect()
}

fn look_alikes(names: &[Name<'_>]) -> Vec<Finding> {
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
            message: format!("{name} and {other} are easily taken for each other."),
        }));
    }
    found
}

/// The same words in another order or number, or one word that is the last of
/// the other's.
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

fn mixed_places(names: &[Name<'_>]) -> Vec<Finding> {
    let mut places = BTreeMap::<&str, [Option<&str>; 2]>::new();
    for name in names {
        let [first, second, ..] = name.parts.as_slice() else { continue };
        if first.kind == Kind::Word && !second.text.is_empty() {
            let seen = places.entry(first.text.as_str()).or_default();
            seen[usize::from(second.kind == Kind::Id)].get_or_insert(name.text);
        }
    }
    let told = places.into_iter().filter_map(|(first, seen)| {
        let [Some(word), Some(id)] = seen else { return None };
        let message = format!(
            "After {first}: there is an id in {id} and a word in {word}, so the pattern {first}:* means both."
        );
        Some(Finding { rule: "same-place", message })
    });
    told.collect()
}
