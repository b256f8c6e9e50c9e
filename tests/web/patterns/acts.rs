//! The guarantees of each pattern, action by action.

use std::time::Duration;

use serde_json::Value;

use super::{Visitor, entry, form, lines, names};
use crate::harness::{Hitrate, eventually};

#[test]
fn the_username_exists_until_its_ttl_ends() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let expired = "username does not exist or has expired.";
    assert_eq!(visitor.look("expiring-key")["now"], expired);
    let told = visitor.play("expiring-key", "act=set");
    let kept = "Retrieved username = qiross from cache.";
    assert_eq!(lines(&told), ["Cached username = qiross for 10 seconds.", kept]);
    assert_eq!(told["now"], kept);
    assert!((9_000..=10_000).contains(&entry(&told, "username")["ttl_ms"].as_u64().unwrap()));
    let page = visitor.page("expiring-key", "act=set&ttl=1");
    assert!(
        page.contains("Cached username = qiross for 1 second.")
            && page.contains("data-then=\"reload\"")
    );
    eventually(Duration::from_secs(3), "the key ends", || {
        lines(&visitor.play("expiring-key", "act=read")) == [expired]
    });
    assert_eq!(visitor.look("expiring-key")["now"], expired);
    assert_eq!(names(&visitor.look("expiring-key")), Vec::<&str>::new());
}

#[test]
fn a_session_is_renewed_by_a_write_and_not_by_a_read() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let ttl = |told: &Value| entry(told, "session:7")["ttl_ms"].as_u64().unwrap();
    assert!(ttl(&visitor.play("session-store", "act=write&user_id=7&name=Ann")) > 3_590_000);
    visitor.play("session-store", "act=age&user_id=7");
    assert!(ttl(&visitor.play("session-store", "act=read&user_id=7")) <= 1_800_000);
    assert!(ttl(&visitor.play("session-store", "act=write&user_id=7&name=Ann")) > 3_590_000);
    visitor.play("session-store", "act=end&user_id=7");
    let told = visitor.play("session-store", "act=read&user_id=7");
    assert_eq!(lines(&told), ["No session: none was written, or it has expired."]);
}

#[test]
fn the_same_parameters_are_the_same_response() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let call = |params: &str| {
        let told = visitor.play("api-response-cache", &form("call", "params", params));
        (lines(&told)[0].to_owned(), names(&told).len())
    };
    assert!(call("sort=price&page=2").0.starts_with("Miss"));
    assert!(call("page=2&sort=price").0.starts_with("Hit"));
    assert_eq!(call("page=3&sort=price").1, 2);
}

#[test]
fn a_changed_price_is_visible_immediately() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let view = || lines(&visitor.play("product-catalogue", "act=view&product=7")).join(" ");
    assert!(view().starts_with("CACHE MISS: Product 7 not found in cache."));
    assert!(view().starts_with("CACHE HIT: Fetching product 7 from cache."));
    visitor.play("product-catalogue", "act=reprice&product=7&price=555");
    let after = view();
    assert!(after.starts_with("CACHE MISS") && after.contains("555"), "{after}");
    let ttl = entry(&visitor.look("product-catalogue"), "product:7")["ttl_ms"].as_u64().unwrap();
    assert!((3_200_000..=3_960_000).contains(&ttl), "{ttl}");
}

#[test]
fn a_cart_is_counted_up_and_down() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.play("shopping-cart", "act=add&product=7&quantity=3");
    let told = visitor.play("shopping-cart", "act=take&product=7&quantity=2");
    assert_eq!(entry(&told, "cart:1001")["items"][0]["value"], "1");
    let told = visitor.play("shopping-cart", "act=take&product=7&quantity=99");
    assert_eq!(lines(&told), ["Removed the last of product 7."]);
    assert_eq!(names(&told), Vec::<&str>::new(), "an empty hash is no key");
    let told = visitor.play("shopping-cart", "act=take&product=7");
    assert_eq!(lines(&told), ["There is no product 7 in the cart."]);
}

#[test]
fn a_post_invalidates_every_page_of_the_feed() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let read = |page: u32| {
        let told = visitor.play("user-feed", &format!("act=read&page={page}"));
        lines(&told)[0].to_owned()
    };
    visitor.play("user-feed", "act=fill");
    for page in 1..=3 {
        assert!(read(page).starts_with("Miss"));
        assert!(read(page).starts_with("Hit"));
    }
    assert!(read(3).contains("5 posts"), "45 posts are two pages and a quarter");
    visitor.play("user-feed", "act=post&text=new");
    assert!(read(1).contains("20 posts, the first of them “new”"));
    assert!(read(2).contains("the first of them “Post 26”"), "each post has moved by one");
}

#[test]
fn topics_are_ranked_and_decay() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let told = visitor.play("trending-topics", "act=example");
    let topics = entry(&told, "trending_topics");
    assert_eq!((&topics["length"], topics["items"].as_array().unwrap().len()), (&12.into(), 10));
    assert_eq!(
        (&topics["items"][0]["name"], &topics["items"][0]["value"]),
        (&"redis".into(), &"12".into())
    );
    for _ in 0..2 {
        visitor.play("trending-topics", "act=decay");
    }
    let told = visitor.look("trending-topics");
    let topics = entry(&told, "trending_topics");
    assert_eq!(topics["items"][0]["value"], "3");
    assert_eq!(topics["length"], 11, "what fell below a half is dropped");
    assert!(topics["ttl_ms"].as_u64().unwrap() > 0, "a union into itself keeps no TTL by itself");
}

#[test]
fn both_windows_allow_ten_requests() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for window in ["fixed", "sliding"] {
        let told =
            visitor.play("rate-limiter", &format!("act=request&requests=12&window={window}"));
        assert_eq!(lines(&told)[0], "10 of 12 allowed, 2 rejected.");
        let again =
            visitor.play("rate-limiter", &format!("act=request&requests=1&window={window}"));
        assert_eq!(lines(&again)[0], "0 of 1 allowed, 1 rejected.");
        let other = format!("act=request&requests=1&window={window}&user_id=43");
        assert_eq!(lines(&visitor.play("rate-limiter", &other))[0], "1 of 1 allowed, 0 rejected.");
    }
}

#[test]
fn a_late_holder_deletes_nothing_and_its_write_is_rejected() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let says = |form: &str| lines(&visitor.play("distributed-lock", form)).join(" ");
    assert!(says("act=write&client=A").contains("never held the lock"));
    assert!(says("act=acquire&client=A&lease=1").starts_with("A holds the lock for 1 s"));
    eventually(Duration::from_secs(4), "the lease of A ends, and B gets the lock", || {
        says("act=acquire&client=B&lease=60").starts_with("B holds the lock")
    });
    assert!(says("act=acquire&client=A").contains("does not get the lock"));
    assert!(says("act=write&client=B").starts_with("B wrote with fencing token 2"));
    assert!(says("act=write&client=A").starts_with("Rejected: A has fencing token 1"));
    assert!(says("act=release&client=A").starts_with("Nothing was deleted"));
    assert_eq!(visitor.look("distributed-lock")["statistics"][0]["value"], "B");
    assert!(says("act=delete&client=A").starts_with("A deleted a lock that another client holds"));
    assert!(says("act=release&client=B").starts_with("Nothing was deleted"));
}

#[test]
fn retention_counts_users_active_on_both_days() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.play("retention", "act=many&from=0&count=1000&day=monday");
    visitor.play("retention", "act=many&from=400&count=800&day=tuesday");
    let told = visitor.play("retention", "act=retention");
    assert_eq!(
        lines(&told),
        [
            "1,000 users were active on Monday, 800 on Tuesday, 600 on both.",
            "Retention: 60.00 % of Monday’s users came back."
        ]
    );
}

#[test]
fn a_repeated_visitor_counts_once() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.play("unique-visitors", "act=visit");
    let told = visitor.play("unique-visitors", "act=visit");
    assert_eq!(lines(&told), ["user:1 was already counted."]);
    assert_eq!(
        (&told["statistics"][0]["value"], &told["statistics"][1]["value"]),
        (&"1".into(), &"1".into())
    );
    let told = visitor.play("unique-visitors", "act=many&from=1&count=10000");
    assert_eq!(told["statistics"][0]["value"], "10,000");
}
