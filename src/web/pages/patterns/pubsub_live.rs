//! `/patterns/publish-subscribe/live` — messages of the visitor's channel, streamed live.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
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
        filters,
        pages::{sse, visitor},
        state::{ConnectionPermit, WorkerState},
    },
};

/// Maximum number of messages shown.
const MESSAGES_MAX: usize = 10;
/// Maximum characters shown of a message.
const MESSAGE_CHARS_MAX: usize = 120;
/// Maximum duration of a stream. Then the browser reconnects; the permit of a client that
/// has silently left is released.
const MAX_DURATION: Duration = Duration::from_secs(10 * 60);
/// Pause between attempts to subscribe while Redis is unavailable.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The last messages, as HTML.
#[derive(Template)]
#[template(path = "pubsub_live.html")]
struct Messages<'a> {
    received: u64,
    last: &'a VecDeque<String>,
    is_subscribed: bool,
}

/// Streams messages of the visitor's channel as server-sent events.
#[utoipa::path(
    get, path = "/patterns/publish-subscribe/live", operation_id = "live_channel",
    responses(
        (status = 200, description = "Server-sent events, each an HTML fragment", content_type = "text/event-stream"),
        (status = 503, description = "Too many live connections"),
    )
)]
pub async fn live(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let permit = app.shared.listeners.try_acquire().ok_or(Error::TooManyViewers)?;
    let (visitor, _) = visitor::of(&request);
    let channel = app.store.full_key(&patterns::channel(&visitor.keys("publish-subscribe")));
    let subscriber = LiveSubscriber {
        address: app.shared.address.clone(),
        channel,
        subscription: None,
        is_outage_sent: false,
        running: app.shared.sampler.follow(),
        until: Instant::now() + MAX_DURATION,
        received: 0,
        last: VecDeque::new(),
        _permit: permit,
    };
    Ok(sse::response(stream::unfold(subscriber, LiveSubscriber::next_event)))
}

/// A live connection that is subscribed to the visitor's channel.
struct LiveSubscriber {
    address: Address,
    channel: String,
    /// `None` while Redis is unavailable.
    subscription: Option<Subscription>,
    /// Whether the client was informed of that.
    is_outage_sent: bool,
    /// Ends when the server stops.
    running: watch::Receiver<Arc<Sample>>,
    until: Instant,
    received: u64,
    last: VecDeque<String>,
    _permit: ConnectionPermit,
}

impl LiveSubscriber {
    async fn next_event(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let (mut running, until) = (self.running.clone(), self.until);
        tokio::select! {
            () = self.changed() => (),
            () = sleep_until(until) => return None,
            () = async { while running.changed().await.is_ok() {} } => return None,
        }
        let is_subscribed = self.subscription.is_some();
        let messages = Messages { received: self.received, last: &self.last, is_subscribed };
        Some((Ok(sse::event(&messages.render().ok()?)), self))
    }

    /// Waits for a message, a subscription or the loss of it.
    async fn changed(&mut self) {
        let Some(subscription) = &mut self.subscription else { return self.subscribe().await };
        match subscription.next().await {
            Some(message) => {
                self.received += 1;
                self.last.push_front(shortened(&message, MESSAGE_CHARS_MAX));
                self.last.truncate(MESSAGES_MAX);
            }
            None => (self.subscription, self.is_outage_sent) = (None, true),
        }
    }

    async fn subscribe(&mut self) {
        loop {
            match Subscription::open(&self.address, &self.channel).await {
                Ok(subscription) => {
                    (self.subscription, self.is_outage_sent) = (Some(subscription), false);
                    return;
                }
                Err(_) if !self.is_outage_sent => return self.is_outage_sent = true,
                Err(_) => sleep(RETRY_DELAY).await,
            }
        }
    }
}
