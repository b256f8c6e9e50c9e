use crate::harness::Hitrate;

/// What is for browsers only, or described by itself.
const NOT_DESCRIBED: [&str; 3] = ["/openapi.json", "/favicon.ico", "/static/{name}"];

#[test]
fn every_route_is_described() {
    let document = Hitrate::start().get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let routes =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes.rs")).unwrap();
    let paths = routes.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut seen = 0;
    for path in paths.filter(|path| !NOT_DESCRIBED.contains(path)) {
        assert!(document["paths"][path].is_object(), "{path} is not described");
        seen += 1;
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), seen, "nothing else is described");
}

#[test]
fn the_json_of_a_page_has_the_fields_described() {
    let hitrate = Hitrate::start();
    let document = hitrate.get("/openapi.json").json();
    for (path, schema) in [
        ("/", "CounterPage"),
        ("/profiles?id=123", "Answer"),
        ("/sessions", "SessionsPage"),
        ("/stats", "StatsPage"),
    ] {
        let json = hitrate.json(path);
        let described = document["components"]["schemas"][schema].to_string();
        for field in ["transcript", "message", "redis", "cache"] {
            let both = json.get(field).is_some();
            let known = described.contains(&format!("\"{field}\"")) || described.contains("Sample");
            assert!(!both || known, "{path} has {field}, {schema} does not: {described}");
        }
    }
}
