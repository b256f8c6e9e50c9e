//! HTML of the panels, rendered once per sample rather than per request.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use askama::Template;

use crate::{ops::stats::Sample, web::filters};

#[derive(Template)]
#[template(path = "panels.html")]
struct Panels<'a> {
    sample: &'a Sample,
}

/// A sample and its rendered panels.
type RenderedSample = (Arc<Sample>, Rc<str>);

thread_local! {
    /// The latest panels of this worker. The `Arc` is kept, so that no later sample
    /// can have its address.
    static LATEST: RefCell<Option<RenderedSample>> = const { RefCell::new(None) };
}

/// HTML of the panels for this sample.
pub fn of(sample: &Arc<Sample>) -> askama::Result<Rc<str>> {
    LATEST.with_borrow_mut(|latest| match latest {
        Some((last, panels)) if Arc::ptr_eq(last, sample) => Ok(Rc::clone(panels)),
        _ => {
            let panels: Rc<str> = Panels { sample }.render()?.into();
            *latest = Some((Arc::clone(sample), Rc::clone(&panels)));
            Ok(panels)
        }
    })
}
