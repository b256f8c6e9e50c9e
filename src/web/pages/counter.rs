//! `/` — a number that every visit pushes up, and the panels.

use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::{
    redis::Trouble,
    trace::{Step, Wire},
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
        state::App,
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
    #[schema(value_type = Vec<schemas::Step>)]
    transcript: Vec<Step>,
}

impl CounterPage {
    const LINK: Link = nav::COUNTER;

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.transcript)
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
pub async fn show(app: Data<App>, request: HttpRequest) -> Page<CounterPage> {
    let wire = Wire::on();
    let (hits, message) = match is_visit(&request) {
        false => (None, "Not counted: the browser only looked ahead.".to_owned()),
        true => match counter::visit(&app.store, &wire).await {
            Ok(hits) => {
                app.shared.metrics.visited();
                (Some(hits), sentence(hits))
            }
            Err(trouble) => (None, not_counted(&trouble)),
        },
    };
    let sample = app.latest.get();
    Page::new(CounterPage { hits, message, sample, transcript: wire.into_steps() })
}

/// The documents' sentence, with its grammar mended for the first visit.
fn sentence(hits: u64) -> String {
    let times = if hits == 1 { " time." } else { " times." };
    ["This page has been visited ", &hits.to_string(), times].concat()
}

fn not_counted(trouble: &Trouble) -> String {
    let then = match trouble {
        Trouble::Slow => " It may still count it later.",
        Trouble::Lost => " Redis itself may have counted it.",
        _ => "",
    };
    format!("This visit was not counted: {trouble}.{then}")
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
