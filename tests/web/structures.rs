use std::{
    collections::BTreeSet,
    io::{Read, Write},
    time::{Duration, Instant},
};

use hitrate::labs::{
    structures::{ALL, Structure},
    support::fields::Kind,
};
use serde_json::{Value, json};

use crate::{
    fields::bad_values,
    harness::{Answer, Hitrate, Redis, eventually, setup},
};

const JSON: (&str, &str) = ("accept", "application/json");
const DAY: i64 = 24 * 60 * 60;

/// Someone who plays, with the cookie that makes the keys theirs.
struct Player<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
}

impl<'a> Player<'a> {
    fn new(hitrate: &'a Hitrate) -> Self {
        let first = hitrate.post("/structures/strings", "act=reset");
        assert_eq!(first.status, 303);
        Self { hitrate, cookie: first.cookie().to_owned() }
    }

    fn send(&self, slug: &str, form: &str) -> Answer {
        let path = format!("/structures/{slug}");
        self.hitrate.post_with(&path, form, &[JSON, ("cookie", &self.cookie)])
    }

    fn play(&self, slug: &str, form: &str) -> Value {
        let answer = self.send(slug, form);
        assert_eq!(answer.status, 200, "{slug} {form}: {answer:?}");
        answer.json()
    }

    fn look(&self, slug: &str) -> Value {
        let path = format!("/structures/{slug}");
        let answer = self.hitrate.get_with(&path, &[JSON, ("cookie", &self.cookie)]);
        assert_eq!(answer.status, 200);
        answer.json()
    }

    fn page(&self, slug: &str) -> String {
        let path = format!("/structures/{slug}");
        let answer = self.hitrate.get_with(&path, &[("cookie", &self.cookie)]);
        assert_eq!(answer.status, 200);
        answer.body
    }

    /// What a key is called in Redis.
    fn name(&self, slug: &str, key: &str) -> String {
        let look = self.look(slug);
        let keys = look["keys"].as_array().unwrap();
        let facts = keys.iter().find(|facts| facts["key"] == key).unwrap();
        facts["name"].as_str().unwrap().to_owned()
    }
}

fn replies(json: &Value) -> Vec<&str> {
    let said = json["said"].as_array().unwrap();
    said.iter().map(|line| line["reply"].as_str().unwrap()).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All keys of demos.
fn keys(redis: &mut redis::Connection) -> BTreeSet<String> {
    redis::cmd("KEYS").arg("hitrate:demo:*").query(redis).unwrap()
}

/// A picture without the ids and times that differ each time.
fn lasting(mut picture: Value) -> Value {
    for log in picture["logs"].as_array_mut().into_iter().flatten() {
        for entry in log["entries"].as_array_mut().unwrap() {
            (entry["id"], entry["at"]) = (Value::Null, Value::Null);
        }
    }
    picture
}

#[test]
fn every_structure_has_a_page_that_invites() {
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
            let id = format!("id=\"{}\"", act.slug);
            assert!(page.body.contains(&id) && page.body.contains(act.cost), "{id}");
            let old = act.instead_of.unwrap_or_default();
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
fn every_example_plays_through_at_once_and_step_by_step() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for structure in ALL {
        let slug = structure.slug;
        let whole = player.play(slug, "act=example");
        assert_eq!((&whole["error"], &whole["next_step"]), (&Value::Null, &json!(1)), "{slug}");
        assert!(whole["elapsed_us"].as_u64().unwrap() > 0);
        assert_eq!(whole["trace"].as_array().unwrap().last().unwrap()["round_trip"], 1, "{slug}");
        let again = player.play(slug, "act=example");
        assert_eq!(lasting(again["picture"].clone()), lasting(whole["picture"].clone()), "{slug}");
        let count = structure.example.steps.len();
        for number in 1..=count {
            let step = player.play(slug, &format!("act=step&step={number}"));
            assert_eq!(step["next_step"], if number == count { 1 } else { number + 1 });
            assert!(step["said"].as_array().unwrap().iter().any(|it| it["shows"].is_string()));
            assert_eq!(player.look(slug)["next_step"], step["next_step"], "it goes on from there");
        }
        let steps = player.look(slug)["picture"].clone();
        assert_eq!(lasting(steps), lasting(whole["picture"].clone()), "{slug}");
        assert_eq!(player.send(slug, &format!("act=step&step={}", count + 1)).status, 422);
        let page = player.page(slug);
        assert!(!page.contains("Nothing yet.") && page.contains("Last act: Step"), "{slug}");
    }
}

#[test]
fn an_act_redirects_and_the_page_tells_it() {
    let hitrate = Hitrate::start();
    let first = hitrate.post("/structures/hashes", "act=hset&field=name&value=Alice");
    assert_eq!((first.status, first.header("location")), (303, "/structures/hashes"));
    let cookies = [("cookie", first.cookie())];
    let page = hitrate.get_with("/structures/hashes", &cookies).body;
    assert!(page.contains("HSET user:42 name Alice"), "{page}");
    assert!(page.contains("(integer) 1") && page.contains("listpack"));
    assert!(page.contains("<td>Alice</td>"), "the picture has it");
    let other = hitrate.get("/structures/hashes").body;
    assert!(!other.contains("Alice</td>") && !other.contains("Last act"), "nobody else sees it");
}

#[test]
fn every_field_of_every_act_keeps_to_its_bounds() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for structure in ALL {
        for act in structure.acts {
            for field in act.fields {
                for (value, status) in bad_values(field.kind) {
                    let form = format!("act={}&{}={}", act.slug, field.name, encoded(&value));
                    let answer = player.send(structure.slug, &form);
                    assert_eq!(answer.status, status, "{form}: {}", answer.body);
                    let error = answer.json()["error"].as_str().unwrap().to_owned();
                    assert!(error.contains(field.name), "{error}");
                    assert!(answer.json()["picture"].is_object(), "the page is still there");
                }
            }
        }
        for (form, status) in [
            ("act=nonsense", 422),
            ("", 422),
            ("act=step&step=0", 422),
            ("act=step&step=-1", 422),
            ("act=step&step=x", 422),
            ("act=example&x=1", 400),
            ("act=reset&act=example", 400),
        ] {
            let answer = player.send(structure.slug, form);
            assert_eq!(answer.status, status, "{form}: {}", answer.body);
        }
        assert!(player.page(structure.slug).contains("Nothing yet."), "nothing was stored");
    }
}

/// What a form may well send, to be stored and shown as it is.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x>",
    "{key} @page_hits",
    "' OR 1=1 --",
    "FLUSHALL",
    "EX 1 NX GET",
    "../../etc/passwd",
    "\u{202e}rtl \u{1f642} ünïcödé",
    "-0",
];

fn is_free(kind: Kind) -> bool {
    matches!(kind, Kind::Text(_) | Kind::Several(_))
}

#[test]
fn every_act_takes_good_and_hostile_values() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    hitrate.get("/");
    for structure in ALL {
        let slug = structure.slug;
        player.play(slug, "act=example");
        for act in structure.acts {
            let usual = player.send(slug, &format!("act={}", act.slug));
            assert!(matches!(usual.status, 200 | 422), "{slug} {}: {usual:?}", act.slug);
            if usual.status == 422 {
                assert!(usual.json()["said"][0]["refused"].as_bool().unwrap(), "{usual:?}");
            }
            for field in act.fields.iter().filter(|field| is_free(field.kind)) {
                for value in HOSTILE {
                    let form = format!("act={}&{}={}", act.slug, field.name, encoded(value));
                    let answer = player.send(slug, &form);
                    assert!(matches!(answer.status, 200 | 422), "{form}: {answer:?}");
                }
            }
        }
        let page = player.page(slug);
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{slug}");
        player.play(slug, "act=reset");
    }
    assert_eq!(hitrate.json("/")["hits"], 2, "nothing else was touched");
    assert!(keys(&mut hitrate.own_redis()).is_empty(), "reset removes all that was made");
}

#[test]
fn hostile_values_are_stored_as_they_are() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for value in HOSTILE {
        let told = player.play("strings", &format!("act=set&value={}", encoded(value)));
        assert_eq!(told["picture"]["values"][0]["text"], value);
    }
}

#[test]
fn every_choice_of_every_act_stays_within_the_visitors_own_keys() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    hitrate.get("/");
    let mut redis = hitrate.own_redis();
    let before: BTreeSet<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    for structure in ALL {
        for act in structure.acts {
            for field in act.fields {
                for word in field.kind.choices() {
                    player.send(structure.slug, &format!("act={}&{}={word}", act.slug, field.name));
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
fn keys_stay_a_day_after_the_last_act_and_a_chosen_ttl_is_left_alone() {
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
fn redis_is_quoted_when_it_refuses() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("strings", "act=set");
    player.play("hashes", "act=hset");
    player.play("streams", "act=xadd-event&id=5-1");
    player.play("geospatial", "act=geoadd");
    for (slug, form, words) in [
        ("strings", "act=incr&key=token:abc123", "ERR value is not an integer or out of range"),
        ("strings", "act=wrong-type", "WRONGTYPE Operation against a key"),
        ("hashes", "act=hincrby&key=user:42&field=name", "ERR hash value is not an integer"),
        ("streams", "act=xadd-event&id=5-1", "ERR The ID specified in XADD is equal or smaller"),
        (
            "streams",
            "act=xadd-event&id=0-0",
            "ERR The ID specified in XADD must be greater than 0-0",
        ),
        (
            "geospatial",
            "act=search-member&member=nobody",
            "ERR could not decode requested zset member",
        ),
    ] {
        let answer = player.send(slug, form);
        assert_eq!(answer.status, 422, "{form}: {answer:?}");
        let json = answer.json();
        assert!(json["error"].as_str().unwrap().starts_with(words), "{form}: {json}");
        assert!(json["said"][0]["refused"].as_bool().unwrap());
        assert!(json["picture"].is_object());
        let page =
            hitrate.post_with(&format!("/structures/{slug}"), form, &[("cookie", &player.cookie)]);
        assert_eq!(page.status, 422);
        assert!(page.body.contains("Redis says:") && page.body.contains(words), "{form}");
    }
    assert_eq!(hitrate.get("/readyz").json()["redis"], "up", "a refusal is no error of Redis");
}

#[test]
fn two_sets_are_compared() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("sets", "act=sadd&key=post:1:tags&members=a,b,c");
    let told = player.play("sets", "act=sadd&key=post:2:tags&members=c,b,d");
    let venn = &told["picture"];
    let members = |part: &str| venn[part]["members"].clone();
    assert_eq!(members("left_only"), json!(["a"]));
    assert_eq!(members("both"), json!(["b", "c"]));
    assert_eq!(members("right_only"), json!(["d"]));
    assert_eq!(members("any"), json!(["a", "b", "c", "d"]));
    let page = player.page("sets");
    assert!(page.contains("1 only in post:1:tags, 2 in both, 1 only in post:2:tags"), "{page}");
}

#[test]
fn a_list_has_two_ends() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for form in ["act=rpush&element=b", "act=lpush&element=a", "act=rpush&element=c"] {
        player.play("lists", form);
    }
    assert_eq!(player.look("lists")["picture"]["left"], json!(["a", "b", "c"]));
    assert_eq!(replies(&player.play("lists", "act=rpop")), ["\"c\""]);
    assert_eq!(replies(&player.play("lists", "act=lpop")), ["\"a\""]);
    for n in 0..20 {
        player.play("lists", &format!("act=rpush&element=e{n}"));
    }
    let boxes = player.look("lists")["picture"].clone();
    assert_eq!((&boxes["count"], &boxes["between"]), (&json!(21), &json!(5)));
    assert_eq!(boxes["left"].as_array().unwrap().len(), 12);
    assert_eq!(boxes["right"], json!(["e16", "e17", "e18", "e19"]));
    player.play("lists", "act=ltrim&start=0&stop=12");
    let boxes = player.look("lists")["picture"].clone();
    assert_eq!((&boxes["between"], &boxes["right"]), (&json!(0), &json!(["e11"])));
}

#[test]
fn who_is_where() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("sorted-sets", "act=example");
    let rows = told["picture"]["rows"].as_array().unwrap();
    let ranks: Vec<_> =
        rows.iter().map(|row| (row["rank"].clone(), row["member"].clone())).collect();
    assert_eq!(
        ranks,
        [(0, "Alice"), (1, "Bob"), (2, "Carol")].map(|(n, it)| (json!(n), json!(it)))
    );
    assert_eq!(rows[0]["score"], 1100.0);
    let answer = player.play("sorted-sets", "act=zrevrank&member=Bob");
    assert_eq!(replies(&answer), ["(integer) 1", "\"1000\""]);
    let answer = player.play("sorted-sets", "act=zadd&score=-1e3&member=Dan");
    assert_eq!(answer["picture"]["rows"][3]["score"], -1000.0);
}

#[test]
fn bits_are_where_they_were_set() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("bitmaps", "act=setbit&offset=1001");
    let day = &told["picture"]["days"][0];
    assert_eq!((&day["bytes"], &day["set"]), (&json!(126), &json!([1001])));
    let told = player.play("bitmaps", "act=example");
    assert_eq!(told["picture"]["retention"], 0.5);
    assert_eq!(told["picture"]["days"][2]["set"], json!([50]));
    let told = player.play("bitmaps", "act=setbit&key=users_online:yesterday&offset=9");
    assert_eq!(told["picture"]["retention"], Value::Null, "it would be out of date");
    let told = player.play("bitmaps", &format!("act=setbit&offset={}", 1 << 23));
    let day = &told["picture"]["days"][0];
    assert_eq!((&day["bytes"], &day["beyond"]), (&json!((1 << 20) + 1), &json!(1)));
}

#[test]
fn an_estimate_is_near_and_small() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("hyperloglog", "act=random&count=50000");
    let row = &told["picture"]["rows"][0];
    assert_eq!(row["exact"], 50_000);
    // Five standard errors: one in two million runs is beyond.
    assert!(row["error_percent"].as_f64().unwrap().abs() < 5.0 * 0.81, "{row}");
    assert_eq!((&row["encoding"], &row["length"]), (&json!("dense"), &json!(12_304)));
    assert!(row["exact_bytes"].as_u64().unwrap() > 50 * row["bytes"].as_u64().unwrap(), "{row}");
    let told = player.play("hyperloglog", "act=random&count=100000");
    let exact = told["picture"]["rows"][0]["exact"].as_u64().unwrap();
    assert!((100_000..=105_000).contains(&exact), "{exact}: full means full");
    assert_eq!(player.send("hyperloglog", "act=random&count=1").status, 422);
    assert_eq!(player.send("hyperloglog", "act=pfadd").status, 422);
}

#[test]
fn a_map_has_the_distances_of_redis() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("geospatial", "act=example");
    let palermo = "2) 1) \"Palermo\"\n   2) \"190.4424\"";
    assert!(replies(&told).iter().any(|reply| reply.contains(palermo)), "{told}");
    let told = player.play("geospatial", "act=search-point");
    let map = &told["picture"]["maps"][1];
    assert_eq!((&map["key"], &map["search"]["radius_km"]), (&json!("places"), &json!(200.0)));
    for (point, reply) in map["points"].as_array().unwrap().iter().zip(["190.4424", "56.4413"]) {
        assert_eq!(format!("{:.4}", point["distance_km"].as_f64().unwrap()), reply);
        assert_eq!(point["found"], true);
    }
    let told = player.play("geospatial", "act=search-point&radius=100000&unit=m");
    let found = told["picture"]["maps"][1]["points"].as_array().unwrap().clone();
    assert_eq!(found.iter().filter(|point| point["found"] == true).count(), 1, "Catania only");
    let page = player.page("geospatial");
    assert!(page.contains("<svg class=\"map\"") && page.contains("class=\"search\""));
    let told = player.play("geospatial", "act=geodist&key=cafes");
    assert_eq!(told["picture"]["maps"][1]["search"], Value::Null, "the circle was of another act");
}

#[test]
fn a_stream_keeps_its_latest_thousand() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("streams", "act=xadd-reading");
    let name = player.name("streams", "sensors");
    let mut pipe = redis::pipe();
    for _ in 0..1_200 {
        pipe.cmd("XADD").arg(&name).arg("*").arg("temperature").arg(1).ignore();
    }
    let _: () = pipe.query(&mut hitrate.own_redis()).unwrap();
    let told = player.play("streams", "act=xadd-reading&temperature=-3.5");
    let log = &told["picture"]["logs"][0];
    assert_eq!(log["length"], 1_000);
    let latest = log["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(latest["fields"][0], json!({ "field": "temperature", "value": "-3.5" }));
    let after = latest["id"].as_str().unwrap();
    let told = player.play("streams", &format!("act=xread&after={after}"));
    assert_eq!(replies(&told), ["(nil)"], "nothing came after it");
}

#[test]
fn what_is_full_takes_no_more() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let mut redis = hitrate.own_redis();
    for (slug, key, verb, act, gone) in [
        ("lists", "tasks", "RPUSH", "lpush", "lpop"),
        ("sets", "post:1:tags", "SADD", "sadd", "reset"),
        ("hashes", "user:42", "HSET", "hset&field=new", "reset"),
        ("sorted-sets", "leaderboard", "ZADD", "zadd", "reset"),
        ("geospatial", "cafes", "ZADD", "geoadd", "reset"),
    ] {
        let words = (0..1_000).flat_map(|n| match verb {
            "HSET" | "ZADD" => vec![n.to_string(), format!("{n}")],
            _ => vec![n.to_string()],
        });
        let name = player.name(slug, key);
        let words: Vec<_> = words.collect();
        let _: i64 = redis::cmd(verb).arg(name).arg(words).query(&mut redis).unwrap();
        let answer = player.send(slug, &format!("act={act}"));
        assert_eq!(answer.status, 422, "{slug}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("There is room for 1,000"));
        player.play(slug, &format!("act={gone}"));
        player.play(slug, &format!("act={act}"));
    }
    let long = "x".repeat(512);
    let appended = (0..20)
        .filter(|_| player.send("strings", &format!("act=append&value={long}")).status == 200);
    assert_eq!(appended.count(), 8, "4,096 bytes");
}

#[test]
fn growing_changes_the_encoding() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for (slug, threshold, was, is) in [
        ("strings", 44, "embstr", "raw"),
        ("hashes", 0, "", "hashtable"),
        ("sets", 512, "intset", ""),
        ("sorted-sets", 128, "", "skiplist"),
        ("geospatial", 128, "", "skiplist"),
        ("hyperloglog", 3_000, "sparse", "dense"),
    ] {
        let grown = player.play(slug, "act=grow")["grown"].clone();
        let (before, after) = (&grown["before"], &grown["after"]);
        assert_ne!(before["encoding"], after["encoding"], "{slug}: {grown}");
        let holds = |wanted: &str, size: &Value| wanted.is_empty() || size["encoding"] == wanted;
        assert!(holds(was, before) && holds(is, after), "{slug}: {grown}");
        assert!(threshold == 0 || grown["threshold"] == threshold, "{slug}: {grown}");
        assert!(
            after["memory_bytes"].as_u64() > before["memory_bytes"].as_u64(),
            "{slug}: {grown}"
        );
        assert!(player.page(slug).contains(" changes from "), "{slug}");
        if slug != "strings" {
            let again = player.play(slug, "act=grow")["grown"]["message"].clone();
            assert!(again.as_str().unwrap().contains("does not go back"), "{slug}: {again}");
        }
    }
    for slug in ["lists", "bitmaps", "streams"] {
        let grown = player.play(slug, "act=grow")["grown"].clone();
        let bytes = |size: &str| grown[size]["memory_bytes"].as_u64().unwrap();
        assert!(bytes("after") > bytes("before"), "{slug}: {grown}");
    }
}

#[test]
fn a_threshold_that_may_not_be_asked_for_is_the_usual_one() {
    let redis = Redis::start();
    redis.run(&["ACL", "SETUSER", "default", "-config"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    let grown = player.play("hashes", "act=grow")["grown"].clone();
    assert_eq!((&grown["was_told"], &grown["threshold"]), (&json!(false), &json!(512)));
    assert!(player.page("hashes").contains("as the server does not tell"));
    let page = hitrate.get("/").body;
    assert!(
        !page.contains("Redis denied access"),
        "that is no news about hitrate's rights: {page}"
    );
}

#[test]
fn without_redis_the_page_is_still_of_use_and_everything_is_there_again_after() {
    let mut redis = Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("lists", "act=lpush&element=kept");
    redis.kill();
    for structure in ALL {
        let path = format!("/structures/{}", structure.slug);
        let cookies = [("cookie", player.cookie.as_str())];
        let page = hitrate.get_with(&path, &cookies);
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Redis can&#39;t be reached") && page.body.contains("Try it"));
        for form in ["act=example", "act=grow", "act=reset"] {
            let answer = player.send(structure.slug, form);
            assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{form}");
            assert!(answer.json()["picture"].is_null());
        }
        let act = format!("act={}", structure.acts[0].slug);
        let answer = hitrate.post_with(&path, &act, &cookies);
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("Try it"), "the page itself: {}", answer.body);
    }
    assert_eq!(player.send("hyperloglog", "act=random").status, 503);
    assert_eq!(hitrate.get("/structures").status, 200);
    redis.restart(&["--appendonly", "yes", "--appendfsync", "always"]);
    eventually(Duration::from_secs(10), "hitrate finds Redis again", || {
        player.send("lists", "act=rpush&element=new").status == 200
    });
    assert_eq!(player.look("lists")["picture"]["left"][0], "kept");
}

#[test]
fn who_grows_a_value_waits_for_a_frozen_redis_as_briefly_as_anyone() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=example");
    redis.signal("STOP");
    let answer = player.send("hashes", "act=grow");
    redis.signal("CONT");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.took < Duration::from_secs(3), "a command's deadline: {:?}", answer.took);
}

#[test]
fn a_command_that_is_denied_is_told_once() {
    let redis = Redis::start();
    redis.run(&["ACL", "SETUSER", "default", "-memory"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    for _ in 0..3 {
        player.play("sets", "act=sadd");
        assert!(player.look("sets")["picture"].is_object(), "the rest works");
    }
    assert_eq!(hitrate.logged("Redis permissions"), 1, "{}", hitrate.log());
    let grown = player.play("sets", "act=grow")["grown"].clone();
    assert_eq!(
        (&grown["after"]["count"], &grown["after"]["memory_bytes"]),
        (&json!(513), &Value::Null),
        "{grown}"
    );
    assert!(!grown["message"].as_str().unwrap().contains(" B"), "no number is made up: {grown}");
}

#[test]
fn a_full_redis_is_quoted_and_is_no_fault_of_the_visitor() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=hset");
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let answer = player.send("hashes", "act=hset");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.json()["error"].as_str().unwrap().starts_with("OOM "), "{answer:?}");
    assert!(answer.json()["picture"]["tables"][0].is_object(), "reading works");
    assert_eq!(player.send("hyperloglog", "act=random").status, 503);
}

/// Reads events until one holds `text`.
fn await_event(stream: &mut std::net::TcpStream, text: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    let (mut seen, mut chunk) = (String::new(), [0; 4096]);
    while !seen.contains(text) {
        assert!(Instant::now() < end, "no {text:?} in {seen}");
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0, "it ended: {seen}");
        seen += &String::from_utf8_lossy(&chunk[..n]);
    }
}

#[test]
fn a_stream_can_be_followed() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    assert!(player.page("streams").contains("data-live=\"/structures/streams/live\""));
    player.play("streams", "act=xadd-event&user=first");
    assert_eq!(hitrate.get("/structures/streams/live").status, 204, "nobody's streams");
    let mut stream = hitrate.connect();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "GET /structures/streams/live HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
        hitrate.address, player.cookie
    );
    stream.write_all(request.as_bytes()).unwrap();
    await_event(&mut stream, "first");
    player.play("streams", "act=xadd-event&user=second");
    await_event(&mut stream, "second");
    player.play("streams", "act=reset");
    await_event(&mut stream, "Nothing yet.");
    player.play("streams", "act=xadd-event&id=1-1&user=third");
    await_event(&mut stream, "third");
    Player::new(&hitrate).play("streams", "act=xadd-event&user=stranger");
    player.play("streams", "act=xadd-event&user=fourth");
    await_event(&mut stream, "fourth");
}

#[test]
fn a_thousand_users_at_once_are_a_thousand_counts() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("strings", "act=crowd&users=1000");
    assert_eq!(replies(&told), ["1,000 different replies: (integer) 1 to (integer) 1000"]);
    assert_eq!(told["picture"]["values"][0]["number"], 1_000);
    assert_eq!(told["keys"][2]["ttl_s"], DAY);
    player.play("strings", "act=set");
    let answer = player.send("strings", "act=crowd&users=10&key=token:abc123");
    assert_eq!((answer.status, &answer.json()["said"][0]["refused"]), (422, &json!(true)));
}

#[test]
fn many_acts_at_once_lose_nothing() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| (0..25).for_each(|_| drop(player.play("strings", "act=incr"))));
        }
    });
    assert_eq!(player.look("strings")["picture"]["values"][0]["number"], 200);
}

/// A structure's own words fit a page: nothing is promised that is not there.
#[test]
fn the_documents_commands_are_all_there() {
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
        let named = ALL.iter().flat_map(|it| it.acts).filter_map(|act| act.instead_of);
        assert!(named.into_iter().any(|old| old.split(' ').next() == Some(deprecated)));
        assert!(!all.lines().any(|form| form.split(' ').next() == Some(deprecated)));
    }
}

#[test]
fn the_index_names_only_what_works_on_a_structure() {
    let hitrate = Hitrate::start();
    let index = hitrate.get_with("/structures", &[JSON]).json();
    let commands = index["structures"][0]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!("APPEND")), "{commands:?}");
    assert!(!commands.contains(&json!("LLEN")), "it is refused on purpose: {commands:?}");
}

#[test]
fn what_a_value_takes_stands_beside_its_picture() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=hset");
    let page = player.page("hashes");
    let facts = &player.look("hashes")["keys"][0];
    let told = format!("{} B, {}", facts["memory_bytes"], facts["encoding"].as_str().unwrap());
    let beside = page.split("class=\"play\"").nth(1).unwrap().split("class=\"tries\"").next();
    assert!(beside.unwrap().contains(&told), "{told}");
}
