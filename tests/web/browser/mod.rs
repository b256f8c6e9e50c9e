//! Chromium itself: fills forms, follows links, sees what a visitor sees.

mod live;
mod rules;
mod walks;

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::sleep;
use ureq::http::Method;
use url::{ParseError, Url};

use crate::harness::Hitrate;

/// What a page may take to appear on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A browser window, driven by a chromedriver of its own.
struct Browser {
    client: Client,
    _driver: Driver,
}

/// Ends with the value, and the browser with it.
struct Driver {
    process: Child,
    /// Kept open: it may have more to say.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// On a port that it chooses, and says.
    fn start() -> (Self, u16) {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver should be installed");
        let mut said = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let port = said.find_map(|line| {
            let line = line.unwrap();
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        (Self { process, _said: said }, port.expect("chromedriver should say its port"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone, Copy)]
struct Look {
    width: u32,
    scripts: bool,
}

const DESK: Look = Look { width: 1280, scripts: true };
const PHONE: Look = Look { width: 390, scripts: true };

impl Browser {
    async fn open(look: Look) -> Self {
        let (driver, port) = Driver::start();
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

    /// The same, of a page that has to be looked at again where it has no scripts.
    async fn await_later(&self, look: Look, css: &str, wanted: &str) {
        let end = Instant::now() + TIMEOUT;
        while !look.scripts && Instant::now() < end {
            self.client.refresh().await.unwrap();
            let found = self.client.find(Locator::Css(css)).await;
            match found {
                Ok(element) if element.text().await.unwrap_or_default().contains(wanted) => break,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        self.await_text(css, wanted).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The cookie of whoever plays at patterns here.
    async fn visitor(&self) -> String {
        let cookie = self.client.get_named_cookie("hitrate_visitor").await.unwrap();
        format!("hitrate_visitor={}", cookie.value())
    }

    /// Nothing scrolls sideways, and axe finds nothing, by day and by night.
    async fn keeps_the_rules(&self, look: Look, path: &str, axe: Option<&str>) {
        let sideways =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.run("return innerWidth").await, look.width);
        assert_eq!(self.run(sideways).await, 0, "{path} at {} px", look.width);
        let Some(axe) = axe else { return };
        // Both in one script: a page that reloads in between would forget axe.
        let check = ").then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes[0].html)))";
        // By night nothing is different but the colours.
        for (scheme, rules) in [("light", ""), ("dark", "{ runOnly: ['color-contrast'] }")] {
            self.prefer(scheme).await;
            let check = [";const done = arguments[0]; axe.run(", rules, check].concat();
            let found = self.client.execute_async(&[axe, &check].concat(), vec![]).await.unwrap();
            assert_eq!(found, json!([]), "{path} at {} px, {scheme}", look.width);
        }
    }

    /// The colours from now on, and at once.
    async fn prefer(&self, scheme: &str) {
        let colours = json!({ "name": "prefers-color-scheme", "value": scheme });
        let motion = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        let media = json!({ "features": [colours, motion] });
        self.client.issue_cmd(DevTools("Emulation.setEmulatedMedia", media)).await.unwrap();
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
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
    ];
    let options = json!({
        "args": args,
        "mobileEmulation": { "deviceMetrics": { "width": look.width, "height": 844, "pixelRatio": 1.0, "mobile": false } },
    });
    [("goog:chromeOptions".to_owned(), options)].into_iter().collect()
}
