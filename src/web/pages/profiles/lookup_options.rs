//! Options of a lookup: simulated delay and policy, and the known ids.

use std::{cell::RefCell, rc::Rc};

use askama::Template;

use crate::{
    demo::model::UserId,
    web::{form_view::Choice, nav, pages::policies, rendered::Rendered},
};

/// Delays to choose from besides the default, in milliseconds.
const DELAYS: [(u32, &str); 4] = [(0, "none"), (50, "50 ms"), (500, "500 ms"), (2_000, "2 s")];

/// The chosen options, and their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupOptions {
    /// Requested database latency, in milliseconds.
    pub delay_ms: Option<u32>,
    /// Configured latency.
    pub default_ms: u64,
    /// Requested policy.
    pub policy: Option<&'static str>,
    /// Configured policy.
    pub configured: &'static str,
}

impl LookupOptions {
    /// URL of a lookup with these options.
    pub fn url(&self, id: &UserId) -> String {
        lookup_url(id, self.delay_ms, self.policy)
    }
}

/// URL of a lookup.
pub(super) fn lookup_url(id: &UserId, delay_ms: Option<u32>, policy: Option<&str>) -> String {
    let mut url = [nav::PROFILES.path, "?id=", id.as_str()].concat();
    if let Some(ms) = delay_ms {
        url += "&delay_ms=";
        url += &ms.to_string();
    }
    if let Some(policy) = policy {
        url += "&policy=";
        url += policy;
    }
    url
}

#[derive(Template)]
#[template(path = "lookup_options.html")]
struct OptionsHtml<'a> {
    known_ids: &'a [UserId],
    options: &'a LookupOptions,
}

thread_local! {
    static RENDERED: RefCell<Rendered<LookupOptions>> = RefCell::default();
}

/// HTML of the options. The known ids never change, so it depends only on `options`.
pub fn html(known_ids: &[UserId], options: LookupOptions) -> askama::Result<Rc<str>> {
    RENDERED.with_borrow_mut(|rendered| {
        rendered.part(options, |options| OptionsHtml { known_ids, options }.render())
    })
}

// Methods for the template.
impl LookupOptions {
    /// The delays to choose from.
    pub fn delays(&self) -> Vec<Choice> {
        let default = match self.default_ms {
            ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        };
        let chosen = self.delay_ms;
        let first = Choice {
            value: String::new(),
            label: format!("default ({default})"),
            chosen: chosen.is_none(),
        };
        let offered = DELAYS.iter().map(|(ms, label)| (*ms, (*label).to_owned()));
        let other = chosen.filter(|ms| DELAYS.iter().all(|(offered, _)| offered != ms));
        let other = other.map(|ms| (ms, format!("{ms} ms")));
        let others = offered.chain(other).map(|(ms, label)| Choice {
            value: ms.to_string(),
            label,
            chosen: chosen == Some(ms),
        });
        std::iter::once(first).chain(others).collect()
    }

    /// The policies to choose from.
    pub fn policies(&self) -> Vec<Choice> {
        policies::choices(self.policy, self.configured)
    }
}
