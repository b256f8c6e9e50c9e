//! What was made of a text or of a shared value lately: what comes again and
//! again is worked on once.

use std::{any::Any, sync::Arc};

use hitrate_cache::slots::slot;

/// Places for texts; each has one, which it may share.
const PLACES: usize = 64;
/// The same for values. No power of two, as addresses are aligned to those.
const VALUES: usize = 61;
/// A longer text is worked on each time.
const LONGEST: usize = 512;

/// Texts, and what was made of them.
pub struct Lately<T>(Vec<Option<(String, T)>>);

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self((0..PLACES).map(|_| None).collect())
    }
}

impl<T> Lately<T> {
    /// What `make` makes of the text, now or before.
    pub fn made(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> &T {
        let place = &mut self.0[slot(text, PLACES)];
        if place.as_ref().is_none_or(|(known, _)| known != text) {
            *place = None;
        }
        &place.get_or_insert_with(|| (text.to_owned(), make(text))).1
    }
}

/// Shared values, and what was made of them, by address: holding a value keeps
/// another from its address.
pub struct LatelyShared<T>(Vec<Option<Shared<T>>>);

struct Shared<T> {
    value: Arc<dyn Any + Send + Sync>,
    made: Option<T>,
}

impl<T> Default for LatelyShared<T> {
    fn default() -> Self {
        Self((0..VALUES).map(|_| None).collect())
    }
}

impl<T> LatelyShared<T> {
    /// The place of what is made of this value; empty when it is another's.
    pub fn of<V: Send + Sync + 'static>(&mut self, value: &Arc<V>) -> &mut Option<T> {
        let address = Arc::as_ptr(value);
        let place = &mut self.0[address.addr() / align_of::<usize>() % VALUES];
        if place.as_ref().is_none_or(|it| !std::ptr::addr_eq(Arc::as_ptr(&it.value), address)) {
            *place = None;
        }
        &mut place.get_or_insert_with(|| Shared { value: Arc::clone(value) as _, made: None }).made
    }
}

/// Whether a text is short enough to be kept.
pub fn keeps(text: &str) -> bool {
    text.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_worked_on_once_until_another_takes_its_place() {
        let (mut lately, mut times) = (Lately::default(), 0);
        let texts: Vec<_> = (0..1_000).map(|n| format!("text number {n}")).collect();
        for text in texts.iter().flat_map(|text| [text, text]) {
            let made = lately.made(text, |text| {
                times += 1;
                text.to_uppercase()
            });
            assert_eq!(*made, text.to_uppercase());
        }
        assert_eq!(times, 1_000);
    }

    #[test]
    fn a_value_is_known_by_itself_and_not_by_what_it_is_like() {
        let mut lately = LatelyShared::default();
        let values: Vec<_> = (0..1_000).map(|n| Arc::new(n % 10)).collect();
        for (n, value) in values.iter().enumerate() {
            assert_eq!(lately.of(value).replace(n), None);
            assert_eq!(*lately.of(value), Some(n));
        }
    }

    #[test]
    fn no_other_value_gets_the_address_of_one_that_is_kept() {
        let mut lately = LatelyShared::default();
        for n in 0..1_000 {
            assert_eq!(lately.of(&Arc::new(n)).replace(n), None);
        }
    }
}
