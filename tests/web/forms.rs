//! A form that is refused is shown again as it was sent, with the reason beside
//! the field.

use crate::harness::{Answer, Hitrate};

const JSON: (&str, &str) = ("accept", "application/json");

/// A form, the field that is wrong, what was typed into it, and the status.
type Refused = (&'static str, &'static str, &'static str, &'static str, u16);

const REFUSED: [Refused; 14] = [
    ("/stampede", "visitors=1001&delay_ms=7", "visitors", "1001", 422),
    ("/stampede", "visitors=9&delay_ms=x", "delay_ms", "x", 422),
    ("/patterns/round-trips", "count=0", "count", "0", 422),
    ("/strategies", "act=read&id=a:b", "id", "a:b", 400),
    ("/strategies", "act=read&delay_ms=5001", "delay_ms", "", 422),
    ("/sessions", "username=&ttl=20", "username", "", 422),
    ("/sessions", "username=Ann&ttl=0", "ttl", "0", 422),
    ("/profiles/123", "name=Ann&email=nobody&age=31", "email", "nobody", 422),
    ("/profiles/123", "name=Ann&email=a%40b&age=151", "age", "151", 422),
    ("/invalidation", "key=page_hits", "key", "page_hits", 422),
    ("/invalidation", "pattern=*", "pattern", "*", 422),
    ("/console", "command=", "command", "", 422),
    ("/patterns/expiring-key", "act=set&ttl=0", "ttl", "0", 422),
    ("/structures/hashes", "act=hset&field=&value=x", "field", "", 422),
];

/// The tag of the input or select of this name that is marked as wrong.
fn marked<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let tags = page
        .split('<')
        .filter(|tag| ["input ", "select ", "textarea "].iter().any(|it| tag.starts_with(it)));
    let mut tags = tags.filter(|tag| tag.contains(&format!(" name=\"{name}\"")));
    tags.find(|tag| tag.contains("aria-invalid=\"true\""))
}

/// The error beside a field.
fn reason<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let described = marked(page, name)?.split("aria-describedby=\"").nth(1)?.split('"').next()?;
    page.split(&format!("id=\"{described}\">")).nth(1)?.split('<').next()
}

fn message(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_refused_form_is_shown_again_with_the_reason_beside_its_field() {
    let hitrate = Hitrate::start();
    for (path, form, field, typed, status) in REFUSED {
        let page = hitrate.post(path, form);
        assert_eq!(page.status, status, "{path} {form}");
        assert!(!page.body.contains("id=\"pages\""), "{path} is the form's own page");
        let tag =
            marked(&page.body, field).unwrap_or_else(|| panic!("{path} {form}: {}", page.body));
        assert!(tag.contains(&format!("value=\"{typed}\"")) || tag.starts_with("select"), "{tag}");
        let reason = reason(&page.body, field).unwrap();
        let told = hitrate.post_with(path, form, &[JSON]);
        assert_eq!((told.status, message(&told)), (status, reason.replace("&#39;", "'")), "{path}");
    }
}

/// A query, the field that is wrong, and the status.
const REFUSED_QUERIES: [(&str, Option<&str>, u16); 14] = [
    ("/profiles?id=a%20b", Some("id"), 400),
    ("/profiles?id=123&delay_ms=99999", Some("delay_ms"), 422),
    ("/profiles?id=123&policy=best", Some("policy"), 422),
    ("/profiles?id=123&x=1", None, 400),
    ("/strategies?id=a:b", Some("id"), 400),
    ("/strategies?delay_ms=x", Some("delay_ms"), 422),
    ("/strategies?step=0", None, 422),
    ("/patterns/key-names?names=a&names=b", Some("names"), 400),
    ("/stampede?x=1", None, 400),
    ("/invalidation?run=1&run=2", None, 400),
    ("/console?x=1", None, 400),
    ("/patterns/round-trips?x=1", None, 400),
    ("/patterns/shopping-cart?x=1", None, 400),
    ("/structures/sets?x=1", None, 400),
];

#[test]
fn a_refused_query_is_shown_in_its_form_with_the_reason_beside_its_field() {
    let hitrate = Hitrate::start();
    for (path, field, status) in REFUSED_QUERIES {
        let page = hitrate.get(path);
        assert_eq!(page.status, status, "{path}");
        assert!(!page.body.contains("id=\"pages\""), "{path} is its own page");
        assert!(page.body.contains("role=\"alert\"") && page.header("cache-status").is_empty());
        let told = hitrate.get_with(path, &[JSON]);
        assert_eq!((told.status, told.json().as_object().unwrap().len()), (status, 1), "{path}");
        let notice = message(&told).replace('\'', "&#39;");
        match field {
            Some(name) => assert_eq!(reason(&page.body, name), Some(&*notice), "{path}"),
            None => assert!(page.body.contains(&notice), "{path}: {}", page.body),
        }
    }
    let page = hitrate.get("/profiles?id=a%20b&delay_ms=99999&policy=none").body;
    assert!(marked(&page, "id").unwrap().contains("value=\"a b\""), "{page}");
    assert!(page.contains("<option value=\"99999\" selected>"), "what was typed is shown");
    assert!(page.contains("<option value=\"none\" selected>"), "and what was right");
}

#[test]
fn each_wrong_field_has_its_own_reason() {
    let hitrate = Hitrate::start();
    for (path, form, fields) in [
        ("/profiles/123", "name=&email=nobody&age=151", &["name", "email", "age"][..]),
        ("/sessions", "username=&ttl=0", &["username", "ttl"]),
        ("/stampede", "visitors=0&delay_ms=x", &["visitors", "delay_ms"]),
        ("/structures/hashes", "act=hset&field=&value=", &["field", "value"]),
    ] {
        let page = hitrate.post(path, form).body;
        for field in fields {
            let reason = reason(&page, field).unwrap_or_else(|| panic!("{path} {field}: {page}"));
            assert!(reason.starts_with(&format!("The field {field} ")), "{reason}");
        }
        let sentences = message(&hitrate.post_with(path, form, &[JSON]));
        assert_eq!(sentences.matches("The field ").count(), fields.len(), "{sentences}");
    }
}

#[test]
fn a_rejected_form_keeps_the_other_input() {
    let hitrate = Hitrate::start();
    let page =
        hitrate.post("/stampede", "visitors=0&delay_ms=7&policy=near-cache&policy=lease").body;
    assert!(
        page.contains("value=\"7\"") && page.contains("value=\"near-cache\" checked"),
        "{page}"
    );
    assert!(!page.contains("value=\"cache-aside\" checked"), "{page}");
    let page = hitrate.post("/profiles/123", "name=Ann&email=nobody&age=31").body;
    assert!(page.contains("value=\"Ann\"") && page.contains("Edit profile 123"), "{page}");
    let page = hitrate.post("/sessions", "username=&ttl=20&expiry=sliding").body;
    assert!(page.contains("value=\"20\"") && page.contains("value=\"sliding\" checked"));
}

#[test]
fn a_form_that_hits_an_unknown_field_or_profile_is_shown_again_too() {
    let hitrate = Hitrate::start();
    for (path, form, status, told) in [
        ("/stampede", "visitor=1", 400, "Unknown field “visitor”"),
        ("/stampede", "policy=best", 422, "The field policy takes cache-aside"),
        ("/strategies", "act=read&id=nobody", 404, "No profile has the id nobody."),
        (
            "/strategies",
            "act=dance",
            422,
            "The field act takes read or write or invalidate or run.",
        ),
        ("/profiles/nobody", "name=A&email=a%40b&age=1", 404, "No profile has the id nobody."),
    ] {
        let page = hitrate.post(path, form);
        assert_eq!(page.status, status, "{path} {form}");
        assert!(page.body.contains(told) && page.body.contains("role=\"alert\""), "{}", page.body);
        assert!(!page.body.contains("id=\"pages\""), "{path} {form}");
    }
}
