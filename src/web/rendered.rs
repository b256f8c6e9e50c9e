//! A memo table for parts of a page that rarely change, per worker.

use std::rc::Rc;

/// Maximum number of parts; the key may depend on visitors' choices.
const PARTS_MAX: usize = 32;

/// Rendered parts by their input.
pub struct Rendered<K>(Vec<(K, Rc<str>)>);

impl<K> Default for Rendered<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq> Rendered<K> {
    /// Returns the part for `key`, and renders it the first time.
    ///
    /// # Errors
    /// If rendering fails.
    pub fn part(
        &mut self,
        key: K,
        render: impl FnOnce(&K) -> askama::Result<String>,
    ) -> askama::Result<Rc<str>> {
        if let Some((_, part)) = self.0.iter().find(|(known, _)| *known == key) {
            return Ok(Rc::clone(part));
        }
        let part: Rc<str> = render(&key)?.into();
        if self.0.len() >= PARTS_MAX {
            self.0.clear();
        }
        self.0.push((key, Rc::clone(&part)));
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_rendered_once_and_the_table_is_limited() {
        let (mut rendered, mut times) = (Rendered::default(), 0);
        for key in [1, 1, 2, 1] {
            let part = rendered.part(key, |key| {
                times += 1;
                Ok(key.to_string())
            });
            assert_eq!(*part.unwrap(), *key.to_string());
        }
        assert_eq!(times, 2);
        for key in 0..1_000 {
            rendered.part(key, |key| Ok(key.to_string())).unwrap();
        }
        assert!(rendered.0.len() <= PARTS_MAX);
    }
}
