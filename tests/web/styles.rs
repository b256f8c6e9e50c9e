//! The stylesheet keeps to its scales, and it has the classes that pages have.

use std::{collections::BTreeSet, fs};

use crate::sources::{files, root};

/// What has to be a step of a scale.
const SCALED: &[&str] = &["font", "font-size", "gap", "row-gap", "column-gap", "margin", "padding"];

/// What templates put before a word that code chooses.
const PREFIXES: &[&str] = &["is-", "fill-", "text-"];

#[test]
fn sizes_and_spaces_are_steps_of_their_scales() {
    for (property, value) in declarations(&stylesheet()) {
        let is_scaled = SCALED.contains(&property)
            || property.starts_with("margin-")
            || property.starts_with("padding-");
        if is_scaled {
            assert!(!has_a_length(value), "{property}: {value} should be a variable");
        }
    }
}

#[test]
fn colours_are_named_by_their_role() {
    for (property, value) in declarations(&stylesheet()) {
        assert!(property.starts_with("--") || !value.contains('#'), "{property}: {value}");
    }
}

#[test]
fn every_class_of_the_stylesheet_is_used() {
    // Code that chooses a class has it between quotes, with or without the
    // beginning that the template puts before it.
    let code = files("src", "rs").into_iter().chain(files("cache/src", "rs"));
    let quoted = code.chain(files("static", "js")).flat_map(|(_, text)| quoted_words(&text));
    let mut used: BTreeSet<String> = quoted.collect();
    for prefix in PREFIXES {
        used.extend(used.clone().into_iter().map(|word| format!("{prefix}{word}")));
    }
    used.extend(classes_of_templates());
    let unused: Vec<_> =
        classes(&stylesheet()).into_iter().filter(|it| !used.contains(it)).collect();
    assert!(unused.is_empty(), "no page has these classes: {unused:?}");
}

#[test]
fn every_class_of_a_template_has_a_rule() {
    let known = classes(&stylesheet());
    let unknown: Vec<_> = classes_of_templates()
        .into_iter()
        .filter(|it| !known.contains(it) && !PREFIXES.contains(&it.as_str()))
        .collect();
    assert!(unknown.is_empty(), "no rule has these classes: {unknown:?}");
}

/// `is-small` alone would mean something for whatever has it.
#[test]
fn states_are_those_of_something() {
    let css = stylesheet();
    for selector in selectors(&css).flat_map(|it| it.split(',')) {
        let last = selector.split_whitespace().last().unwrap_or_default();
        assert!(!last.starts_with(".is-") || selector.trim() != last, "{selector}");
    }
}

#[test]
fn the_readers_of_styles_read_them() {
    let css = "/* .no { gap: 1px } */ .a-b > .c:has(.d) { gap: 1px 0; margin: -.5em }";
    assert_eq!(classes(&without_comments(css)), ["a-b", "c", "d"].map(str::to_owned).into());
    assert_eq!(
        declarations(".a { gap: 1px 0; margin: -.5em }"),
        [("gap", "1px 0"), ("margin", "-.5em")]
    );
    assert!(["1px", "0 .5rem", "calc(1rem + 2%)", "-3em"].into_iter().all(has_a_length));
    assert!(!["0", "0 auto", "var(--s8) 0", "calc(-1 * var(--s16))"].into_iter().any(has_a_length));
    assert_eq!(class_attributes(r#"<p class="a{% if b == "c" %} d{% endif %}">"#), ["a  d "]);
}

fn stylesheet() -> String {
    without_comments(&fs::read_to_string(root().join("static/app.css")).unwrap())
}

fn without_comments(css: &str) -> String {
    let (first, rest) = css.split_once("/*").unwrap_or((css, ""));
    let after = rest.split("/*").filter_map(|part| Some(part.split_once("*/")?.1));
    [first].into_iter().chain(after).collect()
}

/// The declarations of all rules.
fn declarations(css: &str) -> Vec<(&str, &str)> {
    let blocks = css.split('}').filter_map(|rule| rule.rsplit_once('{'));
    let lines = blocks.flat_map(|(_, block)| block.split(';'));
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, it)| (name.trim(), it.trim()))
        .collect()
}

/// Whether there is a number with a unit outside of a variable's name.
fn has_a_length(value: &str) -> bool {
    value.split([' ', '(', ')', ',', '/']).any(|word| {
        let number = word
            .trim_start_matches('-')
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        !word.starts_with("--")
            && number.len() < word.trim_start_matches('-').len()
            && !number.is_empty()
    })
}

/// The classes in selectors.
fn classes(css: &str) -> BTreeSet<String> {
    let after_dots = selectors(css).flat_map(|it| it.split('.').skip(1));
    after_dots.map(first_name).filter(|it| !it.starts_with(|c: char| c.is_ascii_digit())).collect()
}

fn selectors(css: &str) -> impl Iterator<Item = &str> {
    let heads = css.split('}').filter_map(|rule| Some(rule.rsplit_once('{')?.0));
    heads.map(|head| head.rsplit_once('{').map_or(head, |(_, it)| it))
}

fn classes_of_templates() -> BTreeSet<String> {
    let templates = files("templates", "html");
    templates
        .iter()
        .flat_map(|(_, text)| class_attributes(text))
        .flat_map(|it| names(&it))
        .collect()
}

/// What class attributes have of their own; what the template decides is left out.
fn class_attributes(template: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = template;
    while let Some((before, inside)) = rest.split_once('{') {
        let end = if inside.starts_with('%') { "%}" } else { "}" };
        plain.push_str(before);
        plain.push(' ');
        rest = inside.split_once(end).map_or("", |(_, after)| after.trim_start_matches('}'));
    }
    plain.push_str(rest);
    plain
        .split("class=\"")
        .skip(1)
        .filter_map(|it| Some(it.split_once('"')?.0.to_owned()))
        .collect()
}

fn quoted_words(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).flat_map(names).collect()
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect()
}
