//! Who may import whom, read off the sources: folders only downwards, and files
//! never in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::sources::{files, root};

/// The folders and files of `src`, ground first. Each may name only what stands
/// before it. The cache is a package of its own: there the compiler holds the wall.
const LAYERS: &[&[&str]] = &[
    &["config", "failpoints", "format", "input", "schemas", "token"],
    &["demo"],
    &["labs"],
    &["ops"],
    &["web"],
    &["cli"],
    &["lib", "main"],
];

#[test]
fn folders_import_only_downwards() {
    for (path, text) in files("src", "rs") {
        let own = top(&path);
        for name in imports(&text).into_iter().filter(|name| name[0] == "crate") {
            let down = layer(&name[1]) < layer(&own) || name[1] == own;
            assert!(down, "{} imports {}", path.display(), name.join("::"));
        }
    }
}

/// Pages are of the web layer, and so are their templates.
#[test]
fn templates_name_nothing_above_the_pages() {
    for (path, text) in files("templates", "html") {
        for name in imports(&text) {
            assert!(layer(&name[1]) <= layer("web"), "{}: {}", path.display(), name.join("::"));
        }
    }
}

/// A module and the files in its folder may know each other; any other files must
/// not depend on each other in a circle.
#[test]
fn files_do_not_import_in_a_circle() {
    for tree in ["src", "cache/src", "benches/pages"] {
        let sources: BTreeMap<_, _> = files(tree, "rs").into_iter().collect();
        let graph: BTreeMap<_, _> =
            sources.iter().map(|(path, text)| (path, edges(tree, path, text, &sources))).collect();
        for start in graph.keys() {
            let mut trail = vec![*start];
            assert!(!returns(start, start, &graph, &mut trail, &mut BTreeSet::new()), "{trail:#?}");
        }
    }
}

type Graph<'a> = BTreeMap<&'a PathBuf, BTreeSet<PathBuf>>;

/// Whether the imports of `at` lead back to `start`; the way is then in `trail`.
fn returns<'a>(
    start: &Path,
    at: &Path,
    graph: &'a Graph<'_>,
    trail: &mut Vec<&'a PathBuf>,
    seen: &mut BTreeSet<&'a PathBuf>,
) -> bool {
    for next in &graph[&at.to_owned()] {
        if next == start {
            return true;
        }
        if seen.insert(next) {
            trail.push(next);
            if returns(start, next, graph, trail, seen) {
                return true;
            }
            trail.pop();
        }
    }
    false
}

/// The files that one imports from, but for itself and the module it belongs to,
/// or consists of.
fn edges(
    tree: &str,
    path: &Path,
    text: &str,
    sources: &BTreeMap<PathBuf, String>,
) -> BTreeSet<PathBuf> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    // A link in a comment needs no import.
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let named = imports(&code.collect::<Vec<_>>().join("\n")).into_iter().filter_map(|name| {
        let file = resolve(tree, path, &name, sources)?;
        (file != path && !is_within(&file, path) && !is_within(path, &file)).then_some(file)
    });
    named.collect()
}

/// The file that an import takes its name from, through the re-exports of a root.
fn resolve(
    tree: &str,
    path: &Path,
    name: &[String],
    sources: &BTreeMap<PathBuf, String>,
) -> Option<PathBuf> {
    let mut dir = match name[0].as_str() {
        "crate" => root().join(tree),
        // The folder that this file's module is in, or is.
        "super" if is_root(path) => path.parent()?.parent()?.to_owned(),
        "super" | "self" => path.parent()?.to_owned(),
        _ => return None,
    };
    let mut rest = &name[1..];
    while let Some(first) = rest.first() {
        let file = dir.join(format!("{first}.rs"));
        if sources.contains_key(&file) {
            return Some(file);
        }
        if !dir.join(first).join("mod.rs").is_file() {
            break;
        }
        (dir, rest) = (dir.join(first), &rest[1..]);
    }
    let root = ["mod.rs", "lib.rs", "main.rs"].map(|it| dir.join(it));
    let root = root.into_iter().find(|it| sources.contains_key(it))?;
    let exported = imports(&sources[&root])
        .into_iter()
        .find(|it| it[0] == "self" && it.len() > 2 && it.last() == rest.first());
    match exported {
        Some(exported) => resolve(tree, &root, &exported, sources),
        None => Some(root),
    }
}

/// Whether the first is in the folder that the second is the root of.
fn is_within(path: &Path, root: &Path) -> bool {
    is_root(root) && path.starts_with(root.parent().unwrap())
}

fn is_root(path: &Path) -> bool {
    ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name))
}

/// The paths that begin with crate, self or super, `use` trees taken apart.
fn imports(text: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            if !before.is_alphanumeric() && !":_".contains(before) {
                flatten(&mut Vec::new(), &text[at..], &mut found);
            }
        }
    }
    found.retain(|name| name.len() > 1);
    found
}

/// Reads one path or tree from the beginning of `text`, and returns what is left.
fn flatten<'a>(
    prefix: &mut Vec<String>,
    text: &'a str,
    found: &mut BTreeSet<Vec<String>>,
) -> &'a str {
    let depth = prefix.len();
    let mut text = text.trim_start();
    loop {
        if let Some(mut rest) = text.strip_prefix('{') {
            while !rest.is_empty() && !rest.trim_start().starts_with('}') {
                rest = flatten(prefix, rest, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            text = rest.trim_start().strip_prefix('}').unwrap_or_default();
            break;
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        prefix.push(text[..end].to_owned());
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) if end > 0 => text = rest,
            _ => {
                found.insert(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(depth);
    // Past a name after `as`, to the comma or brace that ends this branch.
    &text[text.find([',', '}', ';', '(', '{', '\n']).unwrap_or(text.len())..]
}

fn top(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let top = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    top.trim_end_matches(".rs").to_owned()
}

fn layer(name: &str) -> usize {
    let found = LAYERS.iter().position(|names| names.contains(&name));
    found.unwrap_or_else(|| panic!("give {name} its place in LAYERS"))
}

#[test]
fn a_tree_is_taken_apart() {
    let text = "use crate::{a::{self, B as C, d::*}, e};\nlet x = super::f::G(1); xcrate::h";
    let names: Vec<_> = imports(text).iter().map(|name| name.join("::")).collect();
    let wanted = ["crate::a::B", "crate::a::d::", "crate::a::self", "crate::e", "super::f::G"];
    assert_eq!(names, wanted);
}
