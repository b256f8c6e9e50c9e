//! What a lookup can be asked with beside the id: choices and known ids. They
//! are the same for nearly every request, so each worker renders them once.

use std::{cell::RefCell, rc::Rc};

use askama::Template;

use crate::{
    demo::model::UserId,
    web::{
        nav,
        pages::recipes::{self, Choice},
    },
};

/// What is offered, in milliseconds, beside the default.
const DELAYS: [(u32, &str); 4] = [(0, "none"), (50, "50 ms"), (500, "500 ms"), (2_000, "2 s")];
/// The most forms kept: a visitor can ask with any delay.
const KEPT: usize = 32;

/// What was chosen, and what it is without a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Simulated latency as it was asked for.
    pub delay_ms: Option<u32>,
    /// The configured one.
    pub default_ms: u64,
    /// The recipe as it was asked for.
    pub recipe: Option<&'static str>,
    /// The configured one.
    pub configured: &'static str,
}

impl Chosen {
    /// Where a profile is looked up like this.
    pub fn again(&self, id: &UserId) -> String {
        address(id, self.delay_ms, self.recipe)
    }
}

/// Where a lookup is, asked for like this.
pub(super) fn address(id: &UserId, delay_ms: Option<u32>, recipe: Option<&str>) -> String {
    let mut address = [nav::PROFILES.path, "?id=", id.as_str()].concat();
    if let Some(ms) = delay_ms {
        address += "&delay_ms=";
        address += &ms.to_string();
    }
    if let Some(recipe) = recipe {
        address += "&recipe=";
        address += recipe;
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
    static RENDERED: RefCell<Vec<(Chosen, Rc<str>)>> = const { RefCell::new(Vec::new()) };
}

/// The choices, with these made.
pub fn of(known_ids: &[UserId], chosen: &Chosen) -> askama::Result<Rc<str>> {
    RENDERED.with_borrow_mut(|rendered| {
        if let Some((_, form)) = rendered.iter().find(|(it, _)| it == chosen) {
            return Ok(Rc::clone(form));
        }
        let form: Rc<str> = Choices { known_ids, chosen }.render()?.into();
        if rendered.len() >= KEPT {
            rendered.clear();
        }
        rendered.push((*chosen, Rc::clone(&form)));
        Ok(form)
    })
}

// What the template asks for.
impl Choices<'_> {
    fn delays(&self) -> Vec<Choice> {
        let default = match self.chosen.default_ms {
            ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        };
        let chosen = self.chosen.delay_ms;
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

    fn recipes(&self) -> Vec<Choice> {
        recipes::choices(self.chosen.recipe, self.chosen.configured)
    }
}
