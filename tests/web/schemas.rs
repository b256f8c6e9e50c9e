//! What OpenAPI describes has one name each: two types of one name would be one
//! schema, and the document would be wrong about one of them.

use std::collections::BTreeMap;

use crate::sources::files;

/// The names of the types in a source that derive or implement `ToSchema`.
fn schemas(text: &str) -> Vec<&str> {
    let (mut names, mut derived) = (Vec::new(), false);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[derive(") {
            derived = line.contains("ToSchema");
        }
        let declared = ["pub struct ", "struct ", "pub enum ", "enum "]
            .iter()
            .find_map(|keyword| line.strip_prefix(keyword));
        if let Some(declared) = declared.filter(|_| std::mem::take(&mut derived)) {
            names.push(word(declared));
        }
        let implemented = line.split(" ToSchema for ").nth(1);
        names.extend(implemented.filter(|_| line.starts_with("impl")).map(word));
    }
    names
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[test]
fn no_two_schemas_share_a_name() {
    let mut seen = BTreeMap::new();
    for (path, text) in files("src", "rs") {
        for name in schemas(&text) {
            let other = seen.insert(name.to_owned(), path.clone());
            assert!(other.is_none(), "{name} is in {} and in {other:?}", path.display());
        }
    }
    assert!(seen.len() > 50, "{seen:?}");
    assert!(seen.contains_key("Integer") && seen.contains_key("StampedeForm"));
}
