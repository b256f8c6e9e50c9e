//! Someone who listens to their streams.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpResponse, web::Bytes};
use futures_util::stream;
use tokio::time::sleep;

use super::pictures;
use crate::{
    labs::structures::Tail,
    web::{error::Result, pages::sse, state::ConnectionPermit},
};

/// How often a listener asks, and after how many times in vain it shows that it is there.
const TICK: Duration = Duration::from_millis(500);
const PULSE: u32 = 20;
/// Ten minutes; then the browser asks again, and one that has long left gives
/// its place free.
const TICKS_MAX: u32 = 1_200;

/// Someone who listens.
pub struct Listener {
    tail: Tail,
    _viewer: ConnectionPermit,
    ticks: u32,
}

impl Listener {
    /// One who has seen nothing yet.
    pub fn of(tail: Tail, viewer: ConnectionPermit) -> Self {
        Self { tail, _viewer: viewer, ticks: 0 }
    }

    /// What they hear, from now on.
    pub fn events(self) -> HttpResponse {
        sse::answer(stream::unfold(self, Self::next))
    }

    /// Waits for the next event. While Redis is away nothing comes.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        while self.ticks < TICKS_MAX {
            self.ticks += 1;
            if let Ok(Some(look)) = self.tail.poll().await {
                let drawn = pictures::drawn(&look.picture).ok()?;
                return Some((Ok(sse::event(&drawn)), self));
            }
            sleep(TICK).await;
            if self.ticks.is_multiple_of(PULSE) {
                return Some((Ok(sse::pulse()), self));
            }
        }
        None
    }
}
