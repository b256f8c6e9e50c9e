//! Input limits of actions.

use hitrate::labs::{structures::ALL, support::fields::Kind};

use super::{Player, encoded, keys};
use crate::{fields::bad_values, harness::Hitrate};

#[test]
fn every_field_enforces_its_bounds() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for structure in ALL {
        for act in structure.acts {
            for field in act.fields {
                for (value, status) in bad_values(field.kind) {
                    let form = format!("act={}&{}={}", act.id, field.name, encoded(&value));
                    let answer = player.send(structure.slug, &form);
                    assert_eq!(answer.status, status, "{form}: {}", answer.body);
                    let error = answer.json()["error"].as_str().unwrap().to_owned();
                    assert!(error.contains(field.name), "{error}");
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

/// Hostile texts that a form may send; they are stored and displayed unchanged.
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
    matches!(kind, Kind::Text(_) | Kind::List(_))
}

#[test]
fn every_action_accepts_valid_and_hostile_values() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    hitrate.get("/");
    for structure in ALL {
        let slug = structure.slug;
        player.play(slug, "act=example");
        for act in structure.acts {
            let usual = player.send(slug, &format!("act={}", act.id));
            assert!(matches!(usual.status, 200 | 422), "{slug} {}: {usual:?}", act.id);
            if usual.status == 422 {
                assert!(usual.json()["exchanges"][0]["refused"].as_bool().unwrap(), "{usual:?}");
            }
            for field in act.fields.iter().filter(|field| is_free(field.kind)) {
                for value in HOSTILE {
                    let form = format!("act={}&{}={}", act.id, field.name, encoded(value));
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
fn error_replies_are_quoted() {
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
        assert!(json["exchanges"][0]["refused"].as_bool().unwrap());
        assert!(json["picture"].is_object());
        let page =
            hitrate.post_with(&format!("/structures/{slug}"), form, &[("cookie", &player.cookie)]);
        assert_eq!(page.status, 422);
        assert!(page.body.contains("Redis replied:") && page.body.contains(words), "{form}");
    }
    assert_eq!(hitrate.get("/readyz").json()["redis"], "up", "a refusal is no error of Redis");
}

#[test]
fn a_full_value_rejects_additions() {
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
        assert!(answer.json()["error"].as_str().unwrap().starts_with("The limit of 1,000"));
        player.play(slug, &format!("act={gone}"));
        player.play(slug, &format!("act={act}"));
    }
    let long = "x".repeat(512);
    let appended = (0..20)
        .filter(|_| player.send("strings", &format!("act=append&value={long}")).status == 200);
    assert_eq!(appended.count(), 8, "4,096 bytes");
}
