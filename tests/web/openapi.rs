use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::Hitrate;

/// What is for browsers only, or described by itself.
const NOT_DESCRIBED: [&str; 3] = ["/openapi.json", "/favicon.ico", "/static/{name}"];

#[test]
fn every_route_is_described() {
    let document = Hitrate::start().get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let routes =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/routes.rs")).unwrap();
    let paths = routes.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut seen = 0;
    for path in paths.filter(|path| !NOT_DESCRIBED.contains(path)) {
        assert!(document["paths"][path].is_object(), "{path} is not described");
        seen += 1;
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), seen, "nothing else is described");
}

/// What a schema requires and allows at its top, through `$ref` and `allOf`.
fn fields(document: &Value, schema: &Value, all: &mut BTreeMap<String, bool>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return fields(document, &document["components"]["schemas"][name], all);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(document, part, all);
    }
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    for name in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
        all.insert(name.clone(), required.iter().any(|it| *it == name));
    }
}

#[test]
fn the_json_of_a_page_has_just_the_fields_described() {
    let hitrate = Hitrate::start();
    let document = hitrate.get("/openapi.json").json();
    for (asked, path) in [
        ("/", "/"),
        ("/profiles?id=123", "/profiles"),
        ("/strategies", "/strategies"),
        ("/sessions", "/sessions"),
        ("/stampede", "/stampede"),
        ("/patterns/key-names", "/patterns/key-names"),
        ("/patterns", "/patterns"),
        ("/patterns/shopping-cart", "/patterns/{slug}"),
        ("/stats", "/stats"),
        ("/structures", "/structures"),
        ("/structures/sets", "/structures/{slug}"),
        ("/product", "/product"),
        ("/product/1", "/product/{id}"),
        ("/readyz", "/readyz"),
    ] {
        let answer = &document["paths"][path]["get"]["responses"]["200"]["content"];
        let mut described = BTreeMap::new();
        fields(&document, &answer["application/json"]["schema"], &mut described);
        let json = hitrate.json(asked);
        for name in json.as_object().unwrap().keys() {
            assert!(
                described.contains_key(name),
                "{asked} has {name}, its schema only {described:?}"
            );
        }
        for (name, _) in described.iter().filter(|(_, required)| **required) {
            assert!(json.get(name).is_some(), "{asked} lacks {name}");
        }
    }
}

/// Whether a schema is of a value and an object at once, as a description beside an
/// inline schema makes it.
fn is_contradictory(schema: &Value) -> bool {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut types: Vec<_> = parts.filter_map(|part| part["type"].as_str()).collect();
    types.dedup();
    types.len() > 1
}

#[test]
fn a_schema_is_of_one_type() {
    let document = Hitrate::start().get("/openapi.json").json();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(!is_contradictory(schema), "{name}.{field}: {schema}");
        }
    }
}
