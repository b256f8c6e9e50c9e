//! The picture of each structure.

use serde_json::{Value, json};

use super::{Player, replies};
use crate::harness::Hitrate;

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
fn members_are_ranked() {
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
fn an_estimate_is_accurate_and_small() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    let told = player.play("hyperloglog", "act=random&count=50000");
    let row = &told["picture"]["rows"][0];
    assert_eq!(row["exact"], 50_000);
    // Five standard errors: exceeded in one of two million runs.
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
    assert!(page.contains("<svg class=\"geo\"") && page.contains("class=\"geo-search\""));
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
