//! Patterns while Redis denies commands, is down, crashes or is frozen.

use std::{sync::Arc, thread, time::Duration};

use hitrate::labs::patterns::ALL;

use super::{Visitor, entry};
use crate::{
    faults::{assert_no_panic, conditions_told},
    harness::{Hitrate, TestRedis, eventually, setup},
};

#[test]
fn error_replies_are_quoted() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let told = visitor.play("expiring-key", "act=set");
    let key = entry(&told, "username")["key"].as_str().unwrap().to_owned();
    let mut redis = hitrate.own_redis();
    redis::pipe().del(&key).lpush(&key, "x").exec(&mut redis).unwrap();
    let refused = visitor.post("expiring-key", "act=read");
    assert_eq!(refused.status, 422);
    assert!(refused.json()["error"].as_str().unwrap().contains("WRONGTYPE"), "{refused:?}");
    assert_eq!(entry(&visitor.look("expiring-key"), "username")["type"], "list");
}

#[test]
fn pages_work_without_redis_and_actions_recover() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.play("shopping-cart", "act=add");
    redis.kill();
    for pattern in ALL {
        let page = hitrate.get(&format!("/patterns/{}", pattern.slug));
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Your keys can&#39;t be read: Redis"), "{}", page.body);
        let act = visitor.post(pattern.slug, &format!("act={}", pattern.acts[0].id));
        assert_eq!(act.status, 503, "{act:?}");
        assert_eq!(visitor.post(pattern.slug, "act=reset").status, 503);
    }
    assert!(visitor.look("shopping-cart")["state"].is_null());
    for _ in 0..3 {
        assert_eq!(visitor.post("shopping-cart", "act=trial").status, 503);
    }
    assert_eq!(conditions_told(&hitrate), 1, "{}", hitrate.log());
    redis.restart();
    eventually(Duration::from_secs(10), "acts work again", || {
        visitor.post("shopping-cart", "act=add").status == 200
    });
    eventually(Duration::from_secs(10), "trials do, too", || {
        visitor.post("shopping-cart", "act=trial").status == 200
    });
    assert_no_panic(&hitrate);
}

#[test]
fn redis_crashes_during_a_trial() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = Arc::new(setup().redis(&redis).start());
    let running = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || {
            Visitor::new(&hitrate).post("distributed-lock", "act=trial&actors=200")
        })
    };
    eventually(Duration::from_secs(10), "it has begun", || {
        !redis.command(&["KEYS", "*trial:*"]).is_empty()
    });
    redis.kill();
    let answer = running.join().unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_no_panic(&hitrate);
}

#[test]
fn keys_left_in_a_frozen_redis_are_removed_when_it_resumes() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    thread::scope(|scope| {
        let running = scope.spawn(|| visitor.post("distributed-lock", "act=trial&actors=200"));
        // The resource that the lock guards, not the lock.
        let mut ttl = -2;
        eventually(Duration::from_secs(10), "it has written", || {
            let report = redis.command(&["KEYS", "*trial:????????????????:report"]);
            ttl = redis.command(&["TTL", &report]).parse().unwrap();
            ttl != -2
        });
        assert!(ttl > 0, "it would end if hitrate died now: {ttl}");
        redis.freeze();
        assert_eq!(running.join().unwrap().status, 503);
        let refused = visitor.post("distributed-lock", "act=trial");
        assert_eq!(refused.status, 503, "{refused:?}");
        redis.thaw();
    });
    eventually(Duration::from_secs(10), "its keys are gone", || {
        redis.command(&["KEYS", "*trial:*"]).is_empty()
    });
    assert_no_panic(&hitrate);
}
