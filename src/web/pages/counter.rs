//! `/` — the visit counter, and the panels.

use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::{
    redis::RedisError,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::counter,
    ops::stats::Sample,
    schemas,
    web::{
        filters,
        form::is_visit,
        nav::{self, Link},
        page::Page,
        pages::{panels, waterfall::Waterfall},
        state::WorkerState,
    },
};

/// The number of visits, and metrics of the cache and of Redis.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "counter.html")]
pub struct CounterPage {
    /// Visits including this one; null if this visit was not counted.
    hits: Option<u64>,
    /// `This page has been visited N times.`, or why the visit was not counted.
    message: String,
    #[serde(flatten)]
    #[schema(value_type = Sample)]
    sample: Arc<Sample>,
    /// Redis commands of this request.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
}

impl CounterPage {
    const LINK: Link = nav::COUNTER;

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    fn panels(&self) -> askama::Result<Rc<str>> {
        panels::of(&self.sample)
    }
}

/// Counts the visit. HEAD requests and prefetches are not counted.
#[utoipa::path(
    get, path = "/", operation_id = "counter",
    responses((status = 200, description = "The number of visits", body = CounterPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Page<CounterPage> {
    let trace = Trace::start();
    let (hits, message) = match is_visit(&request) {
        false => (None, "Not counted: this request is not a visit.".to_owned()),
        true => match counter::visit(&app.store, &trace).await {
            Ok(hits) => {
                app.shared.metrics.visited();
                (Some(hits), sentence(hits))
            }
            Err(error) => (None, not_counted(&error)),
        },
    };
    let sample = app.latest.get();
    Page::new(CounterPage { hits, message, sample, trace: trace.into_spans() })
}

/// The tutorial's message, with the singular for the first visit.
fn sentence(hits: u64) -> String {
    let times = if hits == 1 { " time." } else { " times." };
    ["This page has been visited ", &hits.to_string(), times].concat()
}

fn not_counted(error: &RedisError) -> String {
    let then = match error {
        RedisError::TimedOut => " It may still be counted later.",
        RedisError::ConnectionLost => " Redis may have counted it.",
        _ => "",
    };
    format!("This visit was not counted: {error}.{then}")
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn once_is_one_time() {
        assert_eq!(sentence(1), "This page has been visited 1 time.");
        assert_eq!(sentence(2), "This page has been visited 2 times.");
    }
}
