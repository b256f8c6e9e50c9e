//! Ownership and TTL of keys, and concurrent visitors.

use std::{collections::BTreeSet, time::Duration};

use hitrate::labs::structures::ALL;
use serde_json::json;

use super::{DAY, Player, keys, replies};
use crate::harness::{Hitrate, eventually};

#[test]
fn every_action_uses_only_the_visitors_own_keys() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    hitrate.get("/");
    let mut redis = hitrate.own_redis();
    let before: BTreeSet<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    for structure in ALL {
        for act in structure.acts {
            for field in act.fields {
                for word in field.kind.choices() {
                    player.send(structure.slug, &format!("act={}&{}={word}", act.id, field.name));
                }
            }
        }
        player.play(structure.slug, "act=grow");
    }
    let after: BTreeSet<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    let mut tags = BTreeSet::new();
    for key in after.difference(&before) {
        assert!(key.starts_with("hitrate:demo:{"), "{key}");
        tags.insert(key.split(['{', '}']).nth(1).unwrap().to_owned());
        let ttl: i64 = redis::cmd("TTL").arg(key).query(&mut redis).unwrap();
        assert!((1..=DAY).contains(&ttl), "{key} ends in {ttl}");
    }
    let visitors: BTreeSet<_> = tags.iter().map(|tag| tag.split(':').next().unwrap()).collect();
    assert_eq!((tags.len(), visitors.len()), (ALL.len(), 1), "one hash tag a demo: {tags:?}");
}

#[test]
fn actions_renew_ttls_except_those_the_visitor_sets() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("strings", "act=example");
    let (token, session) =
        (player.name("strings", "token:abc123"), player.name("strings", "session:user:123"));
    let mut redis = hitrate.own_redis();
    let _: i64 = redis::cmd("EXPIRE").arg(&token).arg(100).query(&mut redis).unwrap();
    player.look("strings");
    let mut ttl = |key: &str| -> i64 { redis::cmd("TTL").arg(key).query(&mut redis).unwrap() };
    assert!(ttl(&token) <= 100, "looking renews nothing");
    player.play("strings", "act=incr");
    assert!(ttl(&token) > DAY - 60, "an act renews all keys of the demo");
    assert!((1..=10).contains(&ttl(&session)), "the session's own TTL is part of the demo");
    player.play("strings", "act=set-ex&seconds=1");
    eventually(Duration::from_secs(5), "the session ends", || {
        replies(&player.play("strings", "act=get&key=session:user:123"))
            == ["(nil)", "(integer) -2"]
    });
}

#[test]
fn two_visitors_do_not_see_each_other() {
    let hitrate = Hitrate::start();
    let (one, other) = (Player::new(&hitrate), Player::new(&hitrate));
    for structure in ALL {
        one.play(structure.slug, "act=example");
        assert!(other.page(structure.slug).contains("Nothing yet."), "{}", structure.slug);
    }
    let before = keys(&mut hitrate.own_redis());
    for structure in ALL {
        other.play(structure.slug, "act=example");
        other.play(structure.slug, "act=reset");
    }
    let lost: Vec<_> = before.difference(&keys(&mut hitrate.own_redis())).cloned().collect();
    assert!(lost.iter().all(|key| key.ends_with("session:user:123")), "{lost:?}");
    one.play("sets", "act=reset");
    assert!(one.page("sets").contains("Nothing yet."));
    assert!(!one.page("lists").contains("Nothing yet."), "reset is of one demo");
}

#[test]
fn a_thousand_concurrent_increments_are_all_counted() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("strings", "act=concurrent&users=1000");
    assert_eq!(replies(&told), ["1,000 different replies: (integer) 1 to (integer) 1000"]);
    assert_eq!(told["picture"]["values"][0]["number"], 1_000);
    assert_eq!(told["keys"][2]["ttl_s"], DAY);
    player.play("strings", "act=set");
    let answer = player.send("strings", "act=concurrent&users=10&key=token:abc123");
    assert_eq!((answer.status, &answer.json()["exchanges"][0]["refused"]), (422, &json!(true)));
}

#[test]
fn concurrent_actions_lose_nothing() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| (0..25).for_each(|_| drop(player.play("strings", "act=incr"))));
        }
    });
    assert_eq!(player.look("strings")["picture"]["values"][0]["number"], 200);
}
