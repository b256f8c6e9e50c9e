//! What changes on a page by itself.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Browser, DESK, TIMEOUT};
use crate::harness::Hitrate;

#[tokio::test]
async fn the_panels_follow_and_the_time_runs_down() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/stats").await;
    hitrate.get("/profiles?id=123");
    hitrate.get("/profiles?id=123");
    browser.await_text(".panels", "1 hit, 1 miss in").await;

    browser.visit(&hitrate, "/profiles?id=123").await;
    let before = browser.text("[data-countdown]").await;
    let end = Instant::now() + TIMEOUT;
    while browser.text("[data-countdown]").await == before {
        assert!(Instant::now() < end, "it stays {before}");
        sleep(Duration::from_millis(50)).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_listens_hears_what_is_published_on_it() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/patterns/publish-subscribe").await;
    browser.await_text(".pattern-heard", "Subscribed.").await;
    for message in ["first", "second"] {
        browser.fill("#publish-text", message).await;
        browser.click("button[value=publish]").await;
        browser.await_text(".pattern-heard li", message).await;
        browser.await_text(".pattern-told", "Delivered to 1 subscriber.").await;
    }
    browser.await_text(".pattern-heard", "2 messages received").await;
    browser.await_text(".entries", "second").await;
    browser.close().await;
}

#[tokio::test]
async fn a_log_follows_by_itself() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/structures/streams").await;
    browser.click("#xadd-event button").await;
    browser.await_text(".stream", "alice").await;
    let cookie = browser.client.get_named_cookie("hitrate_visitor").await.unwrap();
    let cookie = format!("{}={}", cookie.name(), cookie.value());
    let added = hitrate.post_with(
        "/structures/streams",
        "act=xadd-event&user=somewhere-else",
        &[("cookie", &cookie)],
    );
    assert_eq!(added.status, 303);
    browser.await_text(".stream", "somewhere-else").await;
    browser.close().await;
}
