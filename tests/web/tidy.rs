//! The shape of the source, held by tests so that nobody has to remember it.

use std::{collections::BTreeMap, fs};

use crate::sources::{files, root};

#[test]
fn only_the_web_layer_speaks_http() {
    for (path, text) in files("src", "rs") {
        let is_web = path.starts_with(root().join("src/web")) || path.ends_with("src/main.rs");
        assert!(is_web || !text.contains("actix_web"), "{} should not", path.display());
    }
}

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in files("src", "rs").into_iter().chain(files("cache/src", "rs")) {
        assert!(text.starts_with("//!"), "{} should begin with //!", path.display());
    }
}

/// The application has no Redis driver among its dependencies: it asks the cache
/// crate, and there one folder speaks to Redis.
#[test]
fn redis_and_sql_are_spoken_at_their_doors_only() {
    for (path, text) in files("cache/src", "rs") {
        let is_door = path.starts_with(root().join("cache/src/redis"));
        assert!(is_door || !text.contains("use redis::"), "{}", path.display());
    }
    for (path, text) in files("src", "rs") {
        let is_door = path.starts_with(root().join("src/demo/db"));
        assert!(is_door || !text.contains("sqlx::"), "{}", path.display());
    }
}

#[test]
fn every_page_has_a_test_of_its_name_and_a_template_if_it_shows_one() {
    let pages = root().join("src/web/pages");
    let all = fs::read_to_string(pages.join("mod.rs")).unwrap();
    for name in all.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let name = name.trim_end_matches(';');
        let (file, folder) = (pages.join(format!("{name}.rs")), pages.join(name));
        let shows = format!("#[template(path = \"{name}.html\")]");
        let mut page = files("src/web/pages", "rs").into_iter();
        let has_template =
            page.any(|(it, text)| (it == file || it.starts_with(&folder)) && text.contains(&shows));
        let template = root().join(format!("templates/{name}.html"));
        assert_eq!(has_template, template.is_file(), "the template of {name}");
        let tests = [format!("tests/web/{name}.rs"), format!("tests/web/{name}/mod.rs")];
        assert!(tests.iter().any(|it| root().join(it).is_file()), "no test for {name}");
    }
}

#[test]
fn every_route_is_a_page_and_no_page_is_left_out() {
    let routes = fs::read_to_string(root().join("src/web/routes.rs")).unwrap();
    for (path, text) in files("src/web/pages", "rs") {
        let path = if path.ends_with("mod.rs") { path.parent().unwrap() } else { &path };
        let name = path.file_stem().unwrap().to_str().unwrap();
        for handler in text.split("pub async fn ").skip(1) {
            let handler = first_word(handler);
            assert!(routes.contains(&format!("{name}::{handler})")), "{name}::{handler}");
        }
    }
}

/// Each public type name has one meaning. `src/schemas.rs` describes types of the
/// cache crate under their own names, `cache/src/sample.rs` contains test types, and each
/// crate calls its error `Error`.
#[test]
fn no_two_public_types_share_a_name() {
    let mut modules = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in files("src", "rs").into_iter().chain(files("cache/src", "rs")) {
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        if path == "cache/src/sample.rs" {
            continue;
        }
        for name in text.lines().filter_map(public_type).filter(|name| name != "Error") {
            modules.entry(name).or_default().push(path.clone());
        }
    }
    assert!(modules.len() > 100, "the types are found");
    for (name, paths) in modules {
        let [schemas, described] = ["src/schemas.rs", "cache/src/"];
        let is_schema = matches!(paths.as_slice(), [one, other]
            if one == schemas && other.starts_with(described));
        assert!(paths.len() == 1 || is_schema, "{name} is in {}", paths.join(" and "));
    }
}

/// The name of the public struct, enum, trait or alias that a line declares.
fn public_type(line: &str) -> Option<String> {
    let line = line.trim_start();
    let item = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) "))?;
    let kinds = ["struct ", "enum ", "trait ", "type "];
    kinds.iter().find_map(|kind| item.strip_prefix(kind)).map(first_word)
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
