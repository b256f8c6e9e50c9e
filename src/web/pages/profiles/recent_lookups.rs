//! The visitor's last lookups, in a cookie: no storage is needed, and they are available
//! without Redis.

use actix_web::HttpRequest;
use hitrate_cache::Source;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{demo::model::UserId, schemas, web::page};

const COOKIE: &str = "hitrate_recent";
const PATH: &str = "/profiles";
/// Maximum number of lookups: eight of the longest ids fit into a cookie.
const MAX_ENTRIES: usize = 8;
/// Bytes that typical entries need.
const CAPACITY: usize = 256;

/// Maximum duration that is accepted, in microseconds: two minutes.
const ELAPSED_US_MAX: u64 = 120_000_000;

/// A previous lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecentLookup {
    /// Id of the profile.
    pub id: UserId,
    /// Source of the answer.
    #[schema(value_type = schemas::Source)]
    pub source: Source,
    /// Duration in microseconds, including simulated time.
    pub elapsed_us: u64,
}

/// Reads the visitor's cookie, newest first. Invalid entries are ignored.
pub fn of(request: &HttpRequest) -> Vec<RecentLookup> {
    let text = page::cookie_of(request, COOKIE).unwrap_or_default();
    text.split('~').take(MAX_ENTRIES).filter_map(parse).collect()
}

/// Value of `Set-Cookie` for `latest` and the lookups before it.
pub fn set_cookie(latest: &RecentLookup, before: &[RecentLookup]) -> String {
    let mut line = String::with_capacity(CAPACITY);
    line.extend([COOKIE, "="]);
    for (n, recent) in std::iter::once(latest).chain(before).take(MAX_ENTRIES).enumerate() {
        let between = if n > 0 { "~" } else { "" };
        let elapsed = recent.elapsed_us.to_string();
        line.extend([between, recent.id.as_str(), ".", recent.source.name(), ".", &elapsed]);
    }
    line.extend([page::COOKIE_ENDS, PATH]);
    line
}

fn parse(text: &str) -> Option<RecentLookup> {
    let mut parts = text.split('.');
    let (id, source, elapsed) = (parts.next()?, parts.next()?, parts.next()?);
    Some(RecentLookup {
        id: id.parse().ok()?,
        source: Source::ALL.into_iter().find(|it| it.name() == source)?,
        elapsed_us: elapsed.parse().ok().filter(|us| *us <= ELAPSED_US_MAX)?,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{cookie::Cookie, test::TestRequest};

    use super::*;

    fn recent(id: &str) -> RecentLookup {
        RecentLookup { id: id.parse().unwrap(), source: Source::Cache, elapsed_us: 412 }
    }

    #[test]
    fn a_cookie_comes_back_as_it_went_and_stays_small() {
        let before: Vec<_> = (0..20).map(|n| recent(&format!("{n}{}", "x".repeat(60)))).collect();
        let cookie = Cookie::parse(set_cookie(&recent("123"), &before)).unwrap();
        assert!(cookie.value().len() < 1024);
        let request = TestRequest::default().cookie(cookie).to_http_request();
        let read = of(&request);
        assert_eq!((read.len(), &read[0]), (MAX_ENTRIES, &recent("123")));
    }

    #[test]
    fn a_forged_cookie_is_dropped() {
        for bad in
            ["1.database.18446744073709551615", "x", "a.b.c", "1.cache.x", "<b>.cache.1", "~~~"]
        {
            let request = TestRequest::default().cookie(Cookie::new(COOKIE, bad)).to_http_request();
            assert_eq!(of(&request), [], "{bad}");
        }
    }
}
