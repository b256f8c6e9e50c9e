//! Pages keep working while a real Redis is killed, frozen, emptied, filled up, or
//! rejects commands.

mod copies;
mod outages;
mod rejections;

use std::time::Duration;

use crate::harness::{Answer, BUSY, Hitrate, eventually, is_kept};

pub const JSON: (&str, &str) = ("accept", "application/json");
/// Maximum response time during a fault, without simulated latency.
pub const PAGE: Duration = Duration::from_millis(500);
/// Maximum recovery time.
pub const BACK: Duration = Duration::from_secs(2);

/// Asserts that every page responds within [`PAGE`] and names what is unavailable.
fn assert_serves_without_redis(hitrate: &Hitrate) {
    assert!(is_kept(PAGE, || slowest_page_without_redis(hitrate)), "too slow in five attempts");
}

/// Requests every page, and returns the longest response time.
fn slowest_page_without_redis(hitrate: &Hitrate) -> Duration {
    let page = in_time(hitrate.get("/"));
    assert!(page.body.contains("This visit was not counted: Redis"), "{}", page.body);
    assert!(hitrate.json("/")["hits"].is_null());
    let lookup = in_time(hitrate.get_with("/profiles?id=123", &[JSON]));
    // The lookup may have joined the load of another visitor.
    let status = lookup.header("cache-status").trim_end_matches("; collapsed");
    assert_eq!(status, "hitrate; fwd=uri-miss");
    let told = lookup.json();
    assert_eq!((&told["source"], &told["profile"]["age"]), (&"database".into(), &22.into()));
    assert!(
        told["message"].as_str().unwrap().contains("It was not stored in Redis: Redis"),
        "{told}"
    );
    let other = in_time(hitrate.get("/profiles?id=456"));
    let product = in_time(hitrate.get("/product"));
    assert!(product.body.contains("\"db\""));
    let stats = in_time(hitrate.get("/stats"));
    let cookie = format!("hitrate_session={}", "0".repeat(32));
    let session = in_time(hitrate.get_with("/sessions", &[("cookie", &cookie)]));
    assert!(session.body.contains("Your session can&#39;t be read: Redis"), "{}", session.body);
    let start = hitrate.post("/sessions", "username=qiross");
    assert_eq!((start.status, start.header("retry-after")), (503, "1"));
    assert_eq!(hitrate.get("/healthz").status, 200);
    let pages = [page, lookup, other, product, stats, session];
    pages.map(|answer| answer.took).into_iter().max().unwrap()
}

pub fn in_time(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.took < PAGE * BUSY, "{:?} is too long", answer.took);
    answer
}

pub fn assert_down(hitrate: &Hitrate) {
    eventually(Duration::from_secs(2), "/readyz reports that Redis is down", || {
        hitrate.get("/readyz").body == r#"{"redis":"down","database":"up"}"#
    });
    assert_eq!(hitrate.get("/readyz").status, 200, "hitrate serves without Redis");
}

/// Asserts that counter, cache and sessions work again without a restart. Several
/// requests in a row reach every worker.
pub fn assert_normal_within(limit: Duration, hitrate: &Hitrate) {
    eventually(limit, "everything is normal again", || {
        hitrate.get("/readyz").body.contains("\"redis\":\"up\"")
            && (0..6).all(|_| hitrate.json("/")["hits"].is_u64())
            && (0..4).any(|_| hitrate.json("/profiles?id=456")["source"] == "cache")
            && hitrate.post("/sessions", "username=qiross").status == 303
    });
}

pub fn assert_no_panic(hitrate: &Hitrate) {
    assert_eq!(hitrate.logged("panicked"), 0, "{}", hitrate.log());
}

/// Number of failures in the log. Those of the write-behind flusher are excluded: it
/// may notice the same fault or not.
pub fn conditions_told(hitrate: &Hitrate) -> usize {
    let log = hitrate.log();
    let told = log.lines().filter(|line| line.contains("WARN  hitrate_cache::condition"));
    told.filter(|line| !line.contains("Write-behind")).count()
}
