//! Who plays: a cookie that leads to the keys of one visitor's demos.

use actix_web::{HttpRequest, cookie::Cookie};

use crate::{labs::support::visitor_keys::VisitorId, token::Token, web::page};

const COOKIE: &str = "hitrate_visitor";

/// Who asks. For someone new there is a cookie to send along, at the latest
/// with what they stored.
pub fn of(request: &HttpRequest) -> (VisitorId, Option<Cookie<'static>>) {
    let known = request.cookie(COOKIE).and_then(|cookie| Token::parse(cookie.value()));
    match known {
        Some(token) => (VisitorId::of(&token), None),
        None => {
            let token = Token::random();
            (VisitorId::of(&token), Some(page::cookie(COOKIE, token.reveal(), "/")))
        }
    }
}
