//! The panels as text. They change with each sample and not with each request.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use askama::Template;

use crate::ops::stats::Sample;

#[derive(Template)]
#[template(path = "panels.html")]
struct Panels<'a> {
    sample: &'a Sample,
}

/// A sample, and the panels that show it.
type Shown = (Arc<Sample>, Rc<str>);

thread_local! {
    /// The latest of this worker. Holding the sample keeps another from its address.
    static LATEST: RefCell<Option<Shown>> = const { RefCell::new(None) };
}

/// The panels of this sample, rendered by the first request that shows them.
pub fn of(sample: &Arc<Sample>) -> askama::Result<Rc<str>> {
    LATEST.with_borrow_mut(|latest| match latest {
        Some((shown, panels)) if Arc::ptr_eq(shown, sample) => Ok(Rc::clone(panels)),
        _ => {
            let panels: Rc<str> = Panels { sample }.render()?.into();
            *latest = Some((Arc::clone(sample), Rc::clone(&panels)));
            Ok(panels)
        }
    })
}
