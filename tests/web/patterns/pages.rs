//! The pages, and the keys that actions leave.

use hitrate::labs::patterns::ALL;
use redis::Commands as _;

use super::{Visitor, keys, lines};
use crate::harness::Hitrate;

/// One day in seconds: the maximum TTL of a demo's keys.
const DAY: i64 = 86_400;

#[test]
fn the_index_links_every_pattern_and_each_lists_its_commands() {
    let hitrate = Hitrate::start();
    let index = hitrate.json("/patterns");
    let page = hitrate.get("/patterns").body;
    assert_eq!(ALL.len(), 12);
    for (row, pattern) in index["patterns"].as_array().unwrap().iter().zip(ALL) {
        let path = format!("/patterns/{}", pattern.slug);
        assert_eq!(row["path"], path.as_str());
        assert!(page.contains(&format!("href=\"{path}\"")), "{path}");
        let page = hitrate.get(&path);
        assert_eq!(page.status, 200);
        assert!(page.body.contains(&format!("<title>{} · hitrate</title>", pattern.title)));
        assert!(pattern.keys.iter().all(|key| page.body.contains(key.name)), "{path}");
        assert!(page.body.contains("yet.") || page.body.contains("at the moment."), "{path}");
    }
}

#[test]
fn every_action_runs_and_all_keys_have_a_ttl() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        for act in pattern.acts {
            let told = visitor.play(pattern.slug, &format!("act={}", act.id));
            assert!(!lines(&told).is_empty(), "{told}");
            assert_eq!((&told["slug"], &told["act"]), (&pattern.slug.into(), &act.id.into()));
            assert!(!told["trace"].as_array().unwrap().is_empty(), "{told}");
            assert!(told["state"].is_array() && told["trial"].is_null(), "{told}");
            let page = visitor.page(pattern.slug, &format!("act={}", act.id));
            assert!(page.contains("class=\"pattern-told\"") && page.contains(">Trace<"), "{page}");
        }
    }
    let mut redis = hitrate.own_redis();
    let all = keys(&mut redis, "hitrate:demo:*");
    assert!(all.len() > ALL.len(), "{all:?}");
    for key in all {
        let ttl: i64 = redis.ttl(&key).unwrap();
        assert!((1..=DAY).contains(&ttl), "{key} ends in {ttl}");
    }
}

#[test]
fn missing_pages_and_results_are_reported() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    assert_eq!(hitrate.get("/patterns/none").status, 404);
    assert_eq!(visitor.post("none", "act=set").status, 404);
    assert_eq!(hitrate.send("DELETE", "/patterns/expiring-key", &[], "").status, 405);
    assert_eq!(hitrate.get("/patterns/expiring-key?x=1").status, 400);
    for play in ["0", "%3Cscript%3E", "%00"] {
        let page = hitrate.get(&format!("/patterns/expiring-key?run={play}"));
        assert_eq!(page.status, 200);
        assert!(page.body.contains("This result is no longer available"), "{play}");
    }
    let play = visitor.play("expiring-key", "act=set")["run"].as_str().unwrap().to_owned();
    let elsewhere = hitrate.get(&format!("/patterns/shopping-cart?run={play}")).body;
    assert!(elsewhere.contains("This result is no longer available"), "it is another pattern’s");
}

#[test]
fn actions_with_the_same_fields_share_a_form() {
    let hitrate = Hitrate::start();
    let page = hitrate.get("/patterns/shopping-cart").body;
    let forms: Vec<_> =
        page.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap()).collect();
    let with = |act: &str| {
        let button = format!("value=\"{act}\"");
        *forms.iter().find(|form| form.contains(&button)).unwrap()
    };
    assert_eq!(with("add"), with("take"));
    assert!(with("add").contains("name=\"quantity\""));
    assert!(!with("empty").contains("name=\"quantity\""));
    assert_eq!(page.matches("name=\"quantity\"").count(), 1);
}
