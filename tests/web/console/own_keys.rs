//! Commands use the visitor's own keys only, with a TTL and a quota.

use super::{Visitor, others};
use crate::harness::Hitrate;

#[test]
fn permitted_commands_use_only_the_visitors_own_keys() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    let (visitor, other) = (Visitor::new(&hitrate), Visitor::new(&hitrate));
    other.run("SET mine secret");
    let theirs = format!("{}mine", other.prefix());
    let mut redis = hitrate.own_redis();
    let but = visitor.prefix();
    let before = others(&mut redis, &but);
    for command in [
        "GET hitrate:page_hits",
        "SET hitrate:page_hits 0",
        "DEL hitrate:page_hits",
        "GET THEIRS",
        "SET THEIRS mine",
        "DEL THEIRS",
        "RENAME k THEIRS",
        "RENAME THEIRS k",
        "COPY THEIRS k",
        "COPY k THEIRS REPLACE",
        "MSET a 1 THEIRS 2",
        "BITOP NOT THEIRS k",
        "SUNIONSTORE THEIRS k THEIRS",
        "ZUNIONSTORE THEIRS 1 k",
        "ZUNIONSTORE k 2 THEIRS THEIRS",
        "ZRANGESTORE THEIRS k 0 -1",
        "GEOSEARCHSTORE THEIRS k FROMLONLAT 1 1 BYRADIUS 1 km",
        "LMOVE THEIRS k LEFT LEFT",
        "SMOVE THEIRS k m",
        "LMPOP 1 THEIRS LEFT",
        "SINTERCARD 1 THEIRS",
        "XREAD STREAMS THEIRS 0",
        "XGROUP CREATE THEIRS g $ MKSTREAM",
        "OBJECT FREQ THEIRS",
        "MEMORY USAGE THEIRS",
        "EXPIRE THEIRS 1",
        "PFMERGE THEIRS k",
        "EXISTS ../mine",
        "GET \"\\x00\"",
        "SET a\\nb c",
    ] {
        let command = command.replace("THEIRS", &theirs);
        let answer = visitor.post(&command);
        assert!([200, 422].contains(&answer.status), "{command}: {answer:?}");
        assert!(!answer.json()["reply"].as_str().unwrap_or_default().contains("secret"));
    }
    assert_eq!(others(&mut redis, &but), before, "nothing but the visitor's keys changed");
    assert_eq!(other.run("GET mine"), "\"secret\"");
}

#[test]
fn commands_run_as_a_restricted_acl_user() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    let mut redis = hitrate.own_redis();
    let run = |redis: &mut redis::Connection, words: &[&str]| {
        redis::cmd("ACL").arg("DRYRUN").arg("hitrate-console").arg(words).query::<String>(redis)
    };
    let own = format!("{}a", visitor.prefix());
    for good in [&["PING"][..], &["SET", &own, "1"], &["XREAD", "STREAMS", &own, "0"]] {
        assert_eq!(run(&mut redis, good).as_deref(), Ok("OK"), "{good:?}");
    }
    for bad in [
        &["GET", "hitrate:page_hits"][..],
        &["GET", "a"],
        &["FLUSHALL"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["CONFIG", "GET", "*"],
        &["EVAL", "return 1", "0"],
        &["SORT", &own],
        &["COPY", &own, "b"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["SUBSCRIBE", "a"],
        &["MULTI"],
        &["BLPOP", &own, "0"],
    ] {
        let told = run(&mut redis, bad);
        assert!(told.as_ref().map_or(true, |it| it != "OK"), "{bad:?}: {told:?}");
    }
}

#[test]
fn keys_expire_after_a_day_and_a_shorter_ttl_is_kept() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let ttl = |name: &str| -> i64 {
        let told = visitor.run(&format!("TTL {name}"));
        told.trim_start_matches("(integer) ").parse().unwrap()
    };
    for (command, name, expected) in [
        ("SET a 1", "a", 86_390..=86_400),
        ("SET b 1 EX 60", "b", 50..=60),
        ("APPEND b x", "b", 50..=60),
        ("PERSIST b", "b", 86_390..=86_400),
        ("EXPIRE a 999999999", "a", 86_390..=86_400),
        ("RENAME a c", "c", 86_390..=86_400),
        ("COPY c d", "d", 86_390..=86_400),
        ("XGROUP CREATE s g $ MKSTREAM", "s", 86_390..=86_400),
        ("GETEX b PERSIST", "b", 86_390..=86_400),
        ("MSET e 1 f 2", "f", 86_390..=86_400),
    ] {
        visitor.run(command);
        assert!(expected.contains(&ttl(name)), "{command}: {}", ttl(name));
    }
}

#[test]
fn the_quota_is_enforced() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for n in 0..4 {
        let pairs: Vec<_> = (0..25).map(|key| format!("k{n}-{key} 1")).collect();
        visitor.run(&format!("MSET {}", pairs.join(" ")));
    }
    assert!(visitor.refused("SET more 1").contains("You have 100 keys"));
    assert_eq!(visitor.run("SET k0-0 2"), "OK", "what is there may change");
    assert_eq!(visitor.run("DEL k0-0"), "(integer) 1");
    assert_eq!(visitor.run("SET more 1"), "OK");

    let visitor = Visitor::new(&hitrate);
    let mut refused = None;
    for n in 0..12 {
        let answer = visitor.post(&format!("SETBIT big{n} 1048575 1"));
        refused = refused.or((answer.status == 422).then_some(n));
    }
    assert!(refused.is_some_and(|n| (5..=9).contains(&n)), "{refused:?}");
    for grows in ["APPEND big0 x", "XREADGROUP GROUP g c STREAMS big0 >", "RENAME big0 more"] {
        assert!(visitor.refused(grows).contains("Remove some with DEL first"), "{grows}");
    }
    assert_eq!(visitor.run("UNLINK big0 big1"), "(integer) 2");
    assert_eq!(visitor.run("APPEND big2 x"), "(integer) 131073");
    let long = visitor.run("GET big2");
    assert!(long.len() < 20_000 && long.contains("cut here"), "{}", long.len());
}

#[test]
fn a_list_that_starts_with_short_elements_is_measured_completely() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    // Six list nodes, of which only short elements are left.
    let filling = "z".repeat(3_900);
    for mark in 0..6 {
        visitor.run(&format!("RPUSH l {mark}"));
        visitor.run(&format!("RPUSH l {filling}"));
        visitor.run(&format!("RPUSH l {filling}"));
    }
    assert_eq!(visitor.run(&format!("LREM l 0 {filling}")), "(integer) 12");
    let long = "y".repeat(3_900);
    let refused = (0..400).find(|_| visitor.post(&format!("RPUSH l {long}")).status == 422);
    assert!(refused.is_some_and(|n| n < 300), "1 MiB has room for 268 of them: {refused:?}");
    assert!(visitor.refused("COPY l more").contains("Remove some with DEL first"));
}
