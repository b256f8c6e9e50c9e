use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use crate::harness::{Hitrate, eventually, setup};

#[test]
fn the_second_lookup_is_a_hit() {
    let hitrate = Hitrate::start();
    let first = hitrate.get_with("/profiles?id=123", &[("accept", "application/json")]);
    assert_eq!(first.header("cache-status"), "hitrate; fwd=uri-miss; stored");
    let told = first.json();
    assert_eq!(told["source"], "database");
    assert_eq!(told["profile"]["name"], "Shaunak Dhande");
    assert_eq!(told["profile"]["age"], 22);
    assert_eq!(told["key"], "hitrate:profile:123");
    assert_eq!(
        told["message"],
        "User profile for 123 not found in cache. Fetched from the database and stored in Redis."
    );

    let second = hitrate.get_with("/profiles?id=123", &[("accept", "application/json")]);
    let left = second.header("cache-status").strip_prefix("hitrate; hit; ttl=").unwrap();
    assert!((290..=300).contains(&left.parse::<u32>().unwrap()), "{second:?}");
    let told = second.json();
    assert_eq!(told["source"], "cache");
    assert_eq!(told["message"], "User profile for 123 found in Redis cache.");
    assert!((290_000..=300_000).contains(&told["ttl_ms"].as_u64().unwrap()));
}

#[test]
fn the_page_shows_answer_wire_and_why() {
    let hitrate = Hitrate::start();
    let page = hitrate.get("/profiles?id=456").body;
    for part in [
        "Alice Johnson",
        "badge is-database",
        ">Trace<",
        "unless a newer one exists …&#39; 1 hitrate:profile:456 1",
        "Why?",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(hitrate.get("/profiles?id=456").body.contains("badge is-cache"));
    let form = hitrate.get("/profiles").body;
    assert!(form.contains("value=\"123\"") && form.contains("500 ms"), "{form}");
}

#[test]
fn the_transcript_tells_every_command_in_order() {
    let hitrate = Hitrate::start();
    let told = hitrate.json("/profiles?id=123&delay_ms=50");
    let steps = told["trace"].as_array().unwrap();
    let said: Vec<_> = steps.iter().map(|step| step["command"].as_str().unwrap()).collect();
    for (said, begins) in said.iter().zip([
        "MGET hitrate:profile:123 hitrate:tag:profile",
        "SET hitrate:tag:profile ",
        "SET hitrate:lease:{hitrate:profile:123} ",
        "MGET hitrate:profile:123 hitrate:tag:profile",
        "SELECT user_id",
        "EVALSHA '-- store the entry unless a newer one exists …' 1 hitrate:profile:123 1",
        "EVALSHA '-- release the lease if this process still holds it …' 1 hitrate:lease:{hitrate:profile:123}",
    ]) {
        assert!(said.starts_with(begins), "{said} is not {begins}");
    }
    let trips: Vec<_> = steps.iter().map(|step| step["round_trip"].as_u64().unwrap()).collect();
    assert_eq!(trips, [1, 2, 2, 2, 3, 4, 4], "the lease shares each of its round trips");
    let (all, simulated) =
        (told["elapsed_us"].as_u64().unwrap(), told["simulated_us"].as_u64().unwrap());
    assert!(simulated >= 50_000 && all > simulated, "{all} of which {simulated}");
    assert_eq!(steps[4]["simulated_us"], simulated);
}

#[test]
fn the_delay_is_the_default_unless_asked_otherwise() {
    let hitrate = setup().set("HITRATE_DATABASE_DELAY", "120ms").start();
    let simulated = |path: &str| hitrate.json(path)["simulated_us"].as_u64().unwrap();
    assert!(simulated("/profiles?id=123&cache=off") >= 120_000);
    assert_eq!(simulated("/profiles?id=123&cache=off&delay_ms=0"), 0);
    assert!(simulated("/profiles?id=123&cache=off&delay_ms=50") < 120_000);
}

#[test]
fn a_bypass_neither_reads_nor_fills() {
    let hitrate = Hitrate::start();
    for _ in 0..2 {
        let answer =
            hitrate.get_with("/profiles?id=123&cache=off", &[("accept", "application/json")]);
        assert_eq!(answer.header("cache-status"), "hitrate; fwd=bypass");
        assert_eq!(answer.json()["source"], "database");
        assert!(answer.json()["ttl_ms"].is_null());
    }
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "database", "nothing was stored");
}

#[test]
fn an_unknown_id_is_404_and_its_absence_is_remembered() {
    let hitrate = Hitrate::start();
    let page = hitrate.get("/profiles?id=nobody");
    assert_eq!(page.status, 404);
    assert!(page.body.contains("No profile has the id nobody.") && page.body.contains("id=123"));
    let again = hitrate.get_with("/profiles?id=nobody", &[("accept", "application/json")]);
    assert_eq!(again.status, 404);
    assert!(again.header("cache-status").starts_with("hitrate; hit"));
    let told = again.json();
    assert_eq!(
        (told["error"].as_str(), told["source"].as_str()),
        (Some("No profile has the id nobody."), Some("cache"))
    );
    let steps = told["trace"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["target"] == "redis"), "the database was left alone");
    assert!(told["ttl_ms"].as_u64().unwrap() <= 10_000);
}

#[test]
fn the_ttl_ends() {
    let hitrate = setup().set("HITRATE_PROFILE_TTL", "300ms").start();
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "database");
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache");
    eventually(Duration::from_secs(1), "it has ended", || {
        hitrate.json("/profiles?id=123")["source"] == "database"
    });
}

#[test]
fn stored_markup_is_shown_as_text() {
    let hitrate = Hitrate::start();
    let name = "%3Cscript%3Ealert(1)%3C/script%3E\"'&age=1";
    let saved = hitrate.post("/profiles/123", &format!("name={name}&email=a%40%3Cb%3E"));
    assert_eq!(saved.status, 303, "{saved:?}");
    for _ in 0..2 {
        let page = hitrate.get("/profiles?id=123").body;
        assert!(!page.contains("<script>alert") && !page.contains("a@<b>"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    }
}

#[test]
fn a_visitor_sees_their_own_last_lookups() {
    let hitrate = Hitrate::start();
    let first = hitrate.get("/profiles?id=123&delay_ms=50");
    assert!(first.header("set-cookie").contains("HttpOnly; SameSite=Lax; Path=/profiles"));
    let second = hitrate.get_with("/profiles?id=123", &[("cookie", first.cookie())]);
    assert!(second.body.contains("× faster than your last database lookup"));
    assert!(second.body.contains("Recent lookups"));
    assert!(!hitrate.get("/profiles?id=123").body.contains("Recent lookups"));
}

/// A row may come from anywhere, and be of any size.
#[test]
fn a_large_profile_is_cached_and_a_huge_one_says_why_it_is_not() {
    let hitrate = Hitrate::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut database = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    let mut give_name_of = |bytes: i64, id: &'static str| {
        let sql =
            "UPDATE profiles SET name = replace(hex(zeroblob($1)), '00', 'n') WHERE user_id = $2";
        let update = sqlx::query(sql).bind(bytes).bind(id);
        runtime.block_on(update.execute(&mut database)).unwrap();
    };
    give_name_of(70 * 1024, "123");
    give_name_of(2 * 1024 * 1024, "456");
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "database");
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache");
    let answer = hitrate.get_with("/profiles?id=456", &[("accept", "application/json")]);
    assert_eq!(answer.header("cache-status"), "hitrate; fwd=uri-miss", "and not stored");
    let told = answer.json();
    assert_eq!((&told["source"], told["ttl_ms"].is_null()), (&"database".into(), true));
    let message = told["message"].as_str().unwrap();
    assert!(message.ends_with("it exceeds the maximum entry size."), "{message}");
    let counted = "hitrate_rejected_entries_total{prefix=\"profile\"} ";
    let count = || {
        let metrics = hitrate.get("/metrics").body;
        let count = metrics.lines().find_map(|line| line.strip_prefix(counted));
        count.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(count(), 1);
    eventually(Duration::from_secs(5), "the next one is counted, too", || {
        hitrate.get("/profiles?id=456");
        count() > 1
    });
    assert_eq!(hitrate.logged("is not cached"), 1, "{}", hitrate.log());
}
