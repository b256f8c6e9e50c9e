//! Who is compared with whom, on what, and what has to come out.

use std::{fs, net::SocketAddr, path::Path};

use hitrate::demo::model::Profile;
use redis::AsyncCommands as _;
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    Result, load,
    process::{self, Server},
};

/// Who answers, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A bare actix handler that returns the same bytes.
    Alone,
    /// A bare actix handler, and one multiplexed redis-rs connection per worker.
    Limit,
    /// What is usually written: the package `benches/by_hand`.
    ByHand,
    /// Another build of hitrate.
    Before,
    /// hitrate with every protection on.
    Hitrate,
    /// The same server, asked with all the headers of a browser.
    Browser,
}

impl Who {
    /// As the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "actix alone",
            Self::Limit => "limit",
            Self::ByHand => "by hand",
            Self::Before => "hitrate before",
            Self::Hitrate => "hitrate",
            Self::Browser => "hitrate, browser",
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Requests per second: the more the better.
    Requests,
    /// CPU time per request: the less the better.
    Cpu,
}

/// A ratio that has to be reached.
pub struct Goal {
    /// Of what.
    pub figure: Figure,
    /// Whose.
    pub whose: Who,
    /// Beside whose.
    pub of: Who,
    /// At least this for requests, at most this for CPU.
    pub bound: f64,
}

impl Goal {
    const fn requests(whose: Who, of: Who, bound: f64) -> Self {
        Self { figure: Figure::Requests, whose, of, bound }
    }

    const fn cpu(whose: Who, of: Who, bound: f64) -> Self {
        Self { figure: Figure::Cpu, whose, of, bound }
    }
}

/// One page, asked for in one form.
pub struct Case {
    /// The group it is run by.
    pub name: &'static str,
    /// What is asked for.
    pub path: &'static str,
    /// In which form.
    pub accept: &'static str,
    /// Who answers it, hitrate aside.
    pub baselines: &'static [Who],
    /// What has to be reached.
    pub goals: &'static [Goal],
}

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const REDIS: &[Who] = &[Who::Limit, Who::ByHand];
const ALONE: &[Who] = &[Who::Alone];

/// Of every page that asks Redis.
const PAGE: &[Goal] = &[
    Goal::requests(Who::Hitrate, Who::ByHand, 1.0),
    Goal::requests(Who::Hitrate, Who::Limit, 0.8),
    Goal::cpu(Who::Hitrate, Who::Limit, 1.25),
    Goal::requests(Who::Browser, Who::Hitrate, 0.6),
];
/// Of what is answered out of the process's own memory.
const NEAR: &[Goal] = &[
    Goal::requests(Who::Hitrate, Who::Alone, 0.8),
    Goal::requests(Who::Browser, Who::Hitrate, 0.6),
];

/// Every page that has a goal.
#[rustfmt::skip]
pub const CASES: [Case; 5] = [
    Case { name: "home",          path: "/",                      accept: HTML, baselines: REDIS, goals: PAGE },
    Case { name: "product",       path: "/product/1",             accept: JSON, baselines: REDIS, goals: PAGE },
    Case { name: "near",          path: "/product/1?policy=near-cache", accept: JSON, baselines: ALONE, goals: NEAR },
    Case { name: "profiles",      path: "/profiles?id=123",       accept: HTML, baselines: REDIS, goals: PAGE },
    Case { name: "profiles-json", path: "/profiles?id=123",       accept: JSON, baselines: REDIS, goals: PAGE },
];

/// What Chromium says to a page beside the first lines, and a visitor's cookies.
const BROWSER: &str = "connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    upgrade-insecure-requests: 1\r\n\
    user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    sec-fetch-site: same-origin\r\n\
    sec-fetch-mode: navigate\r\n\
    sec-fetch-user: ?1\r\n\
    sec-fetch-dest: document\r\n\
    accept-encoding: gzip, deflate, br, zstd\r\n\
    accept-language: en-GB,en-US;q=0.9,en;q=0.8\r\n\
    cookie: hitrate_visitor=0123456789abcdef0123456789abcdef; \
    hitrate_recent=456.database.1830~501.cache.412\r\n";
const BROWSER_HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
    image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";

impl Case {
    /// The bytes of the request, as short as a load generator sends it or as long
    /// as a browser does.
    pub fn request(&self, who: Who, host: SocketAddr) -> Vec<u8> {
        match who {
            Who::Browser if self.accept == HTML => get(host, self.path, BROWSER_HTML, BROWSER),
            Who::Browser => get(host, self.path, self.accept, BROWSER),
            _ => get(host, self.path, self.accept, ""),
        }
    }
}

/// The bytes of a GET, with these lines at its end.
pub fn get(host: SocketAddr, path: &str, accept: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\n{lines}\r\n").into_bytes()
}

/// The visit whose page the limit repeats: no other number of it looks like this.
pub const HITS: u64 = 7_654_321;

/// The limit's own keys.
pub const LIMIT_HITS: &str = "limit:page_hits";
pub const LIMIT_PRODUCT: &str = "limit:product:1";
pub const LIMIT_PROFILE: &str = "limit:profile:123";

/// The part of hitrate's JSON that the limit needs.
#[derive(Deserialize)]
pub struct ProfileAnswer {
    /// The value that Redis holds.
    pub profile: Profile,
}

/// The servers, all running, on one Redis.
pub struct Stage {
    hitrate: Server,
    before: Option<Server>,
    alone: Server,
    limit: Server,
    by_hand: Server,
    redis: Server,
    _dir: TempDir,
}

impl Stage {
    /// Starts all of them; the two bare ones learn their pages from hitrate.
    /// `before` is another build of hitrate to compare with.
    pub async fn set(before: Option<&Path>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let redis = Server::redis(dir.path())?;
        let socket = process::socket(dir.path());
        let program = Path::new(env!("CARGO_BIN_EXE_hitrate"));
        let hitrate = Server::hitrate(program, dir.path(), &socket)?;
        let before = before.map(|program| Server::hitrate(program, dir.path(), &socket));
        let connection = redis::Client::open(socket.as_str())?;
        let mut connection = connection.get_multiplexed_async_connection().await?;
        for key in ["hitrate:page_hits", LIMIT_HITS] {
            let _: () = connection.set(key, HITS - 1).await?;
        }
        for case in CASES.iter().filter(|case| case.name != "near") {
            // The second time it is a hit; a visit is counted once.
            let times = if case.path == "/" { 1 } else { 2 };
            let request = case.request(Who::Hitrate, hitrate.address);
            let answers = load::ask(hitrate.address, &request, times).await?;
            fs::write(dir.path().join(case.name), &answers.body)?;
        }
        let product = fs::read_to_string(dir.path().join("product"))?;
        let _: () = connection.set(LIMIT_PRODUCT, product).await?;
        let page = fs::read_to_string(dir.path().join("profiles-json"))?;
        let profile = serde_json::from_str::<ProfileAnswer>(&page)?.profile;
        let _: () = connection.set(LIMIT_PROFILE, serde_json::to_string(&profile)?).await?;
        let alone = Server::bare(dir.path(), None)?;
        let limit = Server::bare(dir.path(), Some(&socket))?;
        let by_hand = Server::by_hand(&program.with_file_name("by-hand"), dir.path(), &socket)?;
        Ok(Self { hitrate, before: before.transpose()?, alone, limit, by_hand, redis, _dir: dir })
    }

    /// Who answers this case: its baselines first, hitrate and its browser last.
    pub fn contestants(&self, case: &Case) -> Vec<Who> {
        let before = self.before.as_ref().map(|_| Who::Before);
        case.baselines.iter().copied().chain(before).chain([Who::Hitrate, Who::Browser]).collect()
    }

    /// The server of a contestant.
    pub fn server(&self, who: Who) -> &Server {
        match who {
            Who::Alone => &self.alone,
            Who::Limit => &self.limit,
            Who::ByHand => &self.by_hand,
            Who::Before => self.before.as_ref().unwrap_or(&self.hitrate),
            Who::Hitrate | Who::Browser => &self.hitrate,
        }
    }

    /// The one Redis of all.
    pub fn redis(&self) -> &Server {
        &self.redis
    }

    /// Whether hitrate has this page.
    pub async fn offers(&self, case: &Case) -> Result<bool> {
        let address = self.hitrate.address;
        let request = case.request(Who::Hitrate, address);
        Ok(load::ask(address, &request, 2).await?.is_ok())
    }
}
