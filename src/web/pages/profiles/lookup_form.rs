//! What a lookup can be asked with beside the id: choices and known ids.

use std::{cell::RefCell, rc::Rc};

use askama::Template;

use crate::{
    demo::model::UserId,
    web::{form_view::Choice, nav, pages::policies, rendered::Rendered},
};

/// What is offered, in milliseconds, beside the default.
const DELAYS: [(u32, &str); 4] = [(0, "none"), (50, "50 ms"), (500, "500 ms"), (2_000, "2 s")];

/// What was chosen, and what it is without a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Simulated latency as it was asked for.
    pub delay_ms: Option<u32>,
    /// The configured one.
    pub default_ms: u64,
    /// The policy as it was asked for.
    pub policy: Option<&'static str>,
    /// The configured one.
    pub configured: &'static str,
}

impl Chosen {
    /// Where a profile is looked up like this.
    pub fn again(&self, id: &UserId) -> String {
        address(id, self.delay_ms, self.policy)
    }
}

/// Where a lookup is, asked for like this.
pub(super) fn address(id: &UserId, delay_ms: Option<u32>, policy: Option<&str>) -> String {
    let mut address = [nav::PROFILES.path, "?id=", id.as_str()].concat();
    if let Some(ms) = delay_ms {
        address += "&delay_ms=";
        address += &ms.to_string();
    }
    if let Some(policy) = policy {
        address += "&policy=";
        address += policy;
    }
    address
}

#[derive(Template)]
#[template(path = "lookup_form.html")]
struct Choices<'a> {
    known_ids: &'a [UserId],
    chosen: &'a Chosen,
}

thread_local! {
    static FORMS: RefCell<Rendered<Chosen>> = RefCell::default();
}

/// The choices, with these made. The known ids never change.
pub fn of(known_ids: &[UserId], chosen: Chosen) -> askama::Result<Rc<str>> {
    FORMS.with_borrow_mut(|forms| {
        forms.part(chosen, |chosen| Choices { known_ids, chosen }.render())
    })
}

// What the template asks for.
impl Chosen {
    /// The delays to choose from.
    pub fn delays(&self) -> Vec<Choice> {
        let default = match self.default_ms {
            ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        };
        let chosen = self.delay_ms;
        let first = Choice {
            value: String::new(),
            label: format!("as set ({default})"),
            chosen: chosen.is_none(),
        };
        let offered = DELAYS.iter().map(|(ms, label)| (*ms, (*label).to_owned()));
        let odd = chosen.filter(|ms| DELAYS.iter().all(|(offered, _)| offered != ms));
        let odd = odd.map(|ms| (ms, format!("{ms} ms")));
        let others = offered.chain(odd).map(|(ms, label)| Choice {
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
