use std::{io::Write as _, thread, time::Duration};

use crate::harness::{Answer, Hitrate, eventually, reset};

const EXPIRED: &str = "username does not exist or has expired.";
const JSON: (&str, &str) = ("accept", "application/json");

fn start(hitrate: &Hitrate, form: &str) -> Answer {
    let started = hitrate.post("/sessions", form);
    assert_eq!((started.status, started.header("location")), (303, "/sessions"), "{started:?}");
    started
}

fn look(hitrate: &Hitrate, cookie: &str) -> serde_json::Value {
    hitrate.get_with("/sessions", &[("cookie", cookie), JSON]).json()
}

#[test]
fn the_documents_three_lines_come_at_their_moments() {
    let hitrate = Hitrate::start();
    let started = hitrate.post_with("/sessions", "username=qiross&ttl=1", &[JSON]);
    assert_eq!(started.json()["message"], "Cached username = qiross for 1 second.");
    let cookie = started.cookie();
    let alive = look(&hitrate, cookie);
    assert_eq!(alive["message"], "Retrieved username = qiross from cache.");
    assert!(alive["session"]["ttl_ms"].as_u64().unwrap() <= 1000);
    eventually(Duration::from_secs(3), "the session of one second ends", || {
        look(&hitrate, cookie)["session"].is_null()
    });
    assert_eq!(look(&hitrate, cookie)["message"], EXPIRED);
    let page = hitrate.get_with("/sessions", &[("cookie", cookie)]).body;
    assert!(page.contains(EXPIRED) && page.contains("Your session has expired"));
}

#[test]
fn ten_seconds_and_absolute_are_the_default() {
    let hitrate = Hitrate::start();
    let cookie = start(&hitrate, "username=qiross").cookie().to_owned();
    let session = &look(&hitrate, &cookie)["session"];
    assert_eq!(
        (session["ttl_s"].as_u64(), session["expiry"].as_str()),
        (Some(10), Some("absolute"))
    );
    let page = hitrate.get_with("/sessions", &[("cookie", &cookie)]).body;
    assert!(page.contains("Cached username = qiross for 10 seconds."));
    assert!(page.contains("Retrieved username = qiross from cache."));
}

#[test]
fn using_a_sliding_session_renews_it_and_an_absolute_one_not() {
    let hitrate = Hitrate::start();
    let absolute = start(&hitrate, "username=b&ttl=2&expiry=absolute").cookie().to_owned();
    let sliding = start(&hitrate, "username=a&ttl=2&expiry=sliding").cookie().to_owned();
    eventually(Duration::from_secs(3), "the absolute one ends under our eyes", || {
        assert_eq!(look(&hitrate, &sliding)["session"]["username"], "a");
        look(&hitrate, &absolute)["session"].is_null()
    });
    assert_eq!(look(&hitrate, &sliding)["session"]["username"], "a");
}

/// Only the page of a refused start shows the session, and showing it uses it.
#[test]
fn a_refused_start_of_a_program_does_not_renew_a_session() {
    let hitrate = Hitrate::start();
    let cookie = start(&hitrate, "username=a&ttl=600&expiry=sliding").cookie().to_owned();
    let key = look(&hitrate, &cookie)["session"]["key"].as_str().unwrap().to_owned();
    let mut redis = hitrate.own_redis();
    for (headers, ttl) in
        [(&[("cookie", cookie.as_str()), JSON][..], 60), (&[("cookie", &cookie)], 600)]
    {
        redis::cmd("EXPIRE").arg(&key).arg(60).exec(&mut redis).unwrap();
        assert_eq!(hitrate.post_with("/sessions", "username=", headers).status, 422);
        let left: i64 = redis::cmd("TTL").arg(&key).query(&mut redis).unwrap();
        assert!((ttl - 30..=ttl).contains(&left), "{left} of {ttl} s");
    }
}

#[test]
fn browsers_have_separate_sessions() {
    let hitrate = Hitrate::start();
    let one = start(&hitrate, "username=one").cookie().to_owned();
    let two = start(&hitrate, "username=two").cookie().to_owned();
    assert_eq!(look(&hitrate, &one)["session"]["username"], "one");
    assert_eq!(look(&hitrate, &two)["session"]["username"], "two");
    assert!(look(&hitrate, "")["session"].is_null());
}

#[test]
fn a_cookie_is_rotated_and_an_old_or_forged_one_finds_nothing() {
    let hitrate = Hitrate::start();
    let old = start(&hitrate, "username=qiross").cookie().to_owned();
    let renewed = hitrate.post_with("/sessions", "username=qiross", &[("cookie", &old)]);
    assert_ne!(renewed.cookie(), old);
    assert!(look(&hitrate, &old)["session"].is_null(), "a replayed cookie");
    assert_eq!(look(&hitrate, renewed.cookie())["session"]["username"], "qiross");
    let forged = format!("hitrate_session={}", "0".repeat(32));
    for bad in [forged.as_str(), "hitrate_session=*", "hitrate_session=", &"x".repeat(4000)] {
        let seen = look(&hitrate, bad);
        assert!(seen["session"].is_null() && seen["message"] == EXPIRED, "{bad}");
    }
}

#[test]
fn ending_it_ends_it() {
    let hitrate = Hitrate::start();
    let cookie = start(&hitrate, "username=qiross").cookie().to_owned();
    let ended = hitrate.post_with("/sessions/end", "", &[("cookie", &cookie)]);
    assert_eq!((ended.status, ended.header("location")), (303, "/sessions"));
    assert!(ended.header("set-cookie").contains("Max-Age=0"));
    assert!(look(&hitrate, &cookie)["session"].is_null());
}

/// Redis holds back the first of two commands until the visitor has left.
#[test]
fn a_start_ends_the_previous_session_even_if_the_visitor_leaves() {
    let hitrate = Hitrate::start();
    let old = start(&hitrate, "username=qiross&ttl=600").cookie().to_owned();
    let body = "username=other";
    let request = format!(
        "POST /sessions HTTP/1.1\r\nHost: {}\r\nCookie: {old}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        hitrate.address,
        body.len()
    );
    let mut redis = hitrate.own_redis();
    // A busy machine may exceed the deadline of a command, so it is tried again.
    eventually(Duration::from_secs(20), "the previous session is ended", || {
        redis::cmd("CLIENT").arg(&["PAUSE", "10000", "WRITE"]).exec(&mut redis).unwrap();
        let stream = hitrate.connect();
        (&stream).write_all(request.as_bytes()).unwrap();
        eventually(Duration::from_secs(2), "the start waits for Redis", || {
            let info: String = redis::cmd("INFO").arg("clients").query(&mut redis).unwrap();
            info.contains("blocked_clients:1")
        });
        reset(stream);
        // Until the reset is noticed, which nothing tells.
        thread::sleep(Duration::from_millis(30));
        redis::cmd("CLIENT").arg("UNPAUSE").exec(&mut redis).unwrap();
        look(&hitrate, &old)["session"].is_null()
    });
}

#[test]
fn the_id_is_kept_to_the_cookie() {
    let hitrate = Hitrate::start();
    let started = start(&hitrate, "username=qiross");
    let set = started.header("set-cookie");
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(flag), "{set}");
    }
    let (cookie, id) = (started.cookie(), started.cookie().split('=').nth(1).unwrap());
    assert_eq!(id.len(), 32, "128 bits");
    let page = hitrate.get_with("/sessions", &[("cookie", cookie)]).body;
    assert!(!page.contains(id) && !look(&hitrate, cookie).to_string().contains(id));
    assert!(!hitrate.log().contains(id));
    let key = look(&hitrate, cookie)["session"]["key"].as_str().unwrap().to_owned();
    let ttl: i64 = redis::cmd("TTL").arg(key).query(&mut hitrate.own_redis()).unwrap();
    assert!((1..=10).contains(&ttl), "the key on the page is the one in Redis");
}

#[test]
fn a_session_key_that_holds_garbage_is_no_session() {
    let hitrate = Hitrate::start();
    let cookie = start(&hitrate, "username=qiross").cookie().to_owned();
    let key = look(&hitrate, &cookie)["session"]["key"].as_str().unwrap().to_owned();
    let mut redis = hitrate.own_redis();
    redis::cmd("SET").arg(&key).arg("{").exec(&mut redis).unwrap();
    assert_eq!(look(&hitrate, &cookie)["message"], EXPIRED);
    redis::cmd("DEL").arg(&key).exec(&mut redis).unwrap();
    redis::cmd("LPUSH").arg(&key).arg("x").exec(&mut redis).unwrap();
    assert_eq!(look(&hitrate, &cookie)["message"], EXPIRED);
}
