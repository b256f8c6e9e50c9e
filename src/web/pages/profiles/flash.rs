//! A notice for the visitor's next page, in a cookie that expires within seconds. In a URL,
//! the notice would also show to everyone who receives the link.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, time::Duration as CookieDuration},
};

use crate::web::page;

const COOKIE: &str = "hitrate_done";
const PATH: &str = "/profiles";
/// Longer than the slowest simulated lookup.
const LIFETIME: CookieDuration = CookieDuration::seconds(10);

/// The visitor's last action on a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flash {
    /// The profile was edited.
    Edited,
    /// Its cached copy was invalidated.
    Invalidated,
}

impl Flash {
    const ALL: [Self; 2] = [Self::Edited, Self::Invalidated];

    const fn name(self) -> &'static str {
        match self {
            Self::Edited => "edit",
            Self::Invalidated => "invalidate",
        }
    }

    /// Reads the request's cookie.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let name = page::cookie_of(request, COOKIE)?;
        Self::ALL.into_iter().find(|flash| flash.name() == name)
    }

    /// The cookie to set.
    pub fn cookie(self) -> Cookie<'static> {
        let mut cookie = page::cookie(COOKIE, self.name().to_owned(), PATH);
        cookie.set_max_age(LIFETIME);
        cookie
    }

    /// A cookie that deletes it, once the notice is shown.
    pub fn removal() -> Cookie<'static> {
        let mut cookie = page::cookie(COOKIE, String::new(), PATH);
        cookie.set_max_age(CookieDuration::ZERO);
        cookie
    }
}
