use crate::harness::{Hitrate, TestRedis, run, setup, text};

const JSON: (&str, &str) = ("accept", "application/json");

fn post(hitrate: &Hitrate, form: &str) -> serde_json::Value {
    let answer = hitrate.post_with("/invalidation", form, &[JSON]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn source(hitrate: &Hitrate, id: &str) -> String {
    let told = hitrate.json(&format!("/profiles?id={id}"));
    told["source"].as_str().unwrap().to_owned()
}

#[test]
fn by_key_by_tag_and_by_pattern() {
    let hitrate = Hitrate::start();
    for (form, dropped) in [
        ("key=profile:123", Some(1)),
        ("tag=profile", None),
        ("pattern=profile:12*", Some(1)),
        ("pattern=profile:?23&dry_run=off", Some(1)),
    ] {
        hitrate.get("/profiles?id=123");
        hitrate.get("/profiles?id=456");
        assert_eq!(source(&hitrate, "123"), "cache");
        let told = post(&hitrate, form);
        assert_eq!(told["dropped"].as_u64(), dropped, "{told}");
        assert!(!told["trace"].as_array().unwrap().is_empty(), "what runs is shown");
        assert_eq!(source(&hitrate, "123"), "database", "{form}");
        let other = if form.starts_with("tag") { "database" } else { "cache" };
        assert_eq!(source(&hitrate, "456"), other, "{form}");
    }
}

#[test]
fn a_dry_run_counts_and_drops_nothing() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    hitrate.get("/profiles?id=456");
    let told = post(&hitrate, "pattern=profile:*&dry_run=on");
    assert_eq!((&told["found"], &told["dropped"]), (&2.into(), &0.into()));
    assert_eq!(told["message"], "2 copies would be dropped.");
    assert_eq!(source(&hitrate, "123"), "cache");
    let posted = hitrate.post("/invalidation", "pattern=profile:*&dry_run=on");
    let page = hitrate.get(posted.header("location")).body;
    assert!(page.contains("2 copies would be dropped.") && page.contains("SCAN 0 MATCH"), "{page}");
}

#[test]
fn only_our_own_copies_can_be_named() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    for bad in [
        "key=page_hits",
        "key=profile:*",
        "tag=session",
        "pattern=*",
        "pattern=page*",
        "pattern=profile:[a]",
        "pattern=",
        "key=product:1001",
        "",
        "key=profile:1&tag=profile",
        "key=profile:123&dry_run=on",
        "tag=profile&dry_run=on",
        "pattern=profile:*&dry_run=maybe",
    ] {
        let answer = hitrate.post_with("/invalidation", bad, &[JSON]);
        assert_eq!(answer.status, 422, "{bad}: {answer:?}");
    }
    assert_eq!(hitrate.post("/invalidation", "key=profile:1&x=1").status, 400);
    assert_eq!(hitrate.json("/")["hits"], 2, "the counter is still there");
}

#[test]
fn without_redis_it_says_so() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    redis.kill();
    for form in ["key=profile:123", "tag=profile", "pattern=profile:*"] {
        let answer = hitrate.post("/invalidation", form);
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{form}");
    }
    assert_eq!(hitrate.get("/invalidation").status, 200);
}

#[test]
fn the_command_line_does_the_same() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    let settings = [("REDIS_URL", redis.url())];
    let told = |args: &[&str]| {
        let ended = run(dir.path(), &settings, args);
        (ended.status.success(), text(&ended.stdout) + &text(&ended.stderr))
    };
    assert!(told(&["warm"]).0);
    let (done, said) = told(&["invalidate", "--pattern", "profile:*", "--dry-run"]);
    assert!(done && said.contains("22 copies would be dropped."), "{said}");
    assert!(told(&["invalidate", "--key", "profile:123"]).1.contains("The copy was dropped."));
    assert!(told(&["invalidate", "--pattern", "profile:*"]).1.contains("21 copies dropped."));
    assert!(
        told(&["invalidate", "--tag", "profile"])
            .1
            .contains("All copies tagged \"profile\" are now invalid.")
    );
    for bad in [
        &["invalidate"][..],
        &["invalidate", "--key", "x"],
        &["invalidate", "--tag", "x"],
        &["invalidate", "--tag", "profile", "--dry-run"],
    ] {
        assert!(!told(bad).0, "{bad:?}");
    }
}
