//! Who is compared with whom, on what.

use std::{fs, net::SocketAddr, path::Path};

use hitrate::demo::model::Profile;
use redis::AsyncCommands as _;
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    Result, load,
    process::{self, Server},
};

/// One page, asked for in one way.
pub struct Case {
    /// The group it is run by.
    pub name: &'static str,
    /// What is asked for.
    pub path: &'static str,
    /// In which form.
    pub accept: &'static str,
    /// What has to be reached, in words.
    pub goal: &'static str,
}

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const AS_BARE: &str = "requests at least 0.95, CPU at most 1.1 of actix with Redis";
const NEAR: &str = "requests at least 0.8 of actix alone";

/// Every page that has a goal.
#[rustfmt::skip]
pub const CASES: [Case; 5] = [
    Case { name: "home",          path: "/",                      accept: HTML, goal: AS_BARE },
    Case { name: "product",       path: "/product/1",             accept: JSON, goal: AS_BARE },
    Case { name: "near",          path: "/product/1?policy=near-cache", accept: JSON, goal: NEAR },
    Case { name: "profiles",      path: "/profiles?id=123",       accept: HTML, goal: AS_BARE },
    Case { name: "profiles-json", path: "/profiles?id=123",       accept: JSON, goal: AS_BARE },
];

impl Case {
    /// The bytes of the request.
    pub fn request(&self, host: SocketAddr) -> Vec<u8> {
        get(host, self.path, self.accept)
    }
}

/// The bytes of a GET, as short as a load generator sends it.
pub fn get(host: SocketAddr, path: &str, accept: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\n\r\n").into_bytes()
}

/// The visit whose page the baselines repeat: no other number of it looks like this.
pub const HITS: u64 = 7_654_321;

/// The baselines' own keys.
pub const BARE_HITS: &str = "bare:page_hits";
pub const BARE_PRODUCT: &str = "bare:product:1";
pub const BARE_PROFILE: &str = "bare:profile:123";

/// Another build of hitrate; the one to be measured comes after it.
pub const BEFORE: &str = "hitrate before";

/// The part of hitrate's JSON that the baselines need.
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
    with_redis: Server,
    redis: Server,
    _dir: TempDir,
}

impl Stage {
    /// Starts all of them; the baselines learn their pages from hitrate.
    /// `before` is another build of hitrate to compare with.
    pub async fn set(before: Option<&Path>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let redis = Server::redis(dir.path())?;
        let socket = process::socket(dir.path());
        let hitrate =
            Server::hitrate(Path::new(env!("CARGO_BIN_EXE_hitrate")), dir.path(), &socket)?;
        let before = before.map(|program| Server::hitrate(program, dir.path(), &socket));
        let connection = redis::Client::open(socket.as_str())?;
        let mut connection = connection.get_multiplexed_async_connection().await?;
        for key in ["hitrate:page_hits", BARE_HITS] {
            let _: () = connection.set(key, HITS - 1).await?;
        }
        for case in CASES.iter().filter(|case| case.name != "near") {
            // The second time it is a hit; a visit is counted once.
            let times = if case.path == "/" { 1 } else { 2 };
            let answers = load::ask(hitrate.address, &case.request(hitrate.address), times).await?;
            fs::write(dir.path().join(case.name), &answers.body)?;
        }
        let product = fs::read_to_string(dir.path().join("product"))?;
        let _: () = connection.set(BARE_PRODUCT, product).await?;
        let page = fs::read_to_string(dir.path().join("profiles-json"))?;
        let profile = serde_json::from_str::<ProfileAnswer>(&page)?.profile;
        let _: () = connection.set(BARE_PROFILE, serde_json::to_string(&profile)?).await?;
        let alone = Server::bare(dir.path(), None)?;
        let with_redis = Server::bare(dir.path(), Some(&socket))?;
        Ok(Self { hitrate, before: before.transpose()?, alone, with_redis, redis, _dir: dir })
    }

    /// The servers to compare, the one to be measured against second.
    pub fn contestants(&self) -> Vec<(&'static str, &Server)> {
        let mut all = vec![("actix alone", &self.alone), ("actix with Redis", &self.with_redis)];
        all.extend(self.before.as_ref().map(|before| (BEFORE, before)));
        all.push(("hitrate", &self.hitrate));
        all
    }

    /// hitrate itself.
    pub fn hitrate(&self) -> &Server {
        &self.hitrate
    }

    /// The one Redis of all.
    pub fn redis(&self) -> &Server {
        &self.redis
    }

    /// Whether hitrate has this page.
    pub async fn offers(&self, case: &Case) -> Result<bool> {
        let address = self.hitrate.address;
        Ok(load::ask(address, &case.request(address), 2).await?.is_ok())
    }
}
