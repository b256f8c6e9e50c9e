//! `/` — a number that every visit pushes up, and the panels.

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
        form::is_visit,
        nav::{self, Link},
        page::Page,
        pages::{panels, waterfall::Waterfall},
        state::WorkerState,
    },
};

/// How often this page was visited, and how the cache is doing.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "counter.html")]
pub struct CounterPage {
    /// This visit's number; null when it was not counted.
    hits: Option<u64>,
    /// The documents' sentence, or why the visit was not counted.
    message: String,
    #[serde(flatten)]
    #[schema(value_type = Sample)]
    sample: Arc<Sample>,
    /// What was said to Redis.
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

/// Counts the visit, unless it is none.
#[utoipa::path(
    get, path = "/", operation_id = "counter",
    responses((status = 200, description = "One more visit", body = CounterPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Page<CounterPage> {
    let trace = Trace::start();
    let (hits, message) = match is_visit(&request) {
        false => (None, "Not counted: the browser only looked ahead.".to_owned()),
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

/// The documents' sentence, with its grammar mended for the first visit.
fn sentence(hits: u64) -> String {
    let times = if hits == 1 { " time." } else { " times." };
    ["This page has been visited ", &hits.to_string(), times].concat()
}

fn not_counted(error: &RedisError) -> String {
    let then = match error {
        RedisError::TimedOut => " It may still count it later.",
        RedisError::ConnectionLost => " Redis itself may have counted it.",
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
