//! Ownership and number of a demo's keys.

use super::{JSON, Visitor, entry, keys, lines, names};
use crate::harness::Hitrate;

#[test]
fn visitors_see_and_remove_only_their_own_keys() {
    let hitrate = Hitrate::start();
    let (one, other) = (Visitor::new(&hitrate), Visitor::new(&hitrate));
    one.play("shopping-cart", "act=add&quantity=3");
    one.play("expiring-key", "act=set&ttl=60");
    assert_eq!(names(&other.look("shopping-cart")), Vec::<&str>::new());
    let told = other.play("shopping-cart", "act=add&quantity=1");
    assert_eq!(entry(&told, "cart:1001")["items"][0]["value"], "1");
    assert_eq!(lines(&one.play("shopping-cart", "act=reset")), ["1 key was deleted."]);
    assert_eq!(names(&one.look("shopping-cart")), Vec::<&str>::new());
    assert_eq!(names(&one.look("expiring-key")), ["username"], "another demo of theirs stays");
    assert_eq!(names(&other.look("shopping-cart")), ["cart:1001"]);
}

/// A failed action may have written keys, which only this cookie finds again.
#[test]
fn a_new_visitor_keeps_the_cookie_when_an_action_fails() {
    let hitrate = Hitrate::start();
    for headers in [&[JSON][..], &[]] {
        let failed = hitrate.post_with("/patterns/expiring-key", "act=set&ttl=0", headers);
        assert_eq!(failed.status, 422, "{failed:?}");
        assert!(failed.cookie().starts_with("hitrate_visitor="), "{failed:?}");
    }
}

#[test]
fn the_number_of_keys_is_limited() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for product in 1..=40 {
        visitor.play("product-catalogue", &format!("act=view&product={product}"));
    }
    let told = visitor.look("product-catalogue");
    assert_eq!(names(&told).len(), 24);
    assert!(names(&told).contains(&"product:40") && !names(&told).contains(&"product:1"));
    // Plus the registry of keys.
    assert_eq!(keys(&mut hitrate.own_redis(), "hitrate:demo:*").len(), 25);
}

#[test]
fn the_keys_of_a_demo_share_a_hash_tag_and_its_pages_contain_no_token() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let told = visitor.play("distributed-lock", "act=acquire");
    let tags: Vec<_> = told["state"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["key"].as_str().unwrap().split(['{', '}']).nth(1).unwrap().to_owned())
        .collect();
    assert!(tags.len() > 2 && tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
    let secret = visitor.cookie.split('=').nth(1).unwrap();
    assert!(!told.to_string().contains(secret) && !hitrate.log().contains(secret));
}
