//! Template filters that format numbers, durations and sizes: `{{ elapsed_us|duration }}`.
//!
//! Askama expects them in the scope of a template's struct, as a module named `filters`.

use askama::{Result, Values};

use crate::format;

/// A filter's input: a number, an optional number, or a reference to one. `None` is shown
/// as a dash.
pub trait Figure {
    /// The number.
    fn get(&self) -> Option<u64>;
}

impl Figure for u64 {
    fn get(&self) -> Option<u64> {
        Some(*self)
    }
}

impl Figure for Option<u64> {
    fn get(&self) -> Option<u64> {
        *self
    }
}

impl<F: Figure> Figure for &F {
    fn get(&self) -> Option<u64> {
        F::get(self)
    }
}

/// Microseconds as `412 µs` or `1.25 ms`.
#[askama::filter_fn]
pub fn duration<F: Figure>(us: F, _: &dyn Values) -> Result<String> {
    Ok(format::time_if(&us.get()))
}

/// Seconds as `58 s` or `3 min 20 s`.
#[askama::filter_fn]
pub fn seconds<F: Figure>(seconds: F, _: &dyn Values) -> Result<String> {
    Ok(or_dash(&seconds, format::span))
}

/// An integer as `1,234,567`.
#[askama::filter_fn]
pub fn number<F: Figure>(value: F, _: &dyn Values) -> Result<String> {
    Ok(or_dash(&value, format::number))
}

/// A number and its noun: `1 hit`, `2 hits`.
#[askama::filter_fn]
pub fn counted<F: Figure>(count: F, _: &dyn Values, one: &str, many: &str) -> Result<String> {
    Ok(or_dash(&count, |count| format::counted(count, one, many)))
}

/// A size as `1.4 MiB`.
#[askama::filter_fn]
pub fn bytes<F: Figure>(bytes: F, _: &dyn Values) -> Result<String> {
    Ok(or_dash(&bytes, format::bytes))
}

/// A ratio as `66.67 %`; a dash for `None`.
#[askama::filter_fn]
pub fn percent(ratio: &Option<f64>, _: &dyn Values) -> Result<String> {
    Ok(format::percent(ratio))
}

fn or_dash(figure: &impl Figure, format: impl Fn(&u64) -> String) -> String {
    figure.get().as_ref().map_or_else(|| "–".to_owned(), format)
}
