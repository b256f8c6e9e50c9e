//! `/stats` — the panels, updated live.

use std::{convert::Infallible, rc::Rc, sync::Arc};

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use askama::Template;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::{
    ops::stats::Sample,
    web::{
        error::{Error, Result},
        nav::{self, Link},
        page::Page,
        pages::{panels, sse},
        state::{ConnectionPermit, WorkerState},
    },
};

/// Maximum number of events per stream, about ten minutes. Then the browser reconnects;
/// the permit of a client that has silently left is released.
const EVENTS_MAX: usize = 600;

/// Metrics of the cache and of Redis, and the address of Redis.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "stats.html")]
pub struct StatsPage {
    #[serde(flatten)]
    #[schema(value_type = Sample)]
    sample: Arc<Sample>,
    /// Address of Redis, without credentials.
    address: String,
    /// The `redis-cli` command that connects to it.
    redis_cli: String,
}

impl StatsPage {
    const LINK: Link = nav::STATS;

    fn panels(&self) -> askama::Result<Rc<str>> {
        panels::of(&self.sample)
    }
}

/// Returns metrics of the cache and of Redis.
#[utoipa::path(
    get, path = "/stats", operation_id = "stats",
    responses((status = 200, description = "The latest metrics", body = StatsPage))
)]
pub async fn show(app: Data<WorkerState>) -> Page<StatsPage> {
    let sample = app.latest.get();
    let address = &app.shared.address;
    Page::new(StatsPage { sample, address: address.to_string(), redis_cli: address.redis_cli() })
}

/// Streams the panels as server-sent events, one per sample.
#[utoipa::path(
    get, path = "/stats/live", operation_id = "live_stats",
    responses(
        (status = 200, description = "Server-sent events, each an HTML fragment", content_type = "text/event-stream"),
        (status = 503, description = "Too many live connections"),
    )
)]
pub async fn live(app: Data<WorkerState>) -> Result<HttpResponse> {
    let viewer = app.shared.viewers.try_acquire().ok_or(Error::TooManyViewers)?;
    let samples = app.shared.sampler.follow();
    let events = stream::unfold((samples, viewer), next_event).take(EVENTS_MAX);
    Ok(sse::response(events))
}

type StreamState = (watch::Receiver<Arc<Sample>>, ConnectionPermit);

/// The next event. `None` when sampling ends, which is before the server stops.
async fn next_event(
    (mut samples, viewer): StreamState,
) -> Option<(Result<Bytes, Infallible>, StreamState)> {
    samples.changed().await.ok()?;
    let sample = Arc::clone(&samples.borrow_and_update());
    let panels = panels::of(&sample).ok()?;
    Some((Ok(sse::event(&panels)), (samples, viewer)))
}
