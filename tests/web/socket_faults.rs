//! The network between hitrate and Redis breaks here. Pages go on.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    faults::{BACK, JSON, PAGE, assert_no_panic, assert_normal_within, in_time},
    harness::{Hitrate, TestRedis, eventually, is_kept, setup},
    proxy::{Mode, Proxy},
};

/// How often each page is asked for while the network is broken.
const VISITS: usize = 4;

/// All is well, through a proxy.
fn behind_a_proxy() -> (TestRedis, Proxy, Hitrate) {
    let redis = TestRedis::start().unwrap();
    let proxy = Proxy::before(&redis);
    let hitrate = setup().set("REDIS_URL", proxy.url()).start();
    assert_normal_within(BACK, &hitrate);
    (redis, proxy, hitrate)
}

/// Breaks the network as `mode` says; every page is there in time and says
/// what is off, and everything is normal again soon after.
fn assert_survives(mode: Mode) {
    let (_redis, proxy, hitrate) = behind_a_proxy();
    proxy.set(mode);
    let slowest = (0..VISITS).map(|_| slowest_page_that_says_so(&hitrate));
    let slowest: Vec<_> = slowest.collect();
    assert!(slowest.iter().min() < Some(&PAGE), "each time too long: {slowest:?}");
    eventually(BACK, "readiness tells that Redis is down", || {
        hitrate.get("/readyz").body.contains("\"redis\":\"down\"")
    });
    proxy.set(Mode::Pass);
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

/// Looks at every page; returns what the slowest one took.
fn slowest_page_that_says_so(hitrate: &Hitrate) -> Duration {
    let visit = in_time(hitrate.get("/"));
    assert!(visit.body.contains("This visit was not counted: "), "{}", visit.body);
    let lookup = in_time(hitrate.get_with("/profiles?id=123", &[JSON]));
    assert_eq!(lookup.json()["source"], "database");
    assert!(lookup.body.contains("It was not stored in Redis: "), "{}", lookup.body);
    let product = in_time(hitrate.get("/product"));
    let stats = in_time(hitrate.get("/stats"));
    [visit, lookup, product, stats].map(|answer| answer.took).into_iter().max().unwrap()
}

#[test]
fn the_network_freezes() {
    assert_survives(Mode::Freeze);
}

#[test]
fn the_server_is_gone_and_nobody_tells() {
    assert_survives(Mode::HalfOpen);
}

#[test]
fn connections_are_refused() {
    assert_survives(Mode::Refuse);
}

#[test]
fn something_else_answers() {
    assert_survives(Mode::Garbage(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
}

#[test]
fn random_bytes_answer() {
    assert_survives(Mode::Garbage(b"\xff\x00\xfe:x\r\n$-7\r\n*9999999999\r\n"));
}

#[test]
fn an_answer_promises_more_than_there_is() {
    assert_survives(Mode::Garbage(b"$536870911\r\nx"));
}

#[test]
fn an_answer_is_nested_without_end() {
    assert_survives(Mode::Garbage(&NESTED));
}

/// 16,384 arrays, each the only member of the one before.
static NESTED: [u8; 65_536] = {
    let mut bytes = [0; 65_536];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = b"*1\r\n"[at % 4];
        at += 1;
    }
    bytes
};

/// Nobody asked the key: the network broke, and the page should say that.
#[test]
fn garbage_on_the_line_is_not_blamed_on_the_key() {
    let (_redis, proxy, hitrate) = behind_a_proxy();
    proxy.set(Mode::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    for _ in 0..VISITS {
        let visit = in_time(hitrate.get("/"));
        assert!(visit.body.contains("This visit was not counted: Redis"), "{}", visit.body);
    }
}

#[test]
fn every_connection_is_cut_again_and_again() {
    let (_redis, proxy, hitrate) = behind_a_proxy();
    for _ in 0..10 {
        eventually(BACK, "it has connected again", || proxy.cut() > 0);
        in_time(hitrate.get("/"));
        in_time(hitrate.get("/profiles?id=123"));
    }
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

/// Redis counts the visit, and nobody hears of it.
#[test]
fn a_visit_whose_answer_is_lost_may_have_been_counted() {
    let (redis, proxy, hitrate) = behind_a_proxy();
    let lost = "This visit was not counted: Redis disconnected before replying. \
                Redis may have counted it.";
    // On a busy machine a cut may come too late.
    let mut rounds = (0..5).map(|_| visit_and_cut(&redis, &proxy, &hitrate));
    assert!(rounds.any(|body| body.contains(lost)), "{}", hitrate.log());
    assert_normal_within(BACK, &hitrate);
}

/// What a visitor sees whose connection to Redis is cut once Redis counted the visit.
fn visit_and_cut(redis: &TestRedis, proxy: &Proxy, hitrate: &Hitrate) -> String {
    assert_normal_within(BACK, hitrate);
    let hits = || redis.command(&["GET", "hitrate:page_hits"]).parse::<u64>().unwrap();
    let before = hits();
    // Shorter than hitrate waits, and long enough to cut it in the middle.
    proxy.set(Mode::SlowAnswers(Duration::from_millis(200)));
    let body = thread::scope(|scope| {
        let visit = scope.spawn(|| in_time(hitrate.get("/")).body);
        eventually(BACK, "Redis counts it", || hits() == before + 1);
        proxy.cut();
        visit.join().unwrap()
    });
    proxy.set(Mode::Pass);
    body
}

/// 400 ms there and back is longer than a visitor waits for Redis.
#[test]
fn the_network_is_too_slow() {
    assert_survives(Mode::Latency(Duration::from_millis(200)));
}

/// Only what tells of changes is gone: copies in the process are not trusted
/// until it is back, and nobody reads an old one.
#[test]
fn the_connection_that_hears_of_changes_is_cut() {
    let redis = TestRedis::start().unwrap();
    let proxy = Proxy::before(&redis);
    let [reader, writer] = [&proxy.url(), &redis.url()]
        .map(|url| setup().set("REDIS_URL", url).set("HITRATE_POLICY", "near-cache"));
    let database = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", database.path().join("hitrate.db").display());
    let reader = reader.set("DATABASE_URL", &url).start();
    let writer = writer.set("DATABASE_URL", &url).start();
    let mut age = 20;
    let is_soon = is_kept(Duration::from_millis(250), || {
        age += 1;
        eventually(BACK, "a copy is kept in the process", || {
            reader.json("/profiles?id=123")["source"] == "memory"
        });
        eventually(BACK, "the connection is there", || proxy.cut_tracking() == 1);
        let edit = format!("name=Ann&email=a%40example.com&age={age}");
        assert_eq!(writer.post("/profiles/123", &edit).status, 303);
        let start = Instant::now();
        eventually(BACK, "the copy is not used any more", || {
            reader.json("/profiles?id=123")["profile"]["age"] == age
        });
        let took = start.elapsed();
        assert!(reader.json("/")["hits"].is_u64(), "all else goes on");
        took
    });
    assert!(is_soon, "five times an old copy was used for longer");
    assert_no_panic(&reader);
}

#[test]
fn a_network_that_is_a_little_slow_is_waited_for() {
    let redis = TestRedis::start().unwrap();
    let proxy = Proxy::before(&redis);
    let hitrate = setup().set("REDIS_URL", proxy.url()).start();
    proxy.set(Mode::Latency(Duration::from_millis(20)));
    assert_normal_within(BACK, &hitrate);
    let each_way = Duration::from_millis(30);
    for mode in [Mode::Latency(each_way), Mode::Jitter(each_way)] {
        proxy.set(mode);
        for _ in 0..VISITS {
            assert!(in_time(hitrate.get("/")).body.contains("This page has been visited"));
            let told = in_time(hitrate.get_with("/profiles?id=123", &[JSON])).json();
            assert!(told["ttl_ms"].is_u64(), "it was found or stored: {told}");
        }
    }
    assert_no_panic(&hitrate);
}

#[test]
fn only_the_answers_are_too_slow() {
    assert_survives(Mode::SlowAnswers(Duration::from_millis(400)));
}
