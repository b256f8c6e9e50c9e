//! The contestants, the pages on which they are compared, and the target ratios.

use std::{fs, net::SocketAddr, path::Path};

use hitrate::demo::model::Profile;
use redis::AsyncCommands as _;
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    Result, load,
    process::{self, Server},
};

/// A server, and the kind of request that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// A bare actix handler that returns the same bytes.
    Alone,
    /// A bare actix handler with one multiplexed redis-rs connection per worker.
    Limit,
    /// A typical implementation without protections: the package `benches/by_hand`.
    ByHand,
    /// Another build of hitrate, for comparison.
    Before,
    /// hitrate with every protection on.
    Hitrate,
    /// hitrate, for requests with all headers of a browser.
    Browser,
}

impl Contestant {
    /// The name in the tables.
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

/// The measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Requests per second; more is better.
    Requests,
    /// CPU time per request; less is better.
    Cpu,
}

/// A target for the ratio of two contestants.
pub struct Goal {
    /// The measured quantity.
    pub figure: Figure,
    /// The contestant that is judged.
    pub contestant: Contestant,
    /// The contestant that it is compared with.
    pub base: Contestant,
    /// Minimum ratio for requests, maximum ratio for CPU.
    pub bound: f64,
}

impl Goal {
    const fn requests(contestant: Contestant, base: Contestant, bound: f64) -> Self {
        Self { figure: Figure::Requests, contestant, base, bound }
    }

    const fn cpu(contestant: Contestant, base: Contestant, bound: f64) -> Self {
        Self { figure: Figure::Cpu, contestant, base, bound }
    }
}

/// One page in one format.
pub struct Case {
    /// The name of the group on the command line.
    pub name: &'static str,
    /// Path and query.
    pub path: &'static str,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The contestants besides hitrate.
    pub baselines: &'static [Contestant],
    /// Target ratios.
    pub goals: &'static [Goal],
}

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const REDIS: &[Contestant] = &[Contestant::Limit, Contestant::ByHand];
const ALONE: &[Contestant] = &[Contestant::Alone];

/// Goals of every page that reads Redis.
const PAGE: &[Goal] = &[
    Goal::requests(Contestant::Hitrate, Contestant::ByHand, 1.0),
    Goal::requests(Contestant::Hitrate, Contestant::Limit, 0.8),
    Goal::cpu(Contestant::Hitrate, Contestant::Limit, 1.25),
    Goal::requests(Contestant::Browser, Contestant::Hitrate, 0.6),
];
/// Goals of a page served from the near cache.
const NEAR: &[Goal] = &[
    Goal::requests(Contestant::Hitrate, Contestant::Alone, 0.8),
    Goal::requests(Contestant::Browser, Contestant::Hitrate, 0.6),
];

/// Every page that is measured.
#[rustfmt::skip]
pub const CASES: [Case; 5] = [
    Case { name: "home",          path: "/",                      accept: HTML, baselines: REDIS, goals: PAGE },
    Case { name: "product",       path: "/product/1",             accept: JSON, baselines: REDIS, goals: PAGE },
    Case { name: "near",          path: "/product/1?policy=near-cache", accept: JSON, baselines: ALONE, goals: NEAR },
    Case { name: "profiles",      path: "/profiles?id=123",       accept: HTML, baselines: REDIS, goals: PAGE },
    Case { name: "profiles-json", path: "/profiles?id=123",       accept: JSON, baselines: REDIS, goals: PAGE },
];

/// Headers that Chromium sends besides `Host` and `Accept`, and a visitor's cookies.
const BROWSER_HEADERS: &str = "connection: keep-alive\r\n\
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
const BROWSER_ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
    image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";

impl Case {
    /// The bytes of the request: minimal, or with all headers of a browser.
    pub fn request(&self, contestant: Contestant, host: SocketAddr) -> Vec<u8> {
        match contestant {
            Contestant::Browser if self.accept == HTML => {
                get(host, self.path, BROWSER_ACCEPT, BROWSER_HEADERS)
            }
            Contestant::Browser => get(host, self.path, self.accept, BROWSER_HEADERS),
            _ => get(host, self.path, self.accept, ""),
        }
    }
}

/// The bytes of a GET request that ends with these header lines.
pub fn get(host: SocketAddr, path: &str, accept: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\n{headers}\r\n").into_bytes()
}

/// The number of the visit whose page the limit serves. No other number on the page
/// equals it.
pub const HITS: u64 = 7_654_321;

/// Key of the limit's counter.
pub const LIMIT_HITS: &str = "limit:page_hits";
/// Key of the limit's product.
pub const LIMIT_PRODUCT: &str = "limit:product:1";
/// Key of the limit's profile.
pub const LIMIT_PROFILE: &str = "limit:profile:123";

/// The part of hitrate's JSON that the limit needs.
#[derive(Deserialize)]
pub struct ProfileAnswer {
    /// The value as stored in Redis.
    pub profile: Profile,
}

/// The running servers, which share one Redis.
pub struct Bench {
    hitrate: Server,
    before: Option<Server>,
    alone: Server,
    limit: Server,
    by_hand: Server,
    redis: Server,
    _dir: TempDir,
}

impl Bench {
    /// Starts all servers. The two bare ones serve pages recorded from hitrate.
    /// `before` is the program of another build of hitrate.
    pub async fn start(before: Option<&Path>) -> Result<Self> {
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
            // The second lookup is a hit. The counter must advance only once.
            let times = if case.path == "/" { 1 } else { 2 };
            let request = case.request(Contestant::Hitrate, hitrate.address);
            let answers = load::repeat(hitrate.address, &request, times).await?;
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

    /// The contestants of this case: the baselines first, hitrate last.
    pub fn contestants(&self, case: &Case) -> Vec<Contestant> {
        let before = self.before.as_ref().map(|_| Contestant::Before);
        case.baselines
            .iter()
            .copied()
            .chain(before)
            .chain([Contestant::Hitrate, Contestant::Browser])
            .collect()
    }

    /// The server of a contestant.
    pub fn server(&self, contestant: Contestant) -> &Server {
        match contestant {
            Contestant::Alone => &self.alone,
            Contestant::Limit => &self.limit,
            Contestant::ByHand => &self.by_hand,
            Contestant::Before => self.before.as_ref().unwrap_or(&self.hitrate),
            Contestant::Hitrate | Contestant::Browser => &self.hitrate,
        }
    }

    /// The shared Redis server.
    pub fn redis(&self) -> &Server {
        &self.redis
    }

    /// Whether this build of hitrate serves the page.
    pub async fn offers(&self, case: &Case) -> Result<bool> {
        let address = self.hitrate.address;
        let request = case.request(Contestant::Hitrate, address);
        Ok(load::repeat(address, &request, 2).await?.is_ok())
    }
}
