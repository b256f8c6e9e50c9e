//! `/patterns/publish-subscribe/live` — what a subscriber hears, as it hears it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, Data},
};
use askama::Template;
use futures_util::stream;
use hitrate_cache::{
    redis::{Address, Subscription},
    trace::shortened,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    labs::patterns,
    ops::stats::Sample,
    web::{
        error::{Error, Result},
        pages::{sse::event, visitor},
        state::{ConnectionPermit, WorkerState},
    },
};

/// Messages that are shown.
const SHOWN: usize = 10;
/// Characters of one.
const WORD: usize = 120;
/// Then the browser asks again, and one that has long left gives its place free.
const MAX_DURATION: Duration = Duration::from_secs(10 * 60);
/// Between attempts to listen, while Redis can't be asked.
const REST: Duration = Duration::from_millis(500);

/// The last messages.
#[derive(Template)]
#[template(path = "pubsub_live.html")]
struct Heard<'a> {
    heard: u64,
    last: &'a VecDeque<String>,
    is_listening: bool,
}

/// The visitor's channel as server-sent events, from now on.
#[utoipa::path(
    get, path = "/patterns/publish-subscribe/live", operation_id = "live_channel",
    responses(
        (status = 200, description = "A stream of HTML fragments", content_type = "text/event-stream"),
        (status = 503, description = "Too many listen already"),
    )
)]
pub async fn live(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let place = app.shared.listeners.try_acquire().ok_or(Error::TooManyViewers)?;
    let (visitor, _) = visitor::of(&request);
    let channel = app.store.full_key(&patterns::channel(&visitor.keys("publish-subscribe")));
    let listener = Listener {
        address: app.shared.address.clone(),
        channel,
        subscription: None,
        is_told_away: false,
        running: app.shared.sampler.follow(),
        until: Instant::now() + MAX_DURATION,
        heard: 0,
        last: VecDeque::new(),
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compression would hold events back.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(stream::unfold(listener, Listener::next)))
}

/// One who listens.
struct Listener {
    address: Address,
    channel: String,
    /// None while Redis can't be asked.
    subscription: Option<Subscription>,
    /// Whether the visitor knows that.
    is_told_away: bool,
    /// Ends when the server stops.
    running: watch::Receiver<Arc<Sample>>,
    until: Instant,
    heard: u64,
    last: VecDeque<String>,
    _place: ConnectionPermit,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let (mut running, until) = (self.running.clone(), self.until);
        tokio::select! {
            () = self.news() => (),
            () = sleep_until(until) => return None,
            () = async { while running.changed().await.is_ok() {} } => return None,
        }
        let is_listening = self.subscription.is_some();
        let shown = Heard { heard: self.heard, last: &self.last, is_listening }.render().ok()?;
        Some((Ok(event(&shown)), self))
    }

    /// Waits until there is something to show: that it listens, that it does
    /// not any more, or a message.
    async fn news(&mut self) {
        let Some(subscription) = &mut self.subscription else { return self.listen().await };
        match subscription.next().await {
            Some(message) => {
                self.heard += 1;
                self.last.push_front(shortened(&message, WORD));
                self.last.truncate(SHOWN);
            }
            None => (self.subscription, self.is_told_away) = (None, true),
        }
    }

    async fn listen(&mut self) {
        loop {
            match Subscription::open(&self.address, &self.channel).await {
                Ok(subscription) => {
                    (self.subscription, self.is_told_away) = (Some(subscription), false);
                    return;
                }
                Err(_) if !self.is_told_away => return self.is_told_away = true,
                Err(_) => sleep(REST).await,
            }
        }
    }
}
