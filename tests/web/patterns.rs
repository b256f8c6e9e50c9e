//! Every pattern, by a loop over all: each act with good, bad and hostile
//! values, and each trial, whose wrong ways have to go wrong.

mod acts;

use std::{sync::Arc, thread, time::Duration};

use hitrate::labs::{
    patterns::{ALL, Pattern},
    support::fields::{Field, Kind},
};
use redis::Commands as _;
use serde_json::Value;

use crate::{
    faults::assert_no_panic,
    fields::bad_values,
    harness::{Answer, Hitrate, Redis, eventually, setup},
};

const JSON: (&str, &str) = ("accept", "application/json");
/// A day, in seconds: no key of a demo stays longer.
const DAY: i64 = 86_400;
/// Ways that are right and not exact: what they count is drawn, or estimated.
const INEXACT: [&str; 2] = ["A drawn TTL", "PFADD, PFCOUNT: nearly"];

/// A visitor with a cookie of their own.
struct Visitor<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn new(hitrate: &'a Hitrate) -> Self {
        let cookie = hitrate.get("/patterns/expiring-key").cookie().to_owned();
        assert!(cookie.starts_with("hitrate_visitor="), "{cookie}");
        Self { hitrate, cookie }
    }

    fn post(&self, slug: &str, form: &str) -> Answer {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        self.hitrate.post_with(&format!("/patterns/{slug}"), form, &headers)
    }

    /// What an act brought.
    fn play(&self, slug: &str, form: &str) -> Value {
        let answer = self.post(slug, form);
        assert_eq!(answer.status, 200, "{slug} {form}: {answer:?}");
        answer.json()
    }

    /// The page after an act, as a browser comes to it.
    fn page(&self, slug: &str, form: &str) -> String {
        let cookie = [("cookie", self.cookie.as_str())];
        let posted = self.hitrate.post_with(&format!("/patterns/{slug}"), form, &cookie);
        assert_eq!(posted.status, 303, "{slug} {form}: {posted:?}");
        let path = posted.header("location").split('#').next().unwrap().to_owned();
        let page = self.hitrate.get_with(&path, &cookie);
        assert_eq!(page.status, 200, "{path}");
        page.body
    }

    fn look(&self, slug: &str) -> Value {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        self.hitrate.get_with(&format!("/patterns/{slug}"), &headers).json()
    }
}

fn lines(told: &Value) -> Vec<&str> {
    told["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

fn names(told: &Value) -> Vec<&str> {
    told["state"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

fn entry<'a>(told: &'a Value, name: &str) -> &'a Value {
    let entries = told["state"].as_array().unwrap();
    entries.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} of {told}"))
}

fn variant<'a>(told: &'a Value, name: &str) -> &'a Value {
    let variants = told["trial"]["variants"].as_array().unwrap();
    variants.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} of {told}"))
}

fn tally(variant: &Value, name: &str) -> u64 {
    let also = variant["also"].as_array().unwrap();
    let found = also.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("{name} of {variant}"))["count"].as_u64().unwrap()
}

/// Whether anything was counted that should not be.
fn went_wrong(variant: &Value) -> bool {
    let also = variant["also"].as_array().unwrap();
    let is_bad = |it: &Value| it["is_bad"] == true && it["count"] != 0;
    variant["lost"] != 0 || variant["over"] != 0 || also.iter().any(is_bad)
}

fn keys(redis: &mut redis::Connection, pattern: &str) -> Vec<String> {
    redis.keys(pattern).unwrap()
}

/// A form with this value in one field, and the others by default.
fn form(act: &str, field: &str, value: &str) -> String {
    let body = [("act", act), (field, value)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(body).finish()
}

/// Acts and trial of a pattern, with their fields.
fn all_fields(pattern: &'static Pattern) -> impl Iterator<Item = (&'static str, &'static Field)> {
    let of_acts = pattern.acts.iter().map(|act| (act.name, act.fields));
    let all = of_acts.chain([("trial", pattern.trial.fields)]);
    all.flat_map(|(act, fields)| fields.iter().map(move |field| (act, field)))
}

#[test]
fn the_index_leads_to_every_pattern_and_each_tells_what_it_is_made_of() {
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
fn every_act_plays_and_leaves_no_key_without_an_end() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        for act in pattern.acts {
            let told = visitor.play(pattern.slug, &format!("act={}", act.name));
            assert!(!lines(&told).is_empty(), "{told}");
            assert_eq!((&told["slug"], &told["act"]), (&pattern.slug.into(), &act.name.into()));
            assert!(!told["said"].as_array().unwrap().is_empty(), "{told}");
            assert!(told["state"].is_array() && told["trial"].is_null(), "{told}");
            let page = visitor.page(pattern.slug, &format!("act={}", act.name));
            assert!(page.contains("class=\"told\"") && page.contains("The trace"), "{page}");
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
fn what_is_out_of_bounds_is_refused() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        for (act, field) in all_fields(pattern) {
            for (value, status) in bad_values(field.kind) {
                let answer = visitor.post(pattern.slug, &form(act, field.name, &value));
                assert_eq!(answer.status, status, "{} {act} {}={value}", pattern.slug, field.name);
                let error = answer.json()["error"].as_str().unwrap().to_owned();
                assert!(error.ends_with('.') && !error.contains("<script"), "{error}");
            }
        }
        for (body, status) in [
            ("", 422),
            ("act=", 422),
            ("act=none", 422),
            ("act=reset&act=reset", 400),
            ("act=reset&none=1", 400),
            ("act=trial&actors=1&actors=2", 400),
            ("act=%00", 422),
        ] {
            assert_eq!(visitor.post(pattern.slug, body).status, status, "{} {body}", pattern.slug);
        }
    }
    assert_eq!(keys(&mut hitrate.own_redis(), "hitrate:demo:*"), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_said_on_the_page_with_what_was_typed() {
    let hitrate = Hitrate::start();
    let bad = hitrate.post("/patterns/shopping-cart", "act=add&quantity=many&product=55");
    assert_eq!(bad.status, 422);
    assert!(bad.body.contains("The field quantity takes a whole number"), "{}", bad.body);
    assert!(bad.body.contains("value=\"many\"") && bad.body.contains("value=\"55\""));
    assert!(bad.body.contains("value=\"trial\""), "the forms are there");
}

#[test]
fn what_a_visitor_writes_is_shown_and_never_run() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let hostile = ["<b>\"'&{{x}}", "-inf", "𝄞\u{202e}é", "*", "\\x00%00", "a=1&b=<i>&a=0"];
    let mut played = 0;
    for pattern in ALL {
        for (act, field) in all_fields(pattern) {
            let Kind::Text(max) = field.kind else { continue };
            for text in hostile {
                assert!(text.chars().count() <= max);
                let page = visitor.page(pattern.slug, &form(act, field.name, text));
                assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
                played += 1;
            }
            let with_control = form(act, field.name, "a\nb");
            assert_eq!(visitor.post(pattern.slug, &with_control).status, 400);
        }
    }
    assert!(played > hostile.len());
    assert_no_panic(&hitrate);
}

/// What the trials are for. Two wrong ways leave it to chance whether anything
/// goes wrong; in one of several trials it surely does.
#[test]
fn under_two_hundred_wrong_ways_go_wrong_and_right_ways_are_exact() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        let went = (0..5).any(|_| every_wrong_way_went_wrong(&visitor, pattern));
        assert!(went, "{}: a wrong way never went wrong", pattern.slug);
    }
    assert_eq!(keys(&mut hitrate.own_redis(), "*trial:*"), Vec::<String>::new());
    assert_no_panic(&hitrate);
}

/// Whether they did in one trial, in which the right ways have to be exact.
fn every_wrong_way_went_wrong(visitor: &Visitor<'_>, pattern: &Pattern) -> bool {
    let told = visitor.play(pattern.slug, "act=trial&actors=200");
    assert_eq!(told["trial"]["actors"], 200);
    let variants = told["trial"]["variants"].as_array().unwrap();
    assert_eq!(variants.len(), pattern.trial.variants.len());
    for variant in variants {
        let is_exact = INEXACT.contains(&variant["name"].as_str().unwrap()) || !went_wrong(variant);
        assert!(is_exact || variant["is_right"] == false, "{}: {variant}", pattern.slug);
        let [p50, p99, max] =
            ["p50_us", "p99_us", "max_us"].map(|it| variant[it].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{variant}");
    }
    variants.iter().all(|variant| variant["is_right"] == true || went_wrong(variant))
}

#[test]
fn the_trials_count_what_they_say() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);

    let cart = visitor.play("shopping-cart", "act=trial&actors=200&adds=3");
    assert_eq!(variant(&cart, "HINCRBY, EXPIRE")["got"], 600);
    assert_eq!(variant(&cart, "GET, modify, SET")["expected"], 600);

    let keys = visitor.play("expiring-key", "act=trial&actors=200");
    assert_eq!(variant(&keys, "SET, then EXPIRE")["lost"], 50, "every fourth is cut off");
    assert_eq!(variant(&keys, "SET … EX, then SET")["lost"], 150, "all but those");

    let limiter = visitor.play("rate-limiter", "act=trial&actors=200");
    assert_eq!(variant(&limiter, "GET, then DECRBY")["expected"], 10);
    assert_eq!(tally(variant(&limiter, "SETNX, then EXPIRE"), "without_ttl"), 1);
    assert_eq!(tally(variant(&limiter, "One script, sliding window"), "edge"), 10);
    assert!(tally(variant(&limiter, "One script, fixed window"), "edge") <= 20);

    let lock = visitor.play("distributed-lock", "act=trial&actors=200");
    assert!(tally(variant(&lock, "DEL without token"), "stolen") > 0, "{lock}");
    assert_eq!(tally(variant(&lock, "Token, without fence"), "stolen"), 0);
    let fenced = variant(&lock, "Token and fencing token");
    let acknowledged = fenced["expected"].as_u64().unwrap();
    assert_eq!((tally(fenced, "stolen"), acknowledged + tally(fenced, "refused")), (0, 200));

    let api = visitor.play("api-response-cache", "act=trial&actors=20&requests=20");
    assert_eq!(variant(&api, "A stable hash of sorted parameters")["got"], 10);
    assert_eq!(variant(&api, "A stable hash, order as sent")["got"], 20);

    let products = visitor.play("product-catalogue", "act=trial&actors=200");
    let busiest = |name| variant(&products, name)["got"].as_u64().unwrap();
    assert!(busiest("The same TTL") > 4 * busiest("A drawn TTL"), "{products}");

    let visitors = visitor.play("unique-visitors", "act=trial&actors=200&visits=50");
    let nearly = variant(&visitors, "PFADD, PFCOUNT: nearly");
    let off = nearly["lost"].as_u64().unwrap() + nearly["over"].as_u64().unwrap();
    assert!(off <= 250, "six standard errors of 5,000: {nearly}");
    assert!(tally(nearly, "bytes") < tally(variant(&visitors, "SADD, SCARD"), "bytes"));

    let heard = visitor.play("publish-subscribe", "act=trial&actors=200");
    let late = variant(&heard, "Publish and subscribe");
    assert_eq!((&late["got"], tally(late, "early")), (&200.into(), 400));
}

#[test]
fn alone_nobody_loses_anything() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        let told = visitor.play(pattern.slug, "act=trial&actors=1");
        let right = told["trial"]["variants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["is_right"] == true);
        for variant in right {
            assert!(!went_wrong(variant), "{}: {variant}", pattern.slug);
        }
    }
}

#[test]
fn one_trial_runs_at_a_time() {
    let hitrate = Arc::new(Hitrate::start());
    let first = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || {
            let visitor = Visitor::new(&hitrate);
            eventually(Duration::from_secs(10), "it is the first one’s turn", || {
                visitor.post("distributed-lock", "act=trial&actors=50").status == 200
            });
        })
    };
    let visitor = Visitor::new(&hitrate);
    let second = || visitor.post("expiring-key", "act=trial&actors=1");
    eventually(Duration::from_secs(10), "a second one is refused while one runs", || {
        let answer = second();
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
        answer.status == 409 && answer.header("retry-after") == "3"
    });
    assert_eq!(visitor.post("expiring-key", "act=set").status, 200, "acts go on meanwhile");
    first.join().unwrap();
}

#[test]
fn visitors_have_keys_of_their_own_and_remove_no_others() {
    let hitrate = Hitrate::start();
    let (one, other) = (Visitor::new(&hitrate), Visitor::new(&hitrate));
    one.play("shopping-cart", "act=add&quantity=3");
    one.play("expiring-key", "act=set&ttl=60");
    assert_eq!(names(&other.look("shopping-cart")), Vec::<&str>::new());
    let told = other.play("shopping-cart", "act=add&quantity=1");
    assert_eq!(entry(&told, "cart:1001")["items"][0]["value"], "1");
    assert_eq!(lines(&one.play("shopping-cart", "act=reset")), ["1 key was removed."]);
    assert_eq!(names(&one.look("shopping-cart")), Vec::<&str>::new());
    assert_eq!(names(&one.look("expiring-key")), ["username"], "another demo of theirs stays");
    assert_eq!(names(&other.look("shopping-cart")), ["cart:1001"]);
}

#[test]
fn a_demo_has_only_so_many_keys() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for product in 1..=40 {
        visitor.play("product-catalogue", &format!("act=view&product={product}"));
    }
    let told = visitor.look("product-catalogue");
    assert_eq!(names(&told).len(), 24);
    assert!(names(&told).contains(&"product:40") && !names(&told).contains(&"product:1"));
    // And the list of them.
    assert_eq!(keys(&mut hitrate.own_redis(), "hitrate:demo:*").len(), 25);
}

#[test]
fn the_keys_of_a_demo_share_a_hash_tag_and_its_pages_tell_no_secret() {
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

#[test]
fn what_is_not_there_is_told() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    assert_eq!(hitrate.get("/patterns/none").status, 404);
    assert_eq!(visitor.post("none", "act=set").status, 404);
    assert_eq!(hitrate.send("DELETE", "/patterns/expiring-key", &[], "").status, 405);
    assert_eq!(hitrate.get("/patterns/expiring-key?x=1").status, 400);
    for play in ["0", "%3Cscript%3E", "%00"] {
        let page = hitrate.get(&format!("/patterns/expiring-key?play={play}"));
        assert_eq!(page.status, 200);
        assert!(page.body.contains("That result is not kept any more"), "{play}");
    }
    let play = visitor.play("expiring-key", "act=set")["play"].as_str().unwrap().to_owned();
    let elsewhere = hitrate.get(&format!("/patterns/shopping-cart?play={play}")).body;
    assert!(elsewhere.contains("That result is not kept any more"), "it is another pattern’s");
}

#[test]
fn what_redis_refuses_is_told_in_its_own_words() {
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
fn without_redis_pages_stay_usable_and_acts_work_again_when_it_is_back() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.play("shopping-cart", "act=add");
    redis.kill();
    for pattern in ALL {
        let page = hitrate.get(&format!("/patterns/{}", pattern.slug));
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Your keys can&#39;t be read: Redis"), "{}", page.body);
        let act = visitor.post(pattern.slug, &format!("act={}", pattern.acts[0].name));
        assert_eq!(act.status, 503, "{act:?}");
        assert_eq!(visitor.post(pattern.slug, "act=reset").status, 503);
    }
    assert!(visitor.look("shopping-cart")["state"].is_null());
    for _ in 0..3 {
        assert_eq!(visitor.post("shopping-cart", "act=trial").status, 503);
    }
    assert_eq!(hitrate.logged("WARN  hitrate_cache::condition"), 1, "{}", hitrate.log());
    redis.restart(&[]);
    eventually(Duration::from_secs(10), "acts work again", || {
        visitor.post("shopping-cart", "act=add").status == 200
    });
    eventually(Duration::from_secs(10), "trials do, too", || {
        visitor.post("shopping-cart", "act=trial").status == 200
    });
    assert_no_panic(&hitrate);
}

#[test]
fn redis_dies_during_a_trial() {
    let mut redis = Redis::start();
    let hitrate = Arc::new(setup().redis(&redis).start());
    let running = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || {
            Visitor::new(&hitrate).post("distributed-lock", "act=trial&actors=200")
        })
    };
    let mut connection = redis.connection();
    eventually(Duration::from_secs(10), "it has begun", || {
        !keys(&mut connection, "*trial:*").is_empty()
    });
    redis.kill();
    let answer = running.join().unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_no_panic(&hitrate);
}

#[test]
fn acts_that_ask_for_the_same_share_a_form() {
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

#[test]
fn what_a_trial_leaves_in_a_frozen_redis_goes_when_it_thaws() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    let mut connection = redis.connection();
    thread::scope(|scope| {
        let running = scope.spawn(|| visitor.post("distributed-lock", "act=trial&actors=200"));
        // The resource that the lock guards, not the lock.
        let mut ttl = -2;
        eventually(Duration::from_secs(10), "it has written", || {
            let report = keys(&mut connection, "*trial:????????????????:report");
            ttl = report.first().map_or(-2, |key| connection.ttl(key).unwrap());
            ttl != -2
        });
        assert!(ttl > 0, "it would end if hitrate died now: {ttl}");
        redis.signal("STOP");
        assert_eq!(running.join().unwrap().status, 503);
        let refused = visitor.post("distributed-lock", "act=trial");
        assert_eq!(refused.status, 503, "{refused:?}");
        redis.signal("CONT");
    });
    eventually(Duration::from_secs(10), "its keys are gone", || {
        keys(&mut connection, "*trial:*").is_empty()
    });
    assert_no_panic(&hitrate);
}
