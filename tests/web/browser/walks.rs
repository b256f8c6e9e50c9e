//! What a visitor does, the same with scripts and without.

use std::time::Duration;

use tokio::time::sleep;

use super::{Browser, DESK, Look, PHONE};
use crate::harness::{Hitrate, setup};

/// The walk of a visitor, the same with scripts and without.
async fn a_visitor_walks_through(look: Look) {
    let hitrate = setup().set("HITRATE_DATABASE_DELAY", "50ms").start();
    let browser = Browser::open(look).await;

    browser.visit(&hitrate, "/").await;
    assert_eq!(browser.text("h1").await, "This page has been visited 1 time.");
    browser.client.refresh().await.unwrap();
    browser.await_text("h1", "This page has been visited 2 times.").await;

    browser.click("nav a[href='/profiles']").await;
    browser.fill("#id", "123").await;
    browser.click("form.ask button").await;
    browser.await_text(".answer .badge", "database").await;
    assert_eq!(browser.text(".answer h2").await, "Shaunak Dhande");
    browser.click(".actions a.button").await;
    browser.await_text(".answer .badge", "cache").await;
    browser.await_text(".answer-faster", "faster than your last database lookup").await;

    browser.click(".answer-edit summary").await;
    browser.fill("#name", "Ann Example").await;
    browser.click(".answer-edit button").await;
    browser.await_text(".answer h2", "Ann Example").await;
    browser.await_text(".notice.is-good", "Saved.").await;
    browser.click(".actions form button").await;
    browser.await_text(".notice.is-good", "Invalidated.").await;

    browser.click("nav a[href='/stampede']").await;
    browser.fill("#visitors", "9").await;
    browser.click("form.ask button").await;
    browser.await_text("#result", "9 visitors at once").await;
    browser.await_text(".claims", "9 times").await;

    browser.click("nav a[href='/console']").await;
    browser.fill("#command", "SET greeting \"Hello from Redis\"").await;
    browser.click("form.console-prompt button").await;
    browser.await_text(".console-reply", "OK").await;
    browser.click("button[value='GET greeting']").await;
    browser.await_text(".console-reply", "\"Hello from Redis\"").await;
    browser.click("nav a[href='/patterns']").await;
    browser.click("a[href='/patterns/shopping-cart']").await;
    browser.fill("#add-quantity", "3").await;
    browser.click("button[value=add]").await;
    browser.await_text(".pattern-told", "Added 3 of product 7: 3 in the cart.").await;
    browser.await_text(".entries", "cart:1001").await;
    browser.fill("#trial-actors", "20").await;
    browser.click("button[value=trial]").await;
    browser.await_text(".trial-lanes", "100 of 100 items in the cart: exact").await;
    browser.click("nav a[href='/patterns']").await;
    browser.click("a[href='/patterns/expiring-key']").await;
    browser.fill("#set-ttl", "1").await;
    browser.click("button[value=set]").await;
    browser.await_text(".pattern-told", "Cached username = qiross for 1 second.").await;
    browser.await_later(look, "[data-part=held]", "username does not exist or has expired.").await;

    browser.click("nav a[href='/sessions']").await;
    browser.await_text(".mono", "username does not exist or has expired.").await;
    browser.fill("#ttl", "2").await;
    browser.click("form.ask button").await;
    browser.await_text(".moments li:first-child", "Cached username = qiross for 2 seconds.").await;
    browser.await_text(".moments .is-now", "Retrieved username = qiross from cache.").await;
    browser.await_later(look, ".empty", "Your session has expired").await;
    browser.await_text(".mono", "username does not exist or has expired.").await;
    browser.close().await;
}

#[tokio::test]
async fn a_visitor_with_scripts_walks_through() {
    a_visitor_walks_through(DESK).await;
}

#[tokio::test]
async fn a_visitor_without_scripts_walks_through() {
    a_visitor_walks_through(Look { scripts: false, ..PHONE }).await;
}

#[tokio::test]
async fn without_scripts_nothing_runs() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(Look { scripts: false, ..DESK }).await;
    hitrate.get("/profiles?id=123");
    browser.visit(&hitrate, "/profiles?id=123").await;
    let before = browser.text("[data-countdown]").await;
    // Longer than the second after which it would count down.
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(browser.text("[data-countdown]").await, before, "scripts are really kept out");
    browser.close().await;
}

#[tokio::test]
async fn a_visitor_is_told_that_redis_is_away() {
    let hitrate = setup().set("REDIS_URL", "redis://127.0.0.1:1").start();
    let browser = Browser::open(PHONE).await;
    browser.visit(&hitrate, "/").await;
    assert!(
        browser.text("h1").await.starts_with("This visit was not counted: Redis can't be reached")
    );
    browser.await_text(".panels .notice", "Redis can't be reached").await;
    browser.visit(&hitrate, "/profiles?id=123").await;
    browser.await_text(".answer .notice", "Redis can't be reached").await;
    browser.close().await;
}

/// Someone plays with a structure, the same with scripts and without.
async fn a_visitor_plays(look: Look) {
    let hitrate = Hitrate::start();
    let browser = Browser::open(look).await;
    browser.visit(&hitrate, "/").await;
    browser.click("nav a[href='/structures']").await;
    browser.await_text("h1", "Structures").await;
    browser.click(".index a[href='/structures/sets']").await;
    browser.await_text(".picture", "Nothing yet.").await;
    browser.click("button[value=example]").await;
    browser.await_text(".venn", "in both").await;
    browser.fill("#sadd-members", "tuning, <b>").await;
    browser.click("#sadd button").await;
    browser.await_text(".outcome", "SADD post:1:tags tuning <b>").await;
    browser.await_text(".picture-sets", "tuning").await;
    browser.click(".siblings a[href='/structures/strings']").await;
    browser.await_text("h1", "Strings").await;
    browser.click("#set button").await;
    browser.await_text(".outcome", "SET token:abc123 user_id:42").await;
    browser.click("#incr button").await;
    browser.await_text(".picture", "views:homepage").await;
    browser.click(".siblings a[href='/structures/streams']").await;
    browser.await_text("h1", "Streams").await;
    for number in 1..=3 {
        browser.await_text(".guide", &format!("Run step {number} of")).await;
        browser.click(".guide form button").await;
    }
    browser.await_text(".picture", "temperature").await;
    browser.click("button[value=reset]").await;
    browser.await_text(".picture", "Nothing yet.").await;
    browser.close().await;
}

#[tokio::test]
async fn a_visitor_with_scripts_plays() {
    a_visitor_plays(DESK).await;
}

#[tokio::test]
async fn a_visitor_without_scripts_plays() {
    a_visitor_plays(Look { scripts: false, ..PHONE }).await;
}
