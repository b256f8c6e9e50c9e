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
    let tags =
        page.split('<').filter(|tag| tag.starts_with("input ") || tag.starts_with("select "));
    let mut tags = tags.filter(|tag| tag.contains(&format!(" name=\"{name}\"")));
    tags.find(|tag| tag.contains("aria-invalid=\"true\""))
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
        let described = tag.split("aria-describedby=\"").nth(1).unwrap().split('"').next().unwrap();
        let reason = page.body.split(&format!("id=\"{described}\">")).nth(1).unwrap();
        let reason = reason.split('<').next().unwrap();
        let told = hitrate.post_with(path, form, &[JSON]);
        assert_eq!((told.status, message(&told)), (status, reason.replace("&#39;", "'")), "{path}");
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
