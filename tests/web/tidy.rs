//! The shape of the source, held by tests so that nobody has to remember it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules, ground first. A module may name only modules of lower layers.
const LAYERS: &[&[&str]] = &[
    &[
        "assets", "broken", "clock", "config", "field", "figures", "kept", "lately", "model",
        "mood", "nav", "token", "turns",
    ],
    &["wire"],
    &["story"],
    &["metrics"],
    &["keys"],
    &["db", "store"],
    &["cache", "counter", "demo", "session"],
    &[
        "console",
        "invalidation",
        "key_names",
        "patterns",
        "products",
        "profiles",
        "round_trips",
        "stampede",
        "stats",
        "structures",
    ],
    &["strategies"],
    &["app", "html", "input"],
    &["error"],
    &["pages"],
    &["guard", "routes"],
    &["server"],
    &["cli"],
    &["main", "lib"],
];

#[test]
fn modules_look_only_downwards() {
    for (path, text) in files("src", "rs") {
        let module = module_of(&path);
        for named in crate_names(&text) {
            let down = layer(&named) < layer(&module) || named == module;
            assert!(down, "{module} must not know about {named} ({})", path.display());
        }
    }
}

/// The error page extends the base like every page, so templates are below it.
#[test]
fn templates_look_only_downwards() {
    for (path, text) in files("templates", "html") {
        for named in crate_names(&text) {
            let down = layer(&named) < layer("error");
            assert!(down, "{} must not know about {named}", path.display());
        }
    }
}

#[test]
fn only_the_web_layers_speak_http() {
    for (path, text) in files("src", "rs") {
        let module = module_of(&path);
        let web = ["html", "input", "error", "pages", "guard", "routes", "server", "main"]
            .contains(&module.as_str());
        assert!(web || !text.contains("actix_web"), "{module} should not know about HTTP");
    }
}

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in files("src", "rs") {
        assert!(text.starts_with("//!"), "{} should begin with //!", path.display());
    }
}

#[test]
fn redis_and_sql_are_spoken_at_their_doors_only() {
    for (path, text) in files("src", "rs") {
        let module = module_of(&path);
        assert!(module == "store" || !text.contains("redis::"), "{}", path.display());
        assert!(module == "db" || !text.contains("sqlx::"), "{}", path.display());
    }
}

#[test]
fn every_page_has_a_test_of_its_name_and_a_template_if_it_shows_one() {
    let all = fs::read_to_string(root().join("src/pages/mod.rs")).unwrap();
    for name in all.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let name = name.trim_end_matches(';');
        let page = fs::read_to_string(root().join(format!("src/pages/{name}.rs"))).unwrap();
        let template = root().join(format!("templates/{name}.html"));
        assert_eq!(page.contains("#[template"), template.is_file(), "the template of {name}");
        assert!(root().join(format!("tests/web/{name}.rs")).is_file(), "no test for {name}");
    }
}

#[test]
fn every_route_is_a_page_and_no_page_is_left_out() {
    let routes = fs::read_to_string(root().join("src/routes.rs")).unwrap();
    for (path, text) in files("src/pages", "rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        for handler in text.split("pub async fn ").skip(1) {
            let handler = first_word(handler);
            assert!(routes.contains(&format!("{name}::{handler})")), "{name}::{handler}");
        }
    }
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|names| names.contains(&module))
        .unwrap_or_else(|| panic!("give {module} its place in LAYERS"))
}

/// The top module a source file belongs to: `src/pages/counter.rs` is `pages`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let top = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    top.trim_end_matches(".rs").to_owned()
}

/// The top modules a text names, as `crate::name` or in `crate::{name, ...}`.
fn crate_names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first_word(rest));
            continue;
        };
        let mut depth = 0;
        let mut at_start = true;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if at_start && c.is_alphabetic() => {
                    names.insert(first_word(&group[i..]));
                    at_start = false;
                }
                _ => (),
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}
