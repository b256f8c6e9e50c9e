//! Options of a lookup: simulated delay and policy, and the known ids.

use std::{cell::RefCell, fmt::Display, rc::Rc};

use askama::Template;

use crate::{
    demo::model::UserId,
    labs::support::fields::{Field, text},
    web::{
        form_view::{Choice, FieldView, FormView},
        nav,
        pages::policies,
        rendered::Rendered,
    },
};

/// Delays to choose from besides the default, in milliseconds.
const DELAYS: [u32; 4] = [0, 50, 500, 2_000];

const DELAY: Field = text("delay_ms", "Simulated database delay", 32, "");
const POLICY: Field = text("policy", "Policy", 32, "");

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
    form: &'a FormView,
}

thread_local! {
    static RENDERED: RefCell<Rendered<LookupOptions>> = RefCell::default();
}

/// HTML of the options. The known ids never change, so it depends only on `options`,
/// unless the form was rejected.
pub fn html(
    known_ids: &[UserId],
    options: LookupOptions,
    form: &FormView,
) -> askama::Result<Rc<str>> {
    let render = |options: &LookupOptions| OptionsHtml { known_ids, options, form }.render();
    match form.message() {
        Some(_) => Ok(render(&options)?.into()),
        None => RENDERED.with_borrow_mut(|rendered| rendered.part(options, render)),
    }
}

// Methods for the template.
impl OptionsHtml<'_> {
    fn delay_field(&self) -> FieldView {
        let LookupOptions { delay_ms, default_ms, .. } = self.options;
        let default = default_choice(policies::delay(*default_ms));
        let choices = default.chain(policies::delays(&DELAYS, *delay_ms));
        let value = delay_ms.map_or_else(String::new, |ms| ms.to_string());
        self.form.field(&DELAY, value).with_choices(choices)
    }

    fn policy_field(&self) -> FieldView {
        let choices = default_choice(self.options.configured).chain(policies::choices());
        self.form.field(&POLICY, self.options.policy.unwrap_or_default()).with_choices(choices)
    }
}

/// The configured value, as the first option of a select.
fn default_choice(configured: impl Display) -> impl Iterator<Item = Choice> {
    std::iter::once(Choice::of("", format!("default ({configured})")))
}
