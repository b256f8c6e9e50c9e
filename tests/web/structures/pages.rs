//! The pages, and the responses to actions.

use hitrate::labs::structures::{ALL, Structure};
use serde_json::json;

use super::{JSON, Player};
use crate::harness::Hitrate;

#[test]
fn every_structure_has_a_page() {
    let hitrate = Hitrate::start();
    let index = hitrate.get("/structures").body;
    for structure in ALL {
        let path = format!("/structures/{}", structure.slug);
        assert!(index.contains(&format!("href=\"{path}\"")), "{path}");
        let page = hitrate.get(&path);
        assert_eq!(page.status, 200);
        assert!(page.body.contains(&format!("<title>{} · hitrate", structure.title)));
        assert!(page.body.contains("Nothing yet."), "{path}");
        for act in structure.acts {
            let id = format!("id=\"{}\"", act.id);
            assert!(page.body.contains(&id) && page.body.contains(act.run.cost), "{id}");
            let old = act.run.instead_of.unwrap_or_default();
            assert!(page.body.contains(old), "{old}");
        }
        let json = hitrate.json(&path);
        assert_eq!(json["acts"].as_array().unwrap().len(), structure.acts.len());
        assert!(json["keys"][0]["memory_bytes"].is_null());
    }
    assert_eq!(hitrate.json("/structures")["structures"].as_array().unwrap().len(), ALL.len());
    assert_eq!(hitrate.get("/structures/trees").status, 404);
    assert_eq!(hitrate.post("/structures/trees", "act=example").status, 404);
    assert_eq!(hitrate.send("PUT", "/structures/sets", &[], "").status, 405);
    assert_eq!(hitrate.get("/structures/sets?x=1").status, 400);
}

#[test]
fn an_action_redirects_to_its_result() {
    let hitrate = Hitrate::start();
    let first = hitrate.post("/structures/hashes", "act=hset&field=name&value=Alice");
    let address = first.header("location");
    assert!(first.status == 303 && address.starts_with("/structures/hashes?run="), "{first:?}");
    let cookies = [("cookie", first.cookie())];
    let page = hitrate.get_with(address, &cookies).body;
    assert!(page.contains("HSET user:42 name Alice"), "{page}");
    assert!(page.contains("(integer) 1") && page.contains("listpack"));
    assert!(page.contains("<td>Alice</td>"), "the picture has it");
    let other = hitrate.get("/structures/hashes").body;
    assert!(!other.contains("Alice</td>") && !other.contains("Last action"), "nobody else sees it");
    let elsewhere = hitrate.get_with(&address.replace("hashes", "sets"), &cookies);
    assert_eq!(elsewhere.status, 200);
    assert!(elsewhere.body.contains("This result is no longer available"), "it is of another page");
}

/// Every command of the tutorial can be tried.
#[test]
fn the_tutorials_commands_are_all_there() {
    let verbs = |structure: &Structure| -> String {
        structure.acts.iter().flat_map(|act| act.forms()).collect::<Vec<_>>().join("\n")
    };
    let all: String = ALL.iter().map(|structure| verbs(structure) + "\n").collect();
    for verb in "SET GET INCR APPEND HSET HGET HGETALL HINCRBY HDEL LPUSH RPUSH LPOP RPOP LRANGE \
                 SADD SREM SISMEMBER SMEMBERS SINTER SDIFF SUNION ZADD ZINCRBY ZRANGE ZREVRANK \
                 ZSCORE ZREM SETBIT GETBIT BITCOUNT BITOP PFADD PFCOUNT PFMERGE GEOADD GEODIST \
                 GEOSEARCH XADD XLEN XRANGE XREAD"
        .split_whitespace()
    {
        assert!(all.lines().any(|form| form.split(' ').next() == Some(verb)), "{verb}");
    }
    for deprecated in ["SETEX", "GEORADIUS", "GEORADIUSBYMEMBER", "ZREVRANGE"] {
        let named = ALL.iter().flat_map(|it| it.acts).filter_map(|act| act.run.instead_of);
        assert!(named.into_iter().any(|old| old.split(' ').next() == Some(deprecated)));
        assert!(!all.lines().any(|form| form.split(' ').next() == Some(deprecated)));
    }
}

#[test]
fn the_index_lists_only_commands_of_the_structure() {
    let hitrate = Hitrate::start();
    let index = hitrate.get_with("/structures", &[JSON]).json();
    let commands = index["structures"][0]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!("APPEND")), "{commands:?}");
    assert!(!commands.contains(&json!("LLEN")), "it is refused on purpose: {commands:?}");
}

#[test]
fn the_memory_of_a_value_is_next_to_its_picture() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=hset");
    let page = player.page("hashes");
    let facts = &player.look("hashes")["keys"][0];
    let told = format!("{} B, {}", facts["memory_bytes"], facts["encoding"].as_str().unwrap());
    let beside =
        page.split("class=\"structure\"").nth(1).unwrap().split("class=\"structure-acts\"").next();
    assert!(beside.unwrap().contains(&told), "{told}");
}
