//! `/stats` — the panels in full, and live.

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

/// The most events in one stream, some ten minutes of them. Then the browser
/// asks again, and one that has long left gives its place free.
const EVENTS_MAX: usize = 600;

/// How the cache is doing.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "stats.html")]
pub struct StatsPage {
    #[serde(flatten)]
    #[schema(value_type = Sample)]
    sample: Arc<Sample>,
    /// Where Redis is.
    address: String,
    /// The `redis-cli` call that reaches it.
    redis_cli: String,
}

impl StatsPage {
    const LINK: Link = nav::STATS;

    fn panels(&self) -> askama::Result<Rc<str>> {
        panels::of(&self.sample)
    }
}

/// The panels.
#[utoipa::path(
    get, path = "/stats", operation_id = "stats",
    responses((status = 200, description = "The panels", body = StatsPage))
)]
pub async fn show(app: Data<WorkerState>) -> Page<StatsPage> {
    let sample = app.latest.get();
    let address = &app.shared.address;
    Page::new(StatsPage { sample, address: address.to_string(), redis_cli: address.redis_cli() })
}

/// The panels as server-sent events, one with each sample.
#[utoipa::path(
    get, path = "/stats/live", operation_id = "live_stats",
    responses(
        (status = 200, description = "A stream of HTML fragments", content_type = "text/event-stream"),
        (status = 503, description = "Too many watch already"),
    )
)]
pub async fn live(app: Data<WorkerState>) -> Result<HttpResponse> {
    let viewer = app.shared.viewers.try_acquire().ok_or(Error::TooManyViewers)?;
    let samples = app.shared.sampler.follow();
    let events = stream::unfold((samples, viewer), next_event).take(EVENTS_MAX);
    Ok(sse::answer(events))
}

type Following = (watch::Receiver<Arc<Sample>>, ConnectionPermit);

/// Ends when sampling ends, which it does before the server stops.
async fn next_event(
    (mut samples, viewer): Following,
) -> Option<(Result<Bytes, Infallible>, Following)> {
    samples.changed().await.ok()?;
    let sample = Arc::clone(&samples.borrow_and_update());
    let panels = panels::of(&sample).ok()?;
    Some((Ok(sse::event(&panels)), (samples, viewer)))
}
