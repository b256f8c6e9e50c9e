use serde_json::Value;

use crate::harness::Hitrate;

const PATH: &str = "/patterns/key-names";

fn names(told: &Value) -> Vec<(&str, usize)> {
    let names = told["names"].as_array().unwrap().iter();
    let broken = |name: &Value| name["findings"].as_array().unwrap().len();
    names.map(|name| (name["name"].as_str().unwrap(), broken(name))).collect()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn the_tutorials_names_get_its_own_verdicts() {
    let hitrate = Hitrate::start();
    let told = hitrate.json(PATH);
    for (name, broken) in names(&told) {
        let is_bad = ["u123", "data1", "temp"].contains(&name);
        assert_eq!(broken > 0, is_bad, "{name}");
    }
    let together: Vec<_> = told["together"].as_array().unwrap().iter().collect();
    let rules: Vec<_> = together.iter().map(|it| it["rule"].as_str().unwrap()).collect();
    let (one_type, alike, place) = ("one-type", "look-alike", "same-place");
    assert_eq!(rules, [one_type, alike, alike, alike, place], "the tutorial's own collisions");
    let says =
        |words: &str| together.iter().any(|it| it["message"].as_str().unwrap().contains(words));
    assert!(says("online_users and users_online") && says("hits and page_hits"), "{together:?}");
    assert!(says("user:profile:77 has a word"), "{together:?}");
    let page = hitrate.get(PATH).body;
    for rule in told["rules"].as_array().unwrap() {
        assert!(page.contains(&format!("id=\"{}\"", rule["slug"].as_str().unwrap())));
    }
}

#[test]
fn names_are_checked_and_better_ones_proposed() {
    let hitrate = Hitrate::start();
    let text = "u123\r\nuser:9:profile hash\r\n\r\nmy key";
    let path = format!("{PATH}?names={}", encoded(text));
    let told = hitrate.json(&path);
    assert_eq!(names(&told), [("u123", 2), ("user:9:profile", 0), ("my key", 1)]);
    assert_eq!(told["names"][0]["proposal"], "user:123");
    assert_eq!(told["names"][1]["type"], "hash");
    let page = hitrate.get(&path).body;
    assert!(page.contains("Better: <code>user:123</code>") && page.contains("1 good, 2 to fix"));
}

#[test]
fn input_is_bounded_and_escaped() {
    let hitrate = Hitrate::start();
    let status = |text: &str| hitrate.get(&format!("{PATH}?names={}", encoded(text))).status;
    assert_eq!(status(&"a:1\n".repeat(50)), 200);
    assert_eq!(status(&"a:1\n".repeat(51)), 422);
    assert_eq!(status(&"x".repeat(200)), 200);
    assert_eq!(status(&"x".repeat(201)), 422);
    for odd in ["::::", "{", "}{", "\u{0}", "\u{202e}x", "💥:1", "a\tb", "' OR 1=1", "#", "..."] {
        assert_eq!(status(odd), 200, "{odd:?}");
    }
    assert_eq!(hitrate.get(&format!("{PATH}?names=%ff")).status, 200);
    assert_eq!(hitrate.get(&format!("{PATH}?name=a")).status, 400);
    assert_eq!(hitrate.post(PATH, "names=a").status, 405);
    let page = hitrate.get(&format!("{PATH}?names={}", encoded("<script>x</script>"))).body;
    assert!(!page.contains("<script>x"), "it is escaped");
    let page = hitrate.get(&format!("{PATH}?names=+%0A+")).body;
    assert!(page.contains("Names from the tutorial"), "nothing typed is nothing sent");
}
