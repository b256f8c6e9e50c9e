//! Identifies a visitor by a cookie, which determines the keys of their demos.

use actix_web::{HttpRequest, HttpResponse, cookie::Cookie};

use crate::{labs::support::visitor_keys::VisitorId, token::Token, web::page};

const COOKIE: &str = "hitrate_visitor";

/// The visitor of a request. For a new visitor also returns a cookie, which must be sent
/// with the first response that depends on stored keys.
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

/// Adds the cookie of a new visitor to a response, which may be an error: the action may
/// have written keys before it failed.
pub fn remember(mut response: HttpResponse, cookie: Option<Cookie<'static>>) -> HttpResponse {
    if let Some(cookie) = cookie {
        response.add_cookie(&cookie).expect("a token is a valid cookie");
    }
    response
}
