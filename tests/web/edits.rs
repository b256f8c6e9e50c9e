use crate::harness::{Hitrate, setup};

#[test]
fn an_edit_is_seen_by_the_next_lookup() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    let saved = hitrate.post("/profiles/123", "name=Ann+O%27Neil&email=ann%40example.com&age=31");
    assert_eq!((saved.status, saved.header("location")), (303, "/profiles?id=123"));
    let told = hitrate.json("/profiles?id=123");
    assert_eq!(told["source"], "database", "the cached copy is gone");
    assert_eq!(told["version"], 2);
    assert_eq!(told["profile"]["name"], "Ann O'Neil");
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["age"], 31);
}

#[test]
fn an_edit_may_be_json_and_is_answered_so() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    let headers = [("content-type", "application/json"), ("accept", "application/json")];
    let body = r#"{"name": "Ann", "email": "ann@example.com", "age": 31}"#;
    let saved = hitrate.send("POST", "/profiles/123", &headers, body);
    assert_eq!(saved.status, 200, "{saved:?}");
    assert_eq!((&saved.json()["id"], &saved.json()["invalidated"]), (&"123".into(), &true.into()));
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    assert_eq!(hitrate.send("POST", "/profiles/nobody", &headers, body).status, 404);
}

#[test]
fn an_edit_outlives_a_restart_and_is_not_imported_over() {
    let dir = tempfile::tempdir().unwrap();
    let hitrate = setup().in_dir(dir.path()).start();
    hitrate.post("/profiles/123", "name=Ann&email=ann%40example.com&age=31");
    assert!(hitrate.end("TERM").success());
    let again = setup().in_dir(dir.path()).start();
    assert_eq!(again.json("/profiles?id=123&cache=off")["profile"]["name"], "Ann");
}

#[test]
fn a_rejected_edit_is_shown_without_a_lookup() {
    let hitrate = Hitrate::start();
    let page = hitrate.post("/profiles/123", "name=Ann&email=nobody&age=31");
    assert_eq!((page.status, page.header("set-cookie")), (422, ""), "{page:?}");
    assert!(page.body.contains("The field email takes an e-mail address"), "{}", page.body);
    assert!(page.body.contains("value=\"nobody\""), "{}", page.body);
    let metrics = hitrate.get("/metrics").body;
    let lines = metrics.lines().filter(|line| line.starts_with("hitrate_lookups_total"));
    let lookups: Vec<_> = lines.collect();
    assert!(lookups.len() > 1 && lookups.iter().all(|line| line.ends_with(" 0")), "{lookups:?}");
}

#[test]
fn forgetting_makes_the_next_lookup_a_miss() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    let invalidated = hitrate.post("/profiles/123/invalidate", "delay_ms=50");
    assert_eq!(invalidated.header("location"), "/profiles?id=123&delay_ms=50");
    let back = invalidated.header("location");
    let page = hitrate.get_with(back, &[("cookie", invalidated.cookie())]);
    assert!(page.body.contains("Invalidated.") && page.body.contains("badge is-database"));
    let cookies: Vec<_> = page.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.iter().any(|it| it.to_str().unwrap().starts_with("hitrate_done=; ")));
    assert!(!hitrate.get(back).body.contains("Invalidated."), "another visitor did nothing");
}

#[test]
fn the_former_address_of_an_invalidation_leads_to_it() {
    let moved = Hitrate::start().post("/profiles/123/forget?policy=none", "delay_ms=50");
    assert_eq!(moved.status, 308);
    assert_eq!(moved.header("location"), "/profiles/123/invalidate?policy=none");
}
