//! A live connection that follows the visitor's streams.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpResponse, web::Bytes};
use futures_util::stream;
use tokio::time::sleep;

use super::pictures;
use crate::{
    labs::structures::Tail,
    web::{error::Result, pages::sse, state::ConnectionPermit},
};

/// Interval between polls of the streams.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Number of polls without a change after which a comment is sent.
const POLLS_PER_KEEP_ALIVE: u32 = 20;
/// Maximum number of polls, about ten minutes. Then the browser reconnects; the permit of a
/// client that has silently left is released.
const POLLS_MAX: u32 = 1_200;

/// A live connection that follows the visitor's streams.
pub struct StreamFollower {
    tail: Tail,
    polls: u32,
    _permit: ConnectionPermit,
}

impl StreamFollower {
    /// Starts with the current content.
    pub fn new(tail: Tail, permit: ConnectionPermit) -> Self {
        Self { tail, polls: 0, _permit: permit }
    }

    /// Streams an event for each change.
    pub fn response(self) -> HttpResponse {
        sse::response(stream::unfold(self, Self::next_event))
    }

    /// Waits for the next event. While Redis is unavailable there is none.
    async fn next_event(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        while self.polls < POLLS_MAX {
            self.polls += 1;
            if let Ok(Some(view)) = self.tail.poll().await {
                let picture = pictures::html(&view.picture).ok()?;
                return Some((Ok(sse::event(&picture)), self));
            }
            sleep(POLL_INTERVAL).await;
            if self.polls.is_multiple_of(POLLS_PER_KEEP_ALIVE) {
                return Some((Ok(sse::keep_alive()), self));
            }
        }
        None
    }
}
