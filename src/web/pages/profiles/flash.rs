//! What a visitor just did, told to their next page by a cookie that lasts for
//! seconds: an address would tell it to everyone it is sent to.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, time::Duration as CookieDuration},
};

use crate::web::page;

const COOKIE: &str = "hitrate_done";
const PATH: &str = "/profiles";
/// As long as the slowest simulated lookup, and a little more.
const LASTS: CookieDuration = CookieDuration::seconds(10);

/// What a visitor just did to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flash {
    /// Changed it.
    Edit,
    /// Dropped it from the cache.
    Invalidate,
}

impl Flash {
    const ALL: [Self; 2] = [Self::Edit, Self::Invalidate];

    const fn word(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Invalidate => "invalidate",
        }
    }

    /// What the request's cookie says.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let word = page::cookie_of(request, COOKIE)?;
        Self::ALL.into_iter().find(|done| done.word() == word)
    }

    /// The cookie that says it.
    pub fn cookie(self) -> Cookie<'static> {
        let mut cookie = page::cookie(COOKIE, self.word().to_owned(), PATH);
        cookie.set_max_age(LASTS);
        cookie
    }

    /// The cookie that takes it back, once it was told.
    pub fn told() -> Cookie<'static> {
        let mut cookie = page::cookie(COOKIE, String::new(), PATH);
        cookie.set_max_age(CookieDuration::ZERO);
        cookie
    }
}
