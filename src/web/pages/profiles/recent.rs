//! The last lookups of one visitor, kept in a cookie: nothing to store, and
//! there when Redis is not.

use actix_web::HttpRequest;
use hitrate_cache::Source;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{demo::model::UserId, schemas, web::page};

const COOKIE: &str = "hitrate_recent";
const PATH: &str = "/profiles";
/// The most lookups remembered: eight of the longest ids fit a cookie.
const MAX_ENTRIES: usize = 8;
/// What as many usual ones take, in bytes.
const ROOM: usize = 256;

/// No lookup takes longer, in microseconds: two minutes.
const ELAPSED_MAX: u64 = 120_000_000;

/// One lookup as the cookie has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recent {
    /// Whose profile.
    pub id: UserId,
    /// Who answered.
    #[schema(value_type = schemas::Source)]
    pub source: Source,
    /// Microseconds from question to answer.
    pub elapsed_us: u64,
}

/// What the visitor's cookie says, newest first. Anything else in it is dropped.
pub fn of(request: &HttpRequest) -> Vec<Recent> {
    let text = page::cookie_of(request, COOKIE).unwrap_or_default();
    text.split('~').take(MAX_ENTRIES).filter_map(parse).collect()
}

/// The line of `Set-Cookie` for `latest` and what came before it.
pub fn remember(latest: &Recent, before: &[Recent]) -> String {
    let mut line = String::with_capacity(ROOM);
    line.extend([COOKIE, "="]);
    for (n, recent) in std::iter::once(latest).chain(before).take(MAX_ENTRIES).enumerate() {
        let between = if n > 0 { "~" } else { "" };
        let elapsed = recent.elapsed_us.to_string();
        line.extend([between, recent.id.as_str(), ".", recent.source.name(), ".", &elapsed]);
    }
    line.extend([page::COOKIE_ENDS, PATH]);
    line
}

fn parse(text: &str) -> Option<Recent> {
    let mut parts = text.split('.');
    let (id, source, elapsed) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Recent {
        id: id.parse().ok()?,
        source: Source::ALL.into_iter().find(|it| it.name() == source)?,
        elapsed_us: elapsed.parse().ok().filter(|us| *us <= ELAPSED_MAX)?,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{cookie::Cookie, test::TestRequest};

    use super::*;

    fn recent(id: &str) -> Recent {
        Recent { id: id.parse().unwrap(), source: Source::Cache, elapsed_us: 412 }
    }

    #[test]
    fn a_cookie_comes_back_as_it_went_and_stays_small() {
        let before: Vec<_> = (0..20).map(|n| recent(&format!("{n}{}", "x".repeat(60)))).collect();
        let cookie = Cookie::parse(remember(&recent("123"), &before)).unwrap();
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
