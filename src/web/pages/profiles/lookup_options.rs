//! Options of a lookup: simulated delay and policy, and the known ids.

use std::{cell::RefCell, fmt::Display, rc::Rc};

use askama::Template;

use crate::{
    demo::model::UserId,
    web::{form_view::Choice, nav, pages::policies, rendered::Rendered},
};

/// Delays to choose from besides the default, in milliseconds.
const DELAYS: [u32; 4] = [0, 50, 500, 2_000];

/// The chosen options, and their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupOptions {
    /// Requested database latency, in milliseconds.
    pub delay_ms: Option<u32>,
    /// Configured latency, in milliseconds.
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
    pub fn delays(&self) -> impl Iterator<Item = Choice> {
        let default = default_choice(policies::delay(self.default_ms), self.delay_ms.is_none());
        default.chain(policies::delays(&DELAYS, self.delay_ms))
    }

    /// The policies to choose from.
    pub fn policies(&self) -> impl Iterator<Item = Choice> {
        let default = default_choice(self.configured, self.policy.is_none());
        default.chain(policies::choices(self.policy))
    }
}

/// The configured value, as the first option of a select.
fn default_choice(configured: impl Display, chosen: bool) -> impl Iterator<Item = Choice> {
    std::iter::once(Choice::of("", format!("default ({configured})"), chosen))
}
