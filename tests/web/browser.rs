//! Chromium itself: fills forms, follows links, sees what a visitor sees.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::sleep;
use ureq::http::Method;
use url::{ParseError, Url};

use crate::harness::{Hitrate, eventually, free_port, node_modules, setup};

/// What a page may take to appear on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A browser window, driven by a chromedriver of its own.
struct Browser {
    client: Client,
    _driver: Driver,
}

/// Ends with the value, and the browser with it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Clone, Copy)]
struct Look {
    width: u32,
    dark: bool,
    scripts: bool,
}

const DESK: Look = Look { width: 1280, dark: false, scripts: true };
const PHONE: Look = Look { width: 390, dark: true, scripts: true };

impl Browser {
    async fn open(look: Look) -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver should be installed");
        eventually(TIMEOUT, "chromedriver listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let driver = Driver(driver);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(look))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium should be installed");
        if !look.scripts {
            client.issue_cmd(DevTools("Network.enable", json!({}))).await.unwrap();
            let blocked = json!({ "urls": ["*/static/*.js*"] });
            client.issue_cmd(DevTools("Network.setBlockedURLs", blocked)).await.unwrap();
        }
        Self { client, _driver: driver }
    }

    async fn visit(&self, hitrate: &Hitrate, path: &str) {
        self.client.goto(&format!("http://{}{path}", hitrate.address)).await.unwrap();
    }

    async fn text(&self, css: &str) -> String {
        self.client.find(Locator::Css(css)).await.unwrap().text().await.unwrap()
    }

    async fn fill(&self, css: &str, value: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    async fn await_text(&self, css: &str, wanted: &str) {
        let end = Instant::now() + TIMEOUT;
        let mut seen = String::new();
        while Instant::now() < end {
            if let Ok(element) = self.client.find(Locator::Css(css)).await {
                seen = element.text().await.unwrap_or_default();
                if seen.contains(wanted) {
                    return;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{css} never said {wanted:?}, but {seen:?}");
    }

    async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The cookie of whoever plays at patterns here.
    async fn visitor(&self) -> String {
        let cookie = self.client.get_named_cookie("hitrate_visitor").await.unwrap();
        format!("hitrate_visitor={}", cookie.value())
    }

    /// Nothing scrolls sideways, and axe finds nothing.
    async fn keeps_the_rules(&self, look: Look, path: &str, axe: Option<&str>) {
        let sideways =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.run("return innerWidth").await, look.width);
        assert_eq!(self.run(sideways).await, 0, "{path} at {} px", look.width);
        let Some(axe) = axe else { return };
        // Both in one script: a page that reloads in between would forget axe.
        let check = ";const done = arguments[0]; axe.run().then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes[0].html)))";
        let violations = self.client.execute_async(&[axe, check].concat(), vec![]).await.unwrap();
        assert_eq!(violations, json!([]), "{path} at {} px, dark: {}", look.width, look.dark);
    }

    async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

/// A command of the DevTools protocol, and its parameters.
///
/// Scripts are kept out by refusing to load them, and `safety` holds that no
/// page has any other. Turning scripts off altogether ends the driver, too: it
/// clicks and types by scripts of its own.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

fn capabilities(look: Look) -> serde_json::Map<String, Value> {
    let mut args = vec![
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-quic".to_owned(),
    ];
    args.push(format!("--blink-settings=preferredColorScheme={}", u8::from(!look.dark)));
    let options = json!({
        "args": args,
        "mobileEmulation": { "deviceMetrics": { "width": look.width, "height": 844, "pixelRatio": 1.0, "mobile": false } },
    });
    [("goog:chromeOptions".to_owned(), options)].into_iter().collect()
}

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
    browser.click(".acts a.button").await;
    browser.await_text(".answer .badge", "cache").await;
    browser.await_text(".faster", "faster than your last database answer").await;

    browser.click(".edit summary").await;
    browser.fill("#name", "Ann Example").await;
    browser.click(".edit button").await;
    browser.await_text(".answer h2", "Ann Example").await;
    browser.await_text(".notice.good", "Saved.").await;
    browser.click(".acts form button").await;
    browser.await_text(".notice.good", "Invalidated.").await;

    browser.click("nav a[href='/stampede']").await;
    browser.fill("#visitors", "9").await;
    browser.click("form.ask button").await;
    browser.await_text("#result", "9 visitors at once").await;
    browser.await_text(".claims", "9 times").await;

    browser.click("nav a[href='/console']").await;
    browser.fill("#command", "SET greeting \"Hello from Redis\"").await;
    browser.click("form.prompt button").await;
    browser.await_text(".console .printed", "OK").await;
    browser.click("button[value='GET greeting']").await;
    browser.await_text(".console .printed", "\"Hello from Redis\"").await;
    browser.click("nav a[href='/patterns']").await;
    browser.click("a[href='/patterns/shopping-cart']").await;
    browser.fill("#add-quantity", "3").await;
    browser.click("button[value=add]").await;
    browser.await_text(".told", "Put in 3 of product 7: 3 in the cart.").await;
    browser.await_text(".entries", "cart:1001").await;
    browser.fill("#trial-actors", "20").await;
    browser.click("button[value=trial]").await;
    browser.await_text(".lanes", "100 of 100 pieces in the cart: exact").await;
    browser.click("nav a[href='/patterns']").await;
    browser.click("a[href='/patterns/expiring-key']").await;
    browser.fill("#set-ttl", "1").await;
    browser.click("button[value=set]").await;
    browser.await_text(".told", "Cached username = qiross for 1 second.").await;
    if !look.scripts {
        sleep(Duration::from_millis(1100)).await;
        browser.client.refresh().await.unwrap();
    }
    browser.await_text("[data-part=held]", "username does not exist or has expired.").await;

    browser.click("nav a[href='/sessions']").await;
    browser.await_text(".message", "username does not exist or has expired.").await;
    browser.fill("#ttl", "2").await;
    browser.click("form.ask button").await;
    browser.await_text(".moments .past", "Cached username = qiross for 2 seconds.").await;
    browser.await_text(".moments .now", "Retrieved username = qiross from cache.").await;
    if !look.scripts {
        sleep(Duration::from_millis(2100)).await;
        browser.client.refresh().await.unwrap();
    }
    browser.await_text(".empty", "Your session is over").await;
    browser.await_text(".message", "username does not exist or has expired.").await;
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
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(browser.text("[data-countdown]").await, before, "scripts are really kept out");
    browser.close().await;
}

#[tokio::test]
async fn the_panels_follow_and_the_time_runs_down() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/stats").await;
    hitrate.get("/profiles?id=123");
    hitrate.get("/profiles?id=123");
    browser.await_text(".panels", "1 hit, 1 miss,").await;

    browser.visit(&hitrate, "/profiles?id=123").await;
    let before = browser.text("[data-countdown]").await;
    sleep(Duration::from_millis(1500)).await;
    assert_ne!(browser.text("[data-countdown]").await, before);
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_listens_hears_what_is_published_on_it() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/patterns/publish-subscribe").await;
    browser.await_text(".heard", "Listening.").await;
    for message in ["first", "second"] {
        browser.fill("#publish-text", message).await;
        browser.click("button[value=publish]").await;
        browser.await_text(".heard li", message).await;
        browser.await_text(".told", "1 subscriber heard it.").await;
    }
    browser.await_text(".heard", "2 messages heard so far").await;
    browser.await_text(".entries", "second").await;
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
    browser.click(".catalogue a[href='/structures/sets']").await;
    browser.await_text(".picture", "Nothing yet.").await;
    browser.click("button[value=example]").await;
    browser.await_text(".venn", "in both").await;
    browser.fill("#sadd-members", "tuning, <b>").await;
    browser.click("#sadd button").await;
    browser.await_text(".outcome", "SADD post:1:tags tuning <b>").await;
    browser.await_text(".results", "tuning").await;
    browser.click(".siblings a[href='/structures/strings']").await;
    browser.await_text("h1", "Strings").await;
    browser.click("#set button").await;
    browser.await_text(".outcome", "SET token:abc123 user_id:42").await;
    browser.click("#incr button").await;
    browser.await_text(".picture", "views:homepage").await;
    browser.click(".siblings a[href='/structures/streams']").await;
    browser.await_text("h1", "Streams").await;
    for number in 1..=3 {
        browser.await_text(".guide", &format!("Play step {number} of")).await;
        browser.click(".guide .next button").await;
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

#[tokio::test]
async fn a_log_follows_by_itself() {
    let hitrate = Hitrate::start();
    let browser = Browser::open(DESK).await;
    browser.visit(&hitrate, "/structures/streams").await;
    browser.click("#xadd-event button").await;
    browser.await_text(".log", "alice").await;
    let cookie = browser.client.get_named_cookie("hitrate_visitor").await.unwrap();
    let cookie = format!("{}={}", cookie.name(), cookie.value());
    let added = hitrate.post_with(
        "/structures/streams",
        "act=xadd-event&user=somewhere-else",
        &[("cookie", &cookie)],
    );
    assert_eq!(added.status, 303);
    browser.await_text(".log", "somewhere-else").await;
    browser.close().await;
}

/// Every page in each state that looks different.
const PAGES: &[&str] = &[
    "/",
    "/profiles",
    "/profiles?id=123&delay_ms=50",
    "/profiles?id=123",
    "/profiles?id=nobody",
    "/strategies",
    "/strategies?id=nobody",
    "/sessions",
    "/invalidation",
    "/console",
    "/stampede",
    "/stampede?run=none",
    "/patterns/round-trips",
    "/patterns/round-trips?run=none",
    "/patterns/key-names",
    "/patterns/key-names?names=a%20b%0A%3A%3A%0A%7B%7D%0AUser.1%40x.example%0Axxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "/stats",
    "/structures",
    "/structures/strings",
    "/structures/streams",
    "/nowhere",
    "/patterns",
    "/patterns/expiring-key?play=none",
    "/patterns/rate-limiter",
];

#[tokio::test]
async fn no_page_scrolls_sideways_nor_breaks_a_rule_of_axe() {
    let hitrate = Hitrate::start();
    let axe = axe();
    let ran = hitrate.post("/stampede", "visitors=1000&delay_ms=100");
    let timed = hitrate.post("/patterns/round-trips", "count=100&round_trip=0.5");
    assert_eq!((ran.status, timed.status), (303, 303));
    let long = "x".repeat(64);
    for look in [DESK, PHONE, Look { dark: true, ..DESK }, Look { dark: false, ..PHONE }] {
        let browser = Browser::open(look).await;
        browser.visit(&hitrate, "/patterns/expiring-key").await;
        browser.visit(&hitrate, "/sessions").await;
        browser.fill("#username", &long).await;
        browser.click("form.ask button").await;
        browser.await_text(".moments", "Retrieved").await;
        browser.visit(&hitrate, "/console").await;
        for (command, reply) in [("SET a 1", "OK"), ("HGETALL a", "WRONGTYPE")] {
            browser.fill("#command", command).await;
            browser.click("form.prompt button").await;
            browser.await_text(".console .printed", reply).await;
        }
        let unknown = format!("/profiles?id={long}");
        let mut played = Vec::new();
        for (slug, form) in [
            ("distributed-lock", "act=acquire".to_owned()),
            ("distributed-lock", "act=trial&actors=50".to_owned()),
            ("trending-topics", "act=example".to_owned()),
            ("api-response-cache", format!("act=call&params={long}")),
            ("user-feed", "act=fill".to_owned()),
            ("unique-visitors", "act=crowd".to_owned()),
            ("publish-subscribe", format!("act=publish&text={long}")),
        ] {
            let cookie = browser.visitor().await;
            let headers = [("cookie", cookie.as_str())];
            let posted = hitrate.post_with(&format!("/patterns/{slug}"), &form, &headers);
            played.push(posted.header("location").to_owned());
        }
        let run = hitrate.post("/strategies", "act=run&policy=write-behind");
        let more =
            [&unknown, run.header("location"), ran.header("location"), timed.header("location")];
        let played = played.iter().map(String::as_str);
        for path in PAGES.iter().copied().chain(more).chain(played) {
            browser.visit(&hitrate, path).await;
            browser.keeps_the_rules(look, path, axe.as_deref()).await;
        }
        for structure in hitrate::labs::structures::ALL {
            let path = format!("/structures/{}", structure.slug);
            browser.visit(&hitrate, &path).await;
            browser.click("button[value=example]").await;
            browser.await_text(".outcome", "The whole example").await;
            browser.click(".whole-trace summary").await;
            browser.keeps_the_rules(look, &path, axe.as_deref()).await;
        }
        browser.close().await;
    }
}

/// At both widths, with scripts and without.
#[tokio::test]
async fn every_structure_and_every_pattern_is_played() {
    let hitrate = Hitrate::start();
    let looks = [DESK, PHONE].into_iter();
    for look in looks.flat_map(|look| [look, Look { scripts: false, ..look }]) {
        let browser = Browser::open(look).await;
        for structure in hitrate::labs::structures::ALL {
            let path = format!("/structures/{}", structure.slug);
            browser.visit(&hitrate, &path).await;
            browser.click("button[value=example]").await;
            browser.await_text(".outcome", "The whole example").await;
            browser.keeps_the_rules(look, &path, None).await;
        }
        for pattern in hitrate::labs::patterns::ALL {
            let path = format!("/patterns/{}", pattern.slug);
            browser.visit(&hitrate, &path).await;
            browser.click(&format!("button[value={}]", pattern.acts[0].name)).await;
            browser.await_text(".told .message", "").await;
            browser.keeps_the_rules(look, &path, None).await;
        }
        browser.close().await;
    }
}

/// axe-core, where `bin/test` could fetch it.
fn axe() -> Option<String> {
    Some(fs::read_to_string(node_modules()?.join("axe-core/axe.min.js")).unwrap())
}
